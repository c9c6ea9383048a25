#include "tests/kernels/hopper_words.h"

#include "kernels/cu.h"

namespace fettle {
namespace {

/// A block of one warp waits for one copy and shows what has landed.
struct Landing {
  Mbarrier landed;
};

template <class Copy>
__device__ void land(int bytes, uint8_t* out, const Copy& copy) {
  auto* box = dynamic_shared<uint8_t>();
  Mbarrier& landed = shared<Landing>().landed;
  if (threadIdx.x == 0) {
    mbarrier_init(landed, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect(landed, bytes);
    copy(box, landed);
  }
  __syncwarp();
  mbarrier_wait(landed, 0);
  for (int i = static_cast<int>(threadIdx.x); i < bytes; i += 32) out[i] = box[i];
}

__global__ void bulk_copy_kernel(const __grid_constant__ TensorMap map, int bytes, int rank, int c0,
                                 int c1, int c2, uint8_t* out) {
  wait_for_kernels_before();
  land(bytes, out, [&](uint8_t* box, Mbarrier& landed) {
    if (rank == 2) {
      bulk_copy(box, map, landed, c0, c1);
    } else {
      bulk_copy(box, map, landed, c0, c1, c2);
    }
  });
}

__global__ void bulk_copy_windows_kernel(const __grid_constant__ TensorMap map, int bytes,
                                         WindowsCopy at, uint8_t* out) {
  wait_for_kernels_before();
  land(bytes, out, [&](uint8_t* box, Mbarrier& landed) {
    bulk_copy_windows(box, map, landed, at.c, at.w, at.h, at.n, at.offset_w, at.offset_h);
  });
}

constexpr int panel_bytes = 64 * 128;

/// One warpgroup. Operands lie in panels of 64 lines of 128 bytes; A may be fetched into registers.
template <int N, bool Tf32, bool AAlongK, bool BAlongK, bool AInRegisters = false>
__global__ void __launch_bounds__(128)
    wgmma_kernel(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b,
                 bool add, float* d) {
  wait_for_kernels_before();
  auto* a = dynamic_shared<uint8_t>();
  uint8_t* b = a + panel_bytes;
  Mbarrier& landed = shared<Landing>().landed;
  if (threadIdx.x == 0) {
    mbarrier_init(landed, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect(landed, panel_bytes * (1 + N / 64));
    bulk_copy(a, map_a, landed, 0, 0);
    for (int i = 0; i < N / 64; ++i) {
      bulk_copy(b + i * panel_bytes, map_b, landed, BAlongK ? 0 : i * 64, BAlongK ? i * 64 : 0);
    }
  }
  __syncthreads();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int row0 = thread / 32 * 16 + lane / 4, column0 = lane % 4 * 2;
  const auto at = [&](int i) { return (row0 + i % 4 / 2 * 8) * N + i / 4 * 8 + column0 + i % 2; };
  float sums[N / 2];
#pragma unroll
  for (int i = 0; i < N / 2; ++i) sums[i] = d[at(i)];
  mbarrier_wait(landed, 0);
  uint32_t fetched[4][4];
  if constexpr (AInRegisters) {
    for (int i = 0; i < 16; ++i) {
      const int row = row0 + i % 2 * 8, chunk = i / 2;  // of four steps of k
      fetched[i / 4][i % 4] =
          *reinterpret_cast<const uint32_t*>(a + row * 128 + (chunk ^ row % 8) * 16 + lane % 4 * 4);
    }
  }
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    const uint64_t from_a =
        wgmma_descriptor(a + step * (AAlongK ? 32 : 2048), panel_bytes, 1024, Swizzle::bytes128);
    const uint64_t from_b =
        wgmma_descriptor(b + step * (BAlongK ? 32 : 2048), panel_bytes, 1024, Swizzle::bytes128);
    if constexpr (AInRegisters) {
      wgmma_tf32<N>(sums, fetched[step], from_b, add || step > 0);
    } else if constexpr (Tf32) {
      wgmma_tf32<N>(sums, from_a, from_b, add || step > 0);
    } else {
      wgmma_bf16<N, AAlongK, BAlongK>(sums, from_a, from_b, add || step > 0);
    }
  }
  wgmma_commit();
  wgmma_wait<0>();
#pragma unroll
  for (int i = 0; i < N / 2; ++i) d[at(i)] = sums[i];
}

template <int N, bool AAlongK, bool BAlongK>
void launch_wgmma(Cuda device, bool add, const uint16_t* a, const uint16_t* b, float* d) {
  const TensorMap map_a = tiled_map(TensorElement::bf16, a, {64, 64}, {64, 64}, Swizzle::bytes128);
  const TensorMap map_b = tiled_map(TensorElement::bf16, b, {BAlongK ? 64 : N, BAlongK ? N : 64},
                                    {64, 64}, Swizzle::bytes128);
  launch("wgmma_bf16", wgmma_kernel<N, false, AAlongK, BAlongK>, 1, 128, panel_bytes * (1 + N / 64),
         device, map_a, map_b, add, d);
}

template <int N>
void launch_wgmma(Cuda device, bool a_along_k, bool b_along_k, bool add, const uint16_t* a,
                  const uint16_t* b, float* d) {
  const auto run = a_along_k
                       ? (b_along_k ? launch_wgmma<N, true, true> : launch_wgmma<N, true, false>)
                   : b_along_k ? launch_wgmma<N, false, true>
                               : launch_wgmma<N, false, false>;
  run(device, add, a, b, d);
}

struct Matrices {
  alignas(16) uint16_t v[4][8][8];
};

__global__ void stmatrix_kernel(const uint32_t* registers, uint16_t* matrices) {
  wait_for_kernels_before();
  Matrices& s = shared<Matrices>();
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t r[4];
  for (int i = 0; i < 4; ++i) r[i] = registers[lane * 4 + i];
  stmatrix_x4_transposed(s.v[lane / 8][lane % 8], r);
  __syncwarp(all_lanes);
  for (int i = 0; i < 8; ++i) matrices[lane * 8 + i] = s.v[lane / 8][lane % 8][i];
}

struct Ring {
  Mbarrier full[2], empty[2];
  float place[2][32];
};

__global__ void ring_kernel(const float* x, float* y) {
  wait_for_kernels_before();
  Ring& ring = shared<Ring>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  if (thread == 0) {
    for (int i = 0; i < 2; ++i) {
      mbarrier_init(ring.full[i], 32);
      mbarrier_init(ring.empty[i], 32);
    }
  }
  __syncthreads();
  float sum = 0;
  for (int step = 0; step < 8; ++step) {
    const int i = step % 2, parity = step / 2 % 2;
    if (thread < 32) {
      mbarrier_wait(ring.empty[i], parity ^ 1);
      ring.place[i][lane] = x[step * 32 + lane];
      mbarrier_arrive(ring.full[i]);
    } else {
      mbarrier_wait(ring.full[i], parity);
      sum += ring.place[i][lane];
      mbarrier_arrive(ring.empty[i]);
    }
  }
  if (thread >= 32) y[lane] = sum;
}

}  // namespace

void word_bulk_copy(Cuda device, const TensorMap& map, int bytes, int rank, int c0, int c1, int c2,
                    uint8_t* out) {
  launch("bulk_copy", bulk_copy_kernel, 1, 32, static_cast<size_t>(bytes), device, map, bytes, rank,
         c0, c1, c2, out);
}
void word_bulk_copy_windows(Cuda device, const TensorMap& map, int bytes, WindowsCopy at,
                            uint8_t* out) {
  launch("bulk_copy_windows", bulk_copy_windows_kernel, 1, 32, static_cast<size_t>(bytes), device,
         map, bytes, at, out);
}
void word_wgmma_bf16(Cuda device, int N, bool a_along_k, bool b_along_k, bool add,
                     const uint16_t* a, const uint16_t* b, float* d) {
  const auto run = N == 64    ? launch_wgmma<64>
                   : N == 128 ? launch_wgmma<128>
                   : N == 192 ? launch_wgmma<192>
                              : launch_wgmma<256>;
  run(device, a_along_k, b_along_k, add, a, b, d);
}
void word_wgmma_tf32(Cuda device, int N, bool a_in_registers, bool add, const float* a,
                     const float* b, float* d) {
  const TensorMap map_a = tiled_map(TensorElement::tf32, a, {32, 64}, {32, 64}, Swizzle::bytes128);
  const TensorMap map_b = tiled_map(TensorElement::tf32, b, {32, N}, {32, 64}, Swizzle::bytes128);
  const auto start = [&](auto in_registers) {
    constexpr bool fetches = in_registers;
    const auto kernel = N == 64    ? wgmma_kernel<64, true, true, true, fetches>
                        : N == 128 ? wgmma_kernel<128, true, true, true, fetches>
                        : N == 192 ? wgmma_kernel<192, true, true, true, fetches>
                                   : wgmma_kernel<256, true, true, true, fetches>;
    launch("wgmma_tf32", kernel, 1, 128, static_cast<size_t>(panel_bytes * (1 + N / 64)), device,
           map_a, map_b, add, d);
  };
  a_in_registers ? start(std::true_type{}) : start(std::false_type{});
}
void word_stmatrix_transposed(Cuda device, const uint32_t* registers, uint16_t* matrices) {
  launch("stmatrix", stmatrix_kernel, 1, 32, 0, device, registers, matrices);
}
void word_ring(Cuda device, const float* x, float* y) {
  launch("ring", ring_kernel, 1, 64, 0, device, x, y);
}

}  // namespace fettle
