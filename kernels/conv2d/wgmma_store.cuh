// How the consumers of rung 6 store their sums: turned round in shared memory, in whole lines.
#pragma once

#include "kernels/conv2d/wgmma_feeds.cuh"

namespace fettle {

/// Stores a warpgroup's sums of 64 columns from column0 on.
template <class Feed, class T = typename Feed::T>
struct WgmmaStore {
  WgmmaShared<T>& shared;
  const Feed& feed;
  const WgmmaProblem& problem;
  int group, thread;  ///< of the block, and of the warpgroup
  int turn = 0;       ///< how often the memory to turn sums round in was used

  __device__ __forceinline__ void operator()(const WgmmaTile& tile, int column0,
                                             const float (&sums)[T::rows / 2]) {
    problem.out.by_adding([&](auto adds) { store_sums<adds>(tile, column0, sums); });
  }

  template <bool Adds>
  __device__ __forceinline__ void store_sums(const WgmmaTile& tile, int column0,
                                             const float (&sums)[T::rows / 2]) {
    const int own = column0 + thread / 32 * 16 + thread % 32 / 4;  // and the eighth after it
    const GemmOutput& out = problem.out;
    float bias[2] = {};
    for (int half = 0; half < 2; ++half) {
      if (out.bias && own + half * 8 < problem.columns) bias[half] = out.bias[own + half * 8];
    }
    const auto finished = [&](int i) { return out.finished<Adds>(sums[i] + bias[i / 2 % 2]); };
    if constexpr (!Adds && std::is_same_v<Feed, FiltersTimesWindows<T>>) {
      if (problem.moments) store_moments(tile, own, sums, bias);
    }
    if (out.rounded) {
#pragma unroll
      for (int part = 0; part < T::rows / 64; ++part) {
        store_lines<Adds>(tile, column0, part, bf16{}, [&](uint8_t* turned) {
          turn_rounded(turned, [&](int i) { return finished(part * 32 + i); });
        });
      }
    } else {
#pragma unroll
      for (int part = 0; part < T::rows / 32; ++part) {
        store_lines<Adds>(tile, column0, part, 0.0f, [&](uint8_t* turned) {
          turn_floats(turned, [&](int i) { return finished(part * 16 + i); });
        });
      }
    }
  }

  /// Of the tile's rows, as they are stored, the sum of each column and of its squares. A thread
  /// sums about its first value, so that a large mean does not swallow a small deviation; with the
  /// shift put back, fp64 holds the sums as exactly.
  __device__ __forceinline__ void store_moments(const WgmmaTile& tile, int own,
                                                const float (&sums)[T::rows / 2],
                                                const float (&bias)[2]) const {
    const auto stored = [&](int i) {
      const float one = sums[i] + bias[i / 2 % 2], other = sums[i + 1] + bias[i / 2 % 2];
      if constexpr (sizeof(typename T::Element) == 4) {
        return Vec<float, 2>{{one, other}};
      } else {
        const uint32_t pair = bf16_pair(one, other);
        return Vec<float, 2>{{float_of(pair << 16), float_of(pair >> 16 << 16)}};
      }
    };
    const int t = thread % 4;
    const int left = problem.rows - tile.row0 - 2 * t;  // from this thread's first row on
    const float shift[2] = {stored(0)[0], stored(2)[0]};
    float sum[2] = {}, squares[2] = {};
    const auto add = [&](auto is_whole) {
#pragma unroll
      for (int i = 0; i < T::rows / 2; i += 2) {
        const Vec<float, 2> values = stored(i);
        const int half = i / 2 % 2;
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float beyond = values[e] - shift[half];
          if (!is_whole && i / 4 * 8 + e >= left) continue;
          sum[half] += beyond;
          squares[half] += beyond * beyond;
        }
      }
    };
    // All rows of most tiles are there, and need not be asked for one by one.
    problem.rows - tile.row0 >= T::rows ? add(std::true_type{}) : add(std::false_type{});
    const int whole = min_of(left < 0 ? 0 : left, T::rows);
    const double count = whole / 8 * 2 + min_of(whole % 8, 2);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const double by = shift[half];
      double moments[2] = {sum[half] + count * by,
                           squares[half] + by * (2.0 * sum[half] + count * by)};
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        for (int distance = 1; distance < 4; distance *= 2)
          moments[k] += __shfl_xor_sync(all_lanes, moments[k], distance);
        const int column = own + half * 8;
        if (t > 0 || column >= problem.columns) continue;
        problem.moments[(int64_t{tile.row0 / T::rows} * 2 + k) * problem.columns + column] =
            moments[k];
      }
    }
  }

  /// Fetches what is to be added to the sums while they are formed.
  __device__ __forceinline__ void fetch_addend(const WgmmaTile& tile, int column0) const {
    const GemmOutput& out = problem.out;
    if (!out.adds() || column0 >= problem.columns) return;
    for (int row = thread; row < T::rows; row += 128) {
      const int place = feed.place(tile.row0 + row, tile.phase, problem.rows);
      if (place < 0) continue;
      const int64_t at = out.place(place, column0, tile.tap, tile.split);
      if (out.rounded_addend) {
        prefetch(out.rounded_addend + at);
      } else {
        prefetch(out.addend + at);
        if (column0 + 32 < problem.columns) prefetch(out.addend + at + 32);
      }
    }
  }

  /// Where the 16 bytes `chunk` of a row lie: exchanged so that lanes that write or read at once
  /// meet no bank twice. Of bf16 a row is a line of 128 bytes, of floats two.
  static __device__ __forceinline__ uint8_t* place_of(uint8_t* turned, bf16, int row, int chunk) {
    return turned + row * 128 + (chunk ^ row % 8) * 16;
  }
  static __device__ __forceinline__ uint8_t* place_of(uint8_t* turned, float, int row, int chunk) {
    return turned + row * 256 + (chunk ^ row / 2 % 4 * 2) * 16;
  }

  /// 64 rows of bf16; each warp has 16 columns of them.
  template <class Sums>
  __device__ __forceinline__ void turn_rounded(uint8_t* turned, const Sums& sums) const {
    const int lane = thread % 32, chunk = thread / 32 * 2 + lane / 8 % 2;
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int first = (j + i / 2) * 4 + i % 2 * 2;
        words[i] = bf16_pair(sums(first), sums(first + 1));
      }
      stmatrix_x4_transposed(place_of(turned, bf16{}, (j + lane / 16) * 8 + lane % 8, chunk),
                             words);
    }
  }
  /// 32 rows of floats.
  template <class Sums>
  __device__ __forceinline__ void turn_floats(uint8_t* turned, const Sums& sums) const {
    const int t = thread % 4, own = thread / 32 * 16 + thread % 32 / 4;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const int row = i / 4 * 8 + 2 * t + i % 2, column = own + i / 2 % 2 * 8;
      auto* at = reinterpret_cast<float*>(place_of(turned, 0.0f, row, column / 4));
      at[column % 4] = sums(i);
    }
  }

  /// As many rows as 8 KiB hold: turn(memory) lays them there, and all threads store them.
  template <bool Adds, class E, class Turn>
  __device__ __forceinline__ void store_lines(const WgmmaTile& tile, int column0, int part, E,
                                              const Turn& turn_round) {
    constexpr int each = 16 / sizeof(E), across = 64 / each, rows = 128 / across;
    uint8_t* turned = shared.turned[group][turn % 2];
    turn_round(turned);
    __syncwarp(all_lanes);
    if (thread % 32 == 0) mbarrier_arrive(shared.turned_full[group]);
    mbarrier_wait(shared.turned_full[group], turn % 2);
    ++turn;
    const int chunk = thread % across, column = column0 + chunk * each;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = i * rows + thread / across;
      const int place = feed.place(tile.row0 + part * 4 * rows + row, tile.phase, problem.rows);
      if (place < 0 || column >= problem.columns) continue;
      const uint8_t* from = place_of(turned, E{}, row, chunk);
      const int64_t at = problem.out.place(place, column, tile.tap, tile.split);
      if (problem.out.vectors) {
        using Word = std::conditional_t<sizeof(E) == 4, float, uint32_t>;
        problem.out.template store_line<Adds>(at, load_vec<4>(reinterpret_cast<const Word*>(from)));
      } else {
        problem.out.template store_some<Adds>(at, reinterpret_cast<const E*>(from),
                                              min_of(each, problem.columns - column));
      }
    }
  }
};

}  // namespace fettle
