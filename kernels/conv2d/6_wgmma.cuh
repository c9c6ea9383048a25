// Rung 6: a whole warpgroup multiplies, and nobody computes an address. One thread of the
// producer's warpgroup starts bulk copies of boxes: 128 bytes of channels (64 bf16 or 32 floats) of
// up to 256 windows, and of 64 or 128 filters; the copy engine finds the windows, swizzles the
// boxes and fills in zeros outside the picture. Two warpgroups of consumers give the boxes to wgmma
// as they lie in shared memory and hold the sums. Mbarriers pass the stages of the ring to and fro.
//
// The result is seen as rows (pixels) of columns (channels) that lie together in memory. 64 columns
// are the M of a wgmma and the tile's rows its N: each wgmma reads 64 filters and all the windows
// of the stage, so that many pixels cost few bytes of shared memory, whose 128 bytes a clock are
// what wgmma meets first. A stage of rows x 64 columns moves (3 rows + 128) lines of 128 bytes
// through shared memory and takes 2 rows clocks to multiply, one of rows x 128 columns (3 rows +
// 256) and 4 rows clocks.
//
// One wgmma is a word here: it sums over 32 bytes of each line, 16 bf16 or 8 floats. A feed
// (wgmma_feeds.cuh) says for a direction what is copied into a stage, and where a word finds it.
//
// A block works through tiles, one after another. With 128 columns, each consumer has 64 of them;
// with 64 columns the consumers take turns at whole tiles, and one multiplies while the other
// stores. Meanwhile the producer fills the ring for the next.
//
//                     rows (B)                       columns (A)            summed
//   forward           windows of x, along channels   filters, along c       taps, channels of x
//   backward input    windows of dy, along channels  filters, across c      taps, channels of dy
//   backward weight   channels of dy, across pixels  channels of x, across  pixels
//
// Backward input is, for each phase of the input (phases.h), a convolution of dy with stride one.
// The tiles of all phases stand in one queue, those with the most taps first; one tensor map serves
// them, as their windows begin at most a few outputs apart. Its filters lie across the summed axis,
// and so do both operands of backward weight: wgmma takes them transposed, in panels of 64.
//
// In tf32 it takes no operand transposed. The filters of backward input are transposed by a pass of
// their own (filters_transposed.cuh). Of backward weight both operands are tensors of pixels: the
// consumers fetch A from shared memory into registers, where it may lie as it likes, and the three
// idle warps of the producer turn B round in its stage, for which a third mbarrier is there. All
// else is read as it lies: the copy engine rounds floats to tf32, to nearest, where wgmma by itself
// would cut their last 13 bits off.
//
// Shared memory: `stages` of (rows + columns) x 128 bytes, and 32 KiB in which sums are turned
// round: a thread holds neighbouring rows, memory wants neighbouring columns. 64 rows at a time of
// bf16, or 32 of floats, go there and on to global memory in whole lines. The limit it aims for is
// the rate of wgmma.
#pragma once

#include "kernels/conv2d/wgmma_store.cuh"

namespace fettle {

/// Calls f(place in the ring, tile, step) for every stage of this block's tiles.
template <class Feed, class F>
__device__ __forceinline__ void for_each_stage(const Feed& feed, const WgmmaProblem& problem,
                                               const F& f) {
  RingPlace<Feed::T::stages> at;
  for (int item = static_cast<int>(blockIdx.x); item < problem.items();
       item += static_cast<int>(gridDim.x)) {
    const WgmmaTile tile = problem.tile(item, feed);
    for (int step = tile.k_begin; step < tile.k_end; step += Feed::pieces, at.advance())
      f(at, tile, step);
  }
}

/// One thread: keeps the ring full.
template <class Feed, class T = typename Feed::T>
__device__ __forceinline__ void wgmma_produce(WgmmaShared<T>& shared, const TensorMap& a,
                                              const TensorMap& b, const Feed& feed,
                                              const WgmmaProblem& problem) {
  for_each_stage(feed, problem, [&](const auto& at, const WgmmaTile& tile, int step) {
    Mbarrier& full = shared.full[at.stage];
    mbarrier_wait(shared.empty[at.stage], at.parity ^ 1);
    mbarrier_arrive_expect(full, T::a_bytes + T::b_bytes);
#pragma unroll
    for (int piece = 0; piece < Feed::pieces; ++piece) {
      feed.fill(shared.stage[at.stage], piece, a, b, full, tile, step + piece);
    }
  });
}

/// Warps of the producer that turn the rows of a stage round.
constexpr int turning_warps = 3;

/// One of them: takes every third panel of each stage.
template <class Feed, class T = typename Feed::T>
__device__ __forceinline__ void wgmma_turn(WgmmaShared<T>& shared, const Feed& feed,
                                           const WgmmaProblem& problem, int warp, int lane) {
  for_each_stage(feed, problem, [&](const auto& at, const WgmmaTile&, int) {
    mbarrier_wait(shared.full[at.stage], at.parity);
    for (int i = warp; i < T::rows / 32; i += turning_warps)
      Feed::turn(shared.stage[at.stage].b + i * Feed::panel_bytes, lane);
    fence_proxy_async();
    __syncwarp(all_lanes);
    if (lane == 0) mbarrier_arrive(shared.rows_turned[at.stage]);
  });
}

/// A warpgroup: 64 columns of each tile, or every second tile.
template <class Feed, class T = typename Feed::T>
__device__ __forceinline__ void wgmma_consume(WgmmaShared<T>& shared, const Feed& feed,
                                              const WgmmaProblem& problem) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, group = thread / 128;
  const int columns = T::takes_turns ? 0 : group;  // of the tile, in panels
  WgmmaStore<Feed> store = {shared, feed, problem, group, thread % 128};
  RingPlace<T::stages> at;
  int turn = -1;
  for (int item = static_cast<int>(blockIdx.x); item < problem.items();
       item += static_cast<int>(gridDim.x)) {
    const WgmmaTile tile = problem.tile(item, feed);
    if constexpr (T::takes_turns) {
      if (++turn % 2 != group) {
        at.advance((tile.k_end - tile.k_begin + Feed::pieces - 1) / Feed::pieces);
        continue;
      }
      // Not before the other has seen all its stages full: a parity tells one round of the ring
      // from the next, but not from the one after that.
      if (turn > 0) mbarrier_wait(shared.turn_over[1 - group], (turn - 1) / 2 % 2);
    }
    store.fetch_addend(tile, tile.column0 + columns * 64);
    float sums[T::rows / 2] = {};
    int before = 0;  // the stage whose wgmma may still be under way
    for (int step = tile.k_begin; step < tile.k_end; step += Feed::pieces, at.advance()) {
      const auto& stage = shared.stage[at.stage];
      mbarrier_wait(shared.full[at.stage], at.parity);
      if constexpr (Feed::is_turned) {
        uint32_t a[T::words][4];
        Feed::fetch_a(stage, columns, thread % 128, a);
        mbarrier_wait(shared.rows_turned[at.stage], at.parity);
        wgmma_fence();
#pragma unroll
        for (int word = 0; word < T::words; ++word)
          wgmma_tf32<T::rows>(sums, a[word], Feed::b(stage, word), true);
        wgmma_commit();
        // The registers of A are needed again; meanwhile the other warpgroup multiplies.
        wgmma_wait<0>();
        __syncwarp(all_lanes);  // every lane has read the stage
        if (lane == 0) mbarrier_arrive(shared.empty[at.stage]);
      } else {
        wgmma_fence();
#pragma unroll
        for (int word = 0; word < T::words; ++word) {
          const uint64_t a = Feed::a(stage, columns, word), b = Feed::b(stage, word);
          if constexpr (sizeof(typename T::Element) == 4) {
            static_assert(Feed::a_along_k && Feed::b_along_k);
            wgmma_tf32<T::rows>(sums, a, b, true);
          } else {
            wgmma_bf16<T::rows, Feed::a_along_k, Feed::b_along_k>(sums, a, b, true);
          }
        }
        wgmma_commit();
        wgmma_wait<1>();
        if (step > tile.k_begin && lane == 0) mbarrier_arrive(shared.empty[before]);
        before = at.stage;
      }
    }
    if constexpr (T::takes_turns) {
      __syncwarp(all_lanes);  // a phase without taps has no wgmma for which the lanes meet
      if (lane == 0) mbarrier_arrive(shared.turn_over[group]);
    }
    wgmma_wait<0>();
    if (!Feed::is_turned && tile.k_end > tile.k_begin && lane == 0)
      mbarrier_arrive(shared.empty[before]);
    store(tile, tile.column0 + columns * 64, sums);
  }
}

/// One block: two warpgroups of consumers, then the producer's.
template <class Feed, class T = typename Feed::T>
__global__ void __launch_bounds__(T::threads, 1)
    conv2d_wgmma_kernel(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                        Feed feed, WgmmaProblem problem) {
  if constexpr (!has_wgmma) return;  // plans do not choose it there
  auto& shared = *dynamic_shared<WgmmaShared<T>>();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    for (int i = 0; i < T::stages; ++i) {
      mbarrier_init(shared.full[i], 1);
      mbarrier_init(shared.empty[i], 4 * (T::takes_turns ? 1 : T::groups));
      if (Feed::is_turned) mbarrier_init(shared.rows_turned[i], turning_warps);
    }
    for (int i = 0; i < T::groups; ++i) {
      mbarrier_init(shared.turned_full[i], 4);
      mbarrier_init(shared.turn_over[i], 4);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  wait_for_kernels_before();
  if (thread >= T::groups * 128) {
    // A warp that turns rows has 32 of them in registers.
    if constexpr (T::trades_registers) fewer_registers<Feed::is_turned ? 72 : 40>();
    const int warp = thread / 32 - T::groups * 4;
    if constexpr (Feed::is_turned) {
      if (warp > 0) wgmma_turn(shared, feed, problem, warp - 1, thread % 32);
    }
    if (warp == 0 && thread % 32 == 0) wgmma_produce(shared, a, b, feed, problem);
  } else {
    if constexpr (T::trades_registers) more_registers<Feed::is_turned ? 216 : 232>();
    wgmma_consume(shared, feed, problem);
  }
}

}  // namespace fettle
