#include "tests/kernels/words.h"

#include "kernels/cu.h"

namespace fettle {
namespace {

__device__ uint32_t pair_of(const float* low, const float* high) {
  return from_float<bf16>(*low).bits | uint32_t{from_float<bf16>(*high).bits} << 16;
}

__global__ void mma_bf16_kernel(const float* a, const float* b, float* d) {
  wait_for_kernels_before();
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; ++i) {
    const float* first = a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
    fa[i] = pair_of(first, first + 1);
  }
  for (int i = 0; i < 2; ++i) {
    const float* first = b + (2 * t + i * 8) * 8 + g;
    fb[i] = pair_of(first, first + 8);
  }
  float sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_bf16(sums, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

__global__ void mma_tf32_kernel(const float* a, const float* b, float* d) {
  wait_for_kernels_before();
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  uint32_t fa[4], fb[2];
  for (int i = 0; i < 4; ++i) fa[i] = to_tf32(a[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) fb[i] = to_tf32(b[(t + i * 4) * 8 + g]);
  float sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = d[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
  mma_tf32(sums, fa, fb);
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = sums[i];
}

struct Matrices {
  alignas(16) uint16_t v[4][8][8];
};

__global__ void ldmatrix_kernel(bool transposed, const uint16_t* matrices, uint32_t* registers) {
  wait_for_kernels_before();
  Matrices& s = shared<Matrices>();
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 8; ++i) s.v[lane / 8][lane % 8][i] = matrices[lane * 8 + i];
  __syncwarp();
  uint32_t r[4];
  if (transposed) {
    ldmatrix_x4_transposed(r, s.v[lane / 8][lane % 8]);
  } else {
    ldmatrix_x4(r, s.v[lane / 8][lane % 8]);
  }
  for (int i = 0; i < 4; ++i) registers[lane * 4 + i] = r[i];
}

struct Copies {
  alignas(16) float v[32 * 7];
};

__global__ void cp_async_kernel(const float* x, float* y) {
  wait_for_kernels_before();
  Copies& s = shared<Copies>();
  const int lane = static_cast<int>(threadIdx.x);
  const bool valid = lane < 16;
  cp_async<4>(s.v + lane, x + lane, valid);
  cp_async_commit();
  cp_async<8>(s.v + 32 + lane * 2, x + 32 + lane * 2, valid);
  cp_async_commit();
  cp_async<16>(s.v + 96 + lane * 4, x + 96 + lane * 4, valid);
  cp_async_commit();
  cp_async_wait<2>();
  y[lane] = s.v[lane];
  cp_async_wait<0>();
  __syncthreads();
  for (int i = 32 + lane; i < 32 * 7; i += 32) y[i] = s.v[i];
}

__global__ void round_kernel(int n, const float* x, uint32_t* tf32, uint16_t* brain,
                             uint16_t* half) {
  wait_for_kernels_before();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) {
    tf32[i] = to_tf32(x[i]);
    brain[i] = from_float<bf16>(x[i]).bits;
    half[i] = from_float<fp16>(x[i]).bits;
  }
}

__global__ void widen_kernel(float* y) {
  wait_for_kernels_before();
  for (int i = static_cast<int>(threadIdx.x); i < 65536; i += 256) {
    y[i] = to_float(fp16{static_cast<uint16_t>(i)});
  }
}

struct Partials {
  float v[32];
};

__global__ void exchange_kernel(const float* x, float* y) {
  wait_for_kernels_before();
  const int thread = static_cast<int>(threadIdx.x);
  float* out = y + thread * 6;
  out[0] = warp_sum(x[thread]);
  out[1] = block_sum(x[thread], shared<Partials>().v);
  out[2] = warp_max(x[thread]);
  out[3] = static_cast<float>(__ballot_sync(all_lanes, x[thread] > 0) & 0xFFFFu);
  out[4] = __shfl_sync(all_lanes, x[thread], 3, 8);
  out[5] = __shfl_down_sync(all_lanes, x[thread], 2);
}

}  // namespace

void word_mma_bf16(Cuda device, const float* a, const float* b, float* d) {
  launch("mma_bf16", mma_bf16_kernel, 1, 32, 0, device, a, b, d);
}
void word_mma_tf32(Cuda device, const float* a, const float* b, float* d) {
  launch("mma_tf32", mma_tf32_kernel, 1, 32, 0, device, a, b, d);
}
void word_ldmatrix(Cuda device, bool transposed, const uint16_t* matrices, uint32_t* registers) {
  launch("ldmatrix", ldmatrix_kernel, 1, 32, 0, device, transposed, matrices, registers);
}
void word_cp_async(Cuda device, const float* x, float* y) {
  launch("cp_async", cp_async_kernel, 1, 32, 0, device, x, y);
}
void word_round(Cuda device, int n, const float* x, uint32_t* tf32, uint16_t* brain,
                uint16_t* half) {
  launch("round", round_kernel, 1, 32, 0, device, n, x, tf32, brain, half);
}
void word_widen(Cuda device, float* y) {
  launch("widen", widen_kernel, 1, 256, 0, device, y);
}
void word_exchange(Cuda device, const float* x, float* y) {
  launch("exchange", exchange_kernel, 1, 96, 0, device, x, y);
}

}  // namespace fettle
