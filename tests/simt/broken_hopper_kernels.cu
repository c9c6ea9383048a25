// Mistakes that the words of Hopper invite, and the right ways beside them.
#include "tests/simt/kernel_case.h"

namespace fettle {
namespace {

using simt::Kind;

struct Barriers {
  Mbarrier full[2], empty[2];
};

/// Boxes of 64x64 bf16 in dynamic shared memory.
constexpr int box_bytes = 64 * 128;
__device__ uint8_t* box(int i) {
  return dynamic_shared<uint8_t>() + i * box_bytes;
}
/// Thread 0 makes all barriers; `producers` arrive at each `full` and `consumers` at each `empty`.
__device__ Barriers& made_barriers(int producers, int consumers) {
  Barriers& b = shared<Barriers>();
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      mbarrier_init(b.full[i], producers);
      mbarrier_init(b.empty[i], consumers);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  return b;
}
__device__ uint64_t operand(int i) {
  return wgmma_descriptor(box(i), 0, 1024, Swizzle::bytes128);
}
/// Plain stores of zeros to boxes 0 and 1.
__device__ void store_boxes() {
  for (int i = static_cast<int>(threadIdx.x); i < 2 * box_bytes / 16; i += 128) {
    store_vec(reinterpret_cast<uint32_t*>(box(0)) + i * 4, Vec<uint32_t, 4>{});
  }
}

// ----------------------------------------------------------------------- mbarriers and bulk copies

__global__ void box_read_before_its_barrier(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);
  }
  y[threadIdx.x] = box(0)[threadIdx.x];  // <- box_read_before_its_barrier
  mbarrier_wait(b.full[0], 0);
}
__global__ void one_parity_for_two_phases(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  for (int step = 0; step < 2; ++step) {
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(b.full[0], box_bytes);
      bulk_copy(box(0), map, b.full[0], 0, 0);
    }
    __syncthreads();
    mbarrier_wait(b.full[0], 0);
    y[threadIdx.x] = box(0)[threadIdx.x];  // <- one_parity_for_two_phases
    __syncthreads();
  }
  mbarrier_wait(b.full[0], 1);
}
__global__ void parity_of_a_phase_to_come(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);
  }
  mbarrier_wait(b.full[0], 0);
  mbarrier_wait(b.full[0], 1);  // <- parity_of_a_phase_to_come
  y[threadIdx.x] = box(0)[threadIdx.x];
}
__global__ void nothing_expected(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    bulk_copy(box(0), map, b.full[0], 0, 0);  // <- nothing_expected
    mbarrier_arrive(b.full[0]);
  }
  mbarrier_wait(b.full[0], 0);
  y[threadIdx.x] = 1;
}
__global__ void more_expected_than_copied(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], 2 * box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);
  }
  mbarrier_wait(b.full[0], 0);  // <- more_expected_than_copied
  y[threadIdx.x] = 1;
}
__global__ void more_arrivals_than_made_for(float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) mbarrier_arrive_expect(b.full[0], 16);
  __syncwarp();
  if (threadIdx.x == 1) {
    mbarrier_arrive(b.full[0]);  // <- more_arrivals_than_made_for
  }
  y[threadIdx.x] = 1;
}
__global__ void mbarrier_never_made(float* y) {
  wait_for_kernels_before();
  Barriers& b = shared<Barriers>();
  mbarrier_arrive(b.full[0]);  // <- mbarrier_never_made
  y[threadIdx.x] = 1;
}
__global__ void mbarrier_used_before_a_barrier(float* y) {
  wait_for_kernels_before();
  Barriers& b = shared<Barriers>();
  if (threadIdx.x == 0) mbarrier_init(b.full[0], 32);
  const float sum = warp_sum(1.0f);  // shuffles order nothing
  mbarrier_arrive(b.full[0]);        // <- mbarrier_used_before_a_barrier
  y[threadIdx.x] = sum;
}
__global__ void mbarrier_without_fence(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = shared<Barriers>();
  if (threadIdx.x == 0) {
    mbarrier_init(b.full[0], 1);
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);  // <- mbarrier_without_fence
  }
  __syncthreads();
  mbarrier_wait(b.full[0], 0);
  y[threadIdx.x] = box(0)[threadIdx.x];
}
__global__ void only_one_lane_waits(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);
    mbarrier_wait(b.full[0], 0);
  }
  y[threadIdx.x] = box(0)[threadIdx.x];  // <- only_one_lane_waits
}
__global__ void copied_over_while_read(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 64);
  if (threadIdx.x < 32) {
    for (int step = 0; step < 2; ++step) {
      if (threadIdx.x == 0) {
        mbarrier_arrive_expect(b.full[0], box_bytes);
        bulk_copy(box(0), map, b.full[0], 0, 0);  // <- copied_over_while_read
        mbarrier_wait(b.full[0], step);
      }
    }
  } else {
    mbarrier_wait(b.full[0], 0);
    y[threadIdx.x] = box(0)[threadIdx.x];
  }
}
__global__ void bulk_copy_left_behind(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);  // <- bulk_copy_left_behind
  }
  y[threadIdx.x] = 1;
}
__global__ void box_at_an_odd_place(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0) + 128, map, b.full[0], 0, 0);  // <- box_at_an_odd_place
  }
  mbarrier_wait(b.full[0], 0);
  y[threadIdx.x] = 1;
}
__global__ void box_past_the_end(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(2), map, b.full[0], 0, 0);  // <- box_past_the_end
  }
  mbarrier_wait(b.full[0], 0);
  y[threadIdx.x] = 1;
}
__global__ void windows_before_the_first(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy_windows(box(0), map, b.full[0], 0, -2, -1, 0, 0, 0);  // <- windows_before_the_first
  }
  mbarrier_wait(b.full[0], 0);
  y[threadIdx.x] = 1;
}

// ------------------------------------------------------------------------------------------- wgmma

__global__ void stored_without_proxy_fence(float* y) {
  wait_for_kernels_before();
  store_boxes();
  __syncthreads();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);  // <- stored_without_proxy_fence
  wgmma_commit();
  wgmma_wait<0>();
  y[threadIdx.x] = d[0];
}
__global__ void fence_of_another_thread(float* y) {
  wait_for_kernels_before();
  store_boxes();
  __syncthreads();
  if (threadIdx.x == 0) fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);  // <- fence_of_another_thread
  wgmma_commit();
  wgmma_wait<0>();
  y[threadIdx.x] = d[0];
}
__global__ void operands_of_other_warps(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);  // <- operands_of_other_warps
  wgmma_commit();
  wgmma_wait<0>();
  y[threadIdx.x] = d[0];
}
__global__ void sums_read_too_early(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);
  wgmma_commit();
  y[threadIdx.x] = d[3];  // <- sums_read_too_early
  wgmma_wait<0>();
}
__global__ void sums_of_the_last_group(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {}, e[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);
  wgmma_commit();
  wgmma_bf16<64, true, true>(e, operand(0), operand(1), false);
  wgmma_commit();
  wgmma_wait<1>();
  y[threadIdx.x] = d[0] + e[0];  // <- sums_of_the_last_group
  wgmma_wait<0>();
}
__global__ void never_committed(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);
  wgmma_wait<0>();
  y[threadIdx.x] = d[0];  // <- never_committed
  wgmma_commit();
  wgmma_wait<0>();
}
__global__ void touched_without_fence(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  wgmma_fence();
  for (int step = 0; step < 2; ++step) {
    const uint64_t a = operand(0), b = operand(1);
    wgmma_bf16<64, true, true>(d, a, b, true);  // <- touched_without_fence
    wgmma_commit();
    wgmma_wait<0>();
    d[0] += 1;
  }
  y[threadIdx.x] = d[0];
}
__global__ void factor_overwritten(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  uint32_t a[4] = {};
  wgmma_fence();
  for (int step = 0; step < 2; ++step) {
    wgmma_tf32<64>(d, a, operand(1), true);
    wgmma_commit();
    for (uint32_t& factor : a) factor += 1u << 23;  // <- factor_overwritten
  }
  wgmma_wait<0>();
  y[threadIdx.x] = d[0];
}
/// Reading a factor disturbs nobody.
__global__ void factor_read_while_multiplied(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  uint32_t a[4] = {0, 0, 0, threadIdx.x};
  wgmma_fence();
  wgmma_tf32<64>(d, a, operand(1), true);
  wgmma_commit();
  const uint32_t own = a[3];
  wgmma_wait<0>();
  y[threadIdx.x] = d[0] + static_cast<float>(own);
}
__global__ void wgmma_left_behind(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);  // <- wgmma_left_behind
  wgmma_commit();
  y[threadIdx.x] = 1;
}
__global__ void wgmma_of_three_warps(float* y) {
  wait_for_kernels_before();
  float d[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), false);  // <- wgmma_of_three_warps
  wgmma_commit();
  wgmma_wait<0>();
  y[threadIdx.x] = d[0];
}

/// A producer's warp and a consumer's warpgroup share two places; `Early` frees a place while wgmma
/// may still read it.
template <bool Early>
__device__ void pipeline(const TensorMap& map, float* y) {
  constexpr int steps = 4;
  Barriers& b = made_barriers(1, 4);
  if (threadIdx.x >= 128) {
    if (threadIdx.x == 128) {
      for (int step = 0; step < steps; ++step) {
        const int i = step % 2;
        mbarrier_wait(b.empty[i], step / 2 % 2 ^ 1);
        mbarrier_arrive_expect(b.full[i], box_bytes);
        bulk_copy(box(i), map, b.full[i], 0, 0);
      }
    }
  } else {
    float d[32] = {};
    for (int step = 0; step < steps; ++step) {
      const int i = step % 2;
      mbarrier_wait(b.full[i], step / 2 % 2);
      wgmma_fence();
      wgmma_bf16<64, true, true>(d, operand(i), operand(i), true);
      wgmma_commit();
      if (Early && threadIdx.x % 32 == 0) mbarrier_arrive(b.empty[i]);
      wgmma_wait<0>();
      if (!Early && threadIdx.x % 32 == 0) mbarrier_arrive(b.empty[i]);
    }
    y[threadIdx.x] = d[0];
  }
}
__global__ void freed_before_the_wait(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  pipeline<true>(map, y);
}

// ------------------------------------------------------------------------------------------- right

__global__ void freed_after_the_wait(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  pipeline<false>(map, y);
}
__global__ void one_lane_waits_for_its_warp(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], 2 * box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);
    bulk_copy(box(1), map, b.full[0], 0, 0);
    mbarrier_wait(b.full[0], 0);
  }
  __syncwarp();
  y[threadIdx.x] = box(0)[threadIdx.x] + box(1)[threadIdx.x];
}
__global__ void stored_fenced_and_multiplied(float* y) {
  wait_for_kernels_before();
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  float d[32] = {}, e[32] = {};
  wgmma_fence();
  wgmma_bf16<64, true, true>(d, operand(0), operand(1), true);
  wgmma_bf16<64, true, true>(d, operand(1), operand(0), true);
  wgmma_commit();
  wgmma_bf16<64, true, false>(e, operand(0), operand(1), false);
  wgmma_commit();
  wgmma_wait<1>();
  const float first = d[0];
  wgmma_wait<0>();
  y[threadIdx.x] = first + e[0];
}
__global__ void box_reused_after_a_barrier(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  for (int step = 0; step < 3; ++step) {
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(b.full[0], box_bytes);
      bulk_copy(box(0), map, b.full[0], 0, 0);
    }
    mbarrier_wait(b.full[0], step % 2);
    y[threadIdx.x] = box(0)[threadIdx.x];
    __syncthreads();
  }
}
__global__ void stored_then_copied_over(const __grid_constant__ TensorMap map, float* y) {
  wait_for_kernels_before();
  Barriers& b = made_barriers(1, 1);
  store_boxes();
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(b.full[0], box_bytes);
    bulk_copy(box(0), map, b.full[0], 0, 0);
  }
  mbarrier_wait(b.full[0], 0);
  y[threadIdx.x] = box(0)[threadIdx.x];
}

/// A tensor of 32x64 bf16: half of a box lies outside.
MapOf tiled() {
  const auto x = gpu_array<float>(32 * 32);
  return {tiled_map(TensorElement::bf16, x.get(), {64, 32}, {64, 64}, Swizzle::bytes128), x};
}
/// 64 windows over a picture of 4x8 with 64 channels.
MapOf windows() {
  const auto x = gpu_array<float>(4 * 8 * 32);
  return {windows_map(TensorElement::bf16, x.get(),
                      {.N = 1,
                       .H = 4,
                       .W = 8,
                       .C = 64,
                       .P = 4,
                       .Q = 8,
                       .stride_h = 1,
                       .stride_w = 1,
                       .first_h = -1,
                       .first_w = -1,
                       .pixels = 64,
                       .channels = 64},
                      Swizzle::bytes128),
          x};
}

}  // namespace

std::vector<KernelCase> broken_hopper_kernels() {
  const auto y = gpu_array<float>(192);
  const MapOf map = tiled();
  constexpr size_t two = 2 * box_bytes;
  return {
      CASE(box_read_before_its_barrier, Kind::uninitialised, 1, 32, two, map, y),
      CASE(one_parity_for_two_phases, Kind::uninitialised, 1, 64, two, map, y),
      CASE(parity_of_a_phase_to_come, Kind::deadlock, 1, 32, two, map, y),
      CASE(nothing_expected, Kind::asynchronous, 1, 32, two, map, y),
      CASE(more_expected_than_copied, Kind::deadlock, 1, 32, two, map, y),
      CASE(more_arrivals_than_made_for, Kind::asynchronous, 1, 32, two, y),
      CASE(mbarrier_never_made, Kind::uninitialised, 1, 32, two, y),
      CASE(mbarrier_used_before_a_barrier, Kind::race, 1, 32, two, y),
      CASE(mbarrier_without_fence, Kind::proxy, 1, 32, two, map, y),
      CASE(only_one_lane_waits, Kind::race, 1, 32, two, map, y),
      CASE(copied_over_while_read, Kind::race, 1, 64, two, map, y),
      CASE(bulk_copy_left_behind, Kind::asynchronous, 1, 32, two, map, y),
      CASE(box_at_an_odd_place, Kind::alignment, 1, 32, two, map, y),
      CASE(box_past_the_end, Kind::bounds, 1, 32, two, map, y),
      CASE(windows_before_the_first, Kind::bounds, 1, 32, two, windows(), y),
      CASE(stored_without_proxy_fence, Kind::proxy, 1, 128, two, y),
      CASE(fence_of_another_thread, Kind::proxy, 1, 128, two, y),
      CASE(operands_of_other_warps, Kind::race, 1, 128, two, y),
      CASE(sums_read_too_early, Kind::asynchronous, 1, 128, two, y),
      CASE(sums_of_the_last_group, Kind::asynchronous, 1, 128, two, y),
      CASE(never_committed, Kind::asynchronous, 1, 128, two, y),
      CASE(touched_without_fence, Kind::asynchronous, 1, 128, two, y),
      CASE(factor_overwritten, Kind::asynchronous, 1, 128, two, y),
      CASE(wgmma_left_behind, Kind::asynchronous, 1, 128, two, y),
      CASE(wgmma_of_three_warps, Kind::divergence, 1, 96, two, y),
      CASE(freed_before_the_wait, Kind::race, 1, 160, two, map, y),
  };
}

std::vector<KernelCase> right_hopper_kernels() {
  const auto y = gpu_array<float>(192);
  const MapOf map = tiled();
  constexpr size_t two = 2 * box_bytes;
  return {
      CASE(freed_after_the_wait, {}, 1, 160, two, map, y),
      CASE(one_lane_waits_for_its_warp, {}, 1, 32, two, map, y),
      CASE(stored_fenced_and_multiplied, {}, 1, 128, two, y),
      CASE(box_reused_after_a_barrier, {}, 1, 64, two, map, y),
      CASE(factor_read_while_multiplied, {}, 1, 128, two, y),
      CASE(stored_then_copied_over, {}, 1, 128, two, map, y),
  };
}

}  // namespace fettle
