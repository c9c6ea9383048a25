#include "tests/simt/kernel_case.h"

namespace fettle {
namespace {

using simt::Kind;

struct Line {
  float v[128];
};
struct Partials {
  float v[32];
};

// ------------------------------------------------------------------------------------------ bounds

__global__ void past_the_end(int n, float* y) {
  wait_for_kernels_before();
  const int i = static_cast<int>(threadIdx.x);
  if (i <= n) y[i] = 1;  // <- past_the_end
}
__global__ void before_the_beginning(const float* x, float* y) {
  wait_for_kernels_before();
  const int i = static_cast<int>(threadIdx.x);
  y[i] = x[i - 1];  // <- before_the_beginning
}
__global__ void ragged_tail(const float* x, float* y) {
  wait_for_kernels_before();
  const int64_t i = strided_first();
  const float value = x[i];  // <- ragged_tail
  y[i % 32] = value;
}
__global__ void shared_past_the_end(float* y) {
  wait_for_kernels_before();
  Partials& s = shared<Partials>();
  s.v[threadIdx.x] = 1;  // <- shared_past_the_end
  __syncthreads();
  y[threadIdx.x] = s.v[0];
}
__global__ void dynamic_past_the_end(int n, float* y) {
  wait_for_kernels_before();
  float* s = dynamic_shared<float>();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) {
    s[i] = 1;  // <- dynamic_past_the_end
  }
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void memory_of_the_host(const float* host, float* y) {
  wait_for_kernels_before();
  y[threadIdx.x] = host[threadIdx.x];  // <- memory_of_the_host
}
__global__ void null_pointer(const float* bias, float* y) {
  wait_for_kernels_before();
  y[threadIdx.x] += bias[threadIdx.x];  // <- null_pointer
}
__global__ void vector_over_the_end(const float* x, float* y) {
  wait_for_kernels_before();
  const auto four = load_vec<4>(x + threadIdx.x * 4);  // <- vector_over_the_end
  y[threadIdx.x] = four[0];
}

// --------------------------------------------------------------------------------------- alignment

__global__ void misaligned_load(const float* x, float* y) {
  wait_for_kernels_before();
  const auto four = load_vec<4>(x + 1);  // <- misaligned_load
  y[threadIdx.x] = four[0];
}
__global__ void misaligned_store(float* y) {
  wait_for_kernels_before();
  store_vec(y + 2, Vec<float, 4>{});  // <- misaligned_store
}
__global__ void misaligned_copy(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  cp_async<16>(s.v + threadIdx.x * 4 + 1, x + threadIdx.x * 4);  // <- misaligned_copy
  cp_async_commit();
  cp_async_wait<0>();
  y[threadIdx.x] = s.v[threadIdx.x * 4 + 1];
}

// ----------------------------------------------------------------------------------- uninitialised

__global__ void unwritten_memory(const float* x, float* y) {
  wait_for_kernels_before();
  y[threadIdx.x] = x[threadIdx.x];  // <- unwritten_memory
}
__global__ void unwritten_shared(float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  if (threadIdx.x < 31) s.v[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s.v[threadIdx.x];  // <- unwritten_shared
}
__global__ void too_many_partials(const float* x, float* y) {
  wait_for_kernels_before();
  Partials& s = shared<Partials>();
  const float sum = warp_sum(x[threadIdx.x]);
  if (threadIdx.x % 32 == 0) s.v[threadIdx.x / 32] = sum;
  __syncthreads();
  const float total = warp_sum(s.v[threadIdx.x % 32]);  // <- too_many_partials
  if (threadIdx.x == 0) y[0] = total;
}
__global__ void copy_not_waited_for(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  cp_async<4>(s.v + threadIdx.x, x + threadIdx.x);
  cp_async_commit();
  y[threadIdx.x] = s.v[threadIdx.x];  // <- copy_not_waited_for
  cp_async_wait<0>();
}
__global__ void one_group_too_few(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  cp_async<4>(s.v + threadIdx.x, x + threadIdx.x);
  cp_async_commit();
  cp_async<4>(s.v + 32 + threadIdx.x, x + threadIdx.x);
  cp_async_commit();
  cp_async_wait<1>();
  y[threadIdx.x] = s.v[threadIdx.x] + s.v[32 + threadIdx.x];  // <- one_group_too_few
  cp_async_wait<0>();
}

// -------------------------------------------------------------------------------------------- race

__global__ void no_barrier_after_writing(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  s.v[threadIdx.x] = x[threadIdx.x];
  y[threadIdx.x] = s.v[127 - threadIdx.x];  // <- no_barrier_after_writing
}
__global__ void no_barrier_before_reuse(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  float sum = 0;
  for (int step = 0; step < 2; ++step) {
    s.v[threadIdx.x] = x[threadIdx.x];  // <- no_barrier_before_reuse
    __syncthreads();
    sum += s.v[127 - threadIdx.x];
  }
  y[threadIdx.x] = sum;
}
__global__ void histogram_without_atomics(const float* x, int* bins) {
  wait_for_kernels_before();
  const int bin = x[strided_first()] > 0;
  bins[bin] += 1;  // <- histogram_without_atomics
}
__global__ void in_place_neighbour(float* x) {
  wait_for_kernels_before();
  const int64_t i = strided_first();
  const float left = i > 0 ? x[i - 1] : 0;
  x[i] = left;  // <- in_place_neighbour
}
__global__ void no_syncwarp(float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  s.v[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = s.v[threadIdx.x ^ 1];  // <- no_syncwarp
}
__global__ void syncwarp_between_warps(float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  s.v[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncwarp();
  y[threadIdx.x] = s.v[threadIdx.x ^ 32];  // <- syncwarp_between_warps
}
__global__ void shuffle_is_no_barrier(float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  s.v[threadIdx.x] = 1;
  const float sum = warp_sum(1.0f);
  y[threadIdx.x] = sum + s.v[threadIdx.x ^ 1];  // <- shuffle_is_no_barrier
}
__global__ void atomic_and_plain(int* counter, float* y) {
  wait_for_kernels_before();
  atomicAdd(counter, 1);
  y[threadIdx.x] = static_cast<float>(*counter);  // <- atomic_and_plain
}
__global__ void copy_without_barrier(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  cp_async<4>(s.v + threadIdx.x, x + threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
  y[threadIdx.x] = s.v[127 - threadIdx.x];  // <- copy_without_barrier
}
__global__ void same_value_twice(float* y) {
  wait_for_kernels_before();
  y[0] = 1;  // <- same_value_twice
}
__global__ void same_half(bf16* y) {
  wait_for_kernels_before();
  y[threadIdx.x / 2] = from_float<bf16>(1);  // <- same_half
}
__global__ void every_block_writes(float* y) {
  wait_for_kernels_before();
  if (threadIdx.x == 0) y[0] = static_cast<float>(blockIdx.x);  // <- every_block_writes
}

// -------------------------------------------------------------------------------------- divergence

__global__ void barrier_in_a_branch(float* y) {
  wait_for_kernels_before();
  if (threadIdx.x < 32) {
    __syncthreads();  // <- barrier_in_a_branch
  }
  y[threadIdx.x] = 1;
}
__global__ void barriers_in_both_branches(float* y) {
  wait_for_kernels_before();
  if (threadIdx.x < 32) {
    y[threadIdx.x] = 1;
    __syncthreads();
  } else {
    y[threadIdx.x] = 2;
    __syncthreads();  // <- barriers_in_both_branches
  }
}
__global__ void early_return(int n, float* y) {
  wait_for_kernels_before();
  if (static_cast<int>(threadIdx.x) >= n) return;
  Line& s = shared<Line>();
  s.v[threadIdx.x] = 1;
  __syncthreads();  // <- early_return
  y[threadIdx.x] = s.v[0];
}
__global__ void full_mask_of_half_a_warp(float* y) {
  wait_for_kernels_before();
  float sum = 0;
  if (threadIdx.x < 16) {
    sum = __shfl_xor_sync(all_lanes, 1.0f, 1);  // <- full_mask_of_half_a_warp
  }
  y[threadIdx.x] = sum;
}
__global__ void mask_without_the_caller(float* y) {
  wait_for_kernels_before();
  y[threadIdx.x] = __shfl_sync(0xFFFFu, 1.0f, 0);  // <- mask_without_the_caller
}
__global__ void shuffle_from_outside(float* y) {
  wait_for_kernels_before();
  if (threadIdx.x < 16) {
    y[threadIdx.x] = __shfl_sync(0xFFFFu, 1.0f, 20);  // <- shuffle_from_outside
  }
}
__global__ void barrier_against_warp(float* y) {
  wait_for_kernels_before();
  if (threadIdx.x < 16) {
    __syncwarp();  // <- barrier_against_warp
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = 1;
}
__global__ void matrix_word_of_half_a_warp(float* y) {
  wait_for_kernels_before();
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  if (threadIdx.x < 16) {
    mma_tf32(d, a, b);  // <- matrix_word_of_half_a_warp
  }
  y[threadIdx.x] = d[0];
}

// -------------------------------------------------------------------- deadlock, asynchronous,
// launch

__global__ void nobody_sets_the_flag(int* flag, float* y) {
  wait_for_kernels_before();
  while (atomicAdd(flag, 0) == 0) {  // <- nobody_sets_the_flag
  }
  y[threadIdx.x] = 1;
}
__global__ void copy_left_behind(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  cp_async<4>(s.v + threadIdx.x, x + threadIdx.x);  // <- copy_left_behind
  cp_async_commit();
  y[threadIdx.x] = 1;
}
__global__ void nothing_wrong(float* y) {
  wait_for_kernels_before();
  y[threadIdx.x % 32] = 1;
}

// ------------------------------------------------------------------------------------------- right

__global__ void sum_of_a_block(const float* x, float* y) {
  wait_for_kernels_before();
  const float total = block_sum(x[threadIdx.x], shared<Partials>().v);
  if (threadIdx.x == 0) y[0] = total;
}
__global__ void exchange_within_a_warp(float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  for (int step = 0; step < 3; ++step) {
    s.v[threadIdx.x] = static_cast<float>(threadIdx.x);
    __syncwarp();
    y[threadIdx.x] = s.v[threadIdx.x ^ 1];
    __syncwarp();
  }
}
__global__ void double_buffer(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  const int i = static_cast<int>(threadIdx.x);
  cp_async<4>(s.v + i, x + i);
  cp_async_commit();
  float sum = 0;
  for (int step = 0; step < 4; ++step) {
    if (step < 3) cp_async<4>(s.v + (step + 1) % 2 * 32 + i, x + (step + 1) * 32 + i);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    sum += s.v[step % 2 * 32 + 31 - i];
    __syncthreads();
  }
  cp_async_wait<0>();
  y[i] = sum;
}
__global__ void histogram_with_atomics(const float* x, int* bins) {
  wait_for_kernels_before();
  atomicAdd(bins + (x[strided_first()] > 0), 1);
}
__global__ void neighbouring_halves(bf16* y) {
  wait_for_kernels_before();
  y[threadIdx.x] = from_float<bf16>(1);
}
__global__ void shuffles_of_halves(float* y) {
  wait_for_kernels_before();
  const unsigned mask = threadIdx.x % 32 < 16 ? 0xFFFFu : 0xFFFF0000u;
  if (threadIdx.x % 32 < 16) {
    y[threadIdx.x] = __shfl_xor_sync(mask, 1.0f, 8, 16);
  } else {
    y[threadIdx.x] = __shfl_down_sync(mask, 2.0f, 1, 16);
  }
}
__global__ void transpose_through_shared(const float* x, float* y) {
  wait_for_kernels_before();
  Line& s = shared<Line>();
  s.v[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s.v[threadIdx.x % 8 * 16 + threadIdx.x / 8];
}
__global__ void lock_that_is_freed(int* lock, float* y) {
  wait_for_kernels_before();
  while (atomicCAS(lock, 0, 1) != 0) {
  }
  atomicAdd(y, 1.0f);
  atomicExch(lock, 0);
}
__global__ void ahead_of_the_kernel_before(const float* x, float* y) {
  const float value = x[threadIdx.x];  // <- ahead_of_the_kernel_before
  wait_for_kernels_before();
  y[threadIdx.x] = value;
}
__global__ void vote_of_a_block(float* y) {
  wait_for_kernels_before();
  const int any = __syncthreads_or(threadIdx.x == 5);
  y[threadIdx.x] = static_cast<float>(any);
}
__global__ void read_by_all_then_written(float* y) {
  wait_for_kernels_before();
  Partials& s = shared<Partials>();
  if (threadIdx.x == 0) s.v[0] = 1;
  __syncthreads();
  const float first = s.v[0];
  __syncthreads();
  if (threadIdx.x == 7) s.v[0] = 2;
  __syncthreads();
  y[threadIdx.x] = first + s.v[0];
}

__global__ void global_stride(int stride, const float* x, float* y) {
  wait_for_kernels_before();
  y[threadIdx.x] = x[static_cast<int>(threadIdx.x) * stride];
}
struct ThousandFloats {
  alignas(16) float v[32 * 33 + 4];
};
template <int Width>
__global__ void shared_stride(int stride, float* y) {
  wait_for_kernels_before();
  ThousandFloats& s = shared<ThousandFloats>();
  for (int i = static_cast<int>(threadIdx.x); i < 32 * 33 + 4; i += 32) s.v[i] = 1;
  __syncwarp();
  const auto some = load_vec<Width>(s.v + static_cast<int>(threadIdx.x) * stride);
  y[threadIdx.x] = some[0];
}

}  // namespace

std::vector<KernelCase> broken_kernels() {
  const auto x = gpu_array<float>(128), y = gpu_array<float>(128);
  const auto unwritten = gpu_array<float>(128, false);
  const auto ints = gpu_array<int>(4), flag = gpu_array<int>(1);
  const auto halves = gpu_array<bf16>(128);
  const std::shared_ptr<float> host(new float[128]{}, std::default_delete<float[]>());
  const std::shared_ptr<float> nothing;
  const auto small = gpu_array<float>(100);
  return {
      CASE(past_the_end, Kind::bounds, 1, 160, 0, 128, y),
      CASE(before_the_beginning, Kind::bounds, 1, 128, 0, x, y),
      CASE(ragged_tail, Kind::bounds, 4, 32, 0, small, x),
      CASE(shared_past_the_end, Kind::bounds, 1, 64, 0, y),
      CASE(dynamic_past_the_end, Kind::bounds, 1, 32, 128, 40, y),
      CASE(memory_of_the_host, Kind::bounds, 1, 32, 0, host, y),
      CASE(null_pointer, Kind::bounds, 1, 32, 0, nothing, y),
      CASE(vector_over_the_end, Kind::bounds, 1, 64, 0, x, y),
      CASE(ahead_of_the_kernel_before, Kind::early, 1, 32, 0, x, y),
      CASE(misaligned_load, Kind::alignment, 1, 32, 0, x, y),
      CASE(misaligned_store, Kind::alignment, 1, 1, 0, y),
      CASE(misaligned_copy, Kind::alignment, 1, 16, 0, x, y),
      CASE(unwritten_memory, Kind::uninitialised, 1, 32, 0, unwritten, y),
      CASE(unwritten_shared, Kind::uninitialised, 1, 32, 0, y),
      CASE(too_many_partials, Kind::uninitialised, 1, 128, 0, x, y),
      CASE(copy_not_waited_for, Kind::uninitialised, 1, 32, 0, x, y),
      CASE(one_group_too_few, Kind::uninitialised, 1, 32, 0, x, y),
      CASE(no_barrier_after_writing, Kind::race, 1, 128, 0, x, y),
      CASE(no_barrier_before_reuse, Kind::race, 1, 128, 0, x, y),
      CASE(histogram_without_atomics, Kind::race, 2, 32, 0, x, ints),
      CASE(in_place_neighbour, Kind::race, 2, 32, 0, x),
      CASE(no_syncwarp, Kind::race, 1, 32, 0, y),
      CASE(syncwarp_between_warps, Kind::race, 1, 64, 0, y),
      CASE(shuffle_is_no_barrier, Kind::race, 1, 32, 0, y),
      CASE(atomic_and_plain, Kind::race, 1, 32, 0, ints, y),
      CASE(copy_without_barrier, Kind::race, 1, 128, 0, x, y),
      CASE(same_value_twice, Kind::race, 1, 32, 0, y),
      CASE(same_half, Kind::race, 1, 32, 0, halves),
      CASE(every_block_writes, Kind::race, 3, 32, 0, y),
      CASE(barrier_in_a_branch, Kind::divergence, 1, 64, 0, y),
      CASE(barriers_in_both_branches, Kind::divergence, 1, 64, 0, y),
      CASE(early_return, Kind::divergence, 1, 64, 0, 40, y),
      CASE(full_mask_of_half_a_warp, Kind::divergence, 1, 32, 0, y),
      CASE(mask_without_the_caller, Kind::divergence, 1, 32, 0, y),
      CASE(shuffle_from_outside, Kind::divergence, 1, 32, 0, y),
      CASE(barrier_against_warp, Kind::divergence, 1, 32, 0, y),
      CASE(matrix_word_of_half_a_warp, Kind::divergence, 1, 32, 0, y),
      CASE(nobody_sets_the_flag, Kind::deadlock, 1, 32, 0, flag, y),
      CASE(copy_left_behind, Kind::asynchronous, 1, 32, 0, x, y),
      on_arrays("block_too_large", nothing_wrong, Kind::launch, 1, 2048, 0, y),
      on_arrays("too_much_shared_memory", nothing_wrong, Kind::launch, 1, 32, 300 * 1024, y),
  };
}

std::vector<KernelCase> right_kernels() {
  const auto x = gpu_array<float>(128), y = gpu_array<float>(128);
  const auto ints = gpu_array<int>(4), flag = gpu_array<int>(1);
  const auto halves = gpu_array<bf16>(128);
  return {
      CASE(sum_of_a_block, {}, 1, 128, 0, x, y),
      CASE(exchange_within_a_warp, {}, 1, 64, 0, y),
      CASE(double_buffer, {}, 1, 32, 0, x, y),
      CASE(histogram_with_atomics, {}, 4, 32, 0, x, ints),
      CASE(neighbouring_halves, {}, 1, 128, 0, halves),
      CASE(shuffles_of_halves, {}, 1, 64, 0, y),
      CASE(transpose_through_shared, {}, 1, 128, 0, x, y),
      CASE(lock_that_is_freed, {}, 2, 64, 0, flag, y),
      CASE(vote_of_a_block, {}, 1, 96, 0, y),
      CASE(read_by_all_then_written, {}, 1, 64, 0, y),
      CASE(nothing_wrong, {}, 1, 32, 0, y),
  };
}

void read_global_with_stride(int stride) {
  const auto x = gpu_array<float>(32 * 33), y = gpu_array<float>(32);
  launch("global_stride", global_stride, 1, 32, 0, Cuda{}, stride, x.get(), y.get());
}

void read_shared_with_stride(int stride, int width) {
  const auto y = gpu_array<float>(32);
  launch("shared_stride", width == 4 ? shared_stride<4> : shared_stride<1>, 1, 32, 0, Cuda{},
         stride, y.get());
}

}  // namespace fettle
