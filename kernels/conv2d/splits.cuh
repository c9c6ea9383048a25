// A summed axis cut into parts: each part is computed as if it were the whole and waits in scratch
// memory; then the parts are added in an order that follows from the shape, so that the result has
// the same bits each time.
#pragma once

#include <type_traits>
#include <utility>

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// Where the parts lie: `padded` columns for every `channels` of the result. `lanes` threads, a
/// power of two, share the parts of an output.
struct PartsLayout {
  int64_t part;  ///< from a part to the next
  int splits, channels, padded, lanes;
};

template <int V>
struct PartsShared {
  Vec<float, V> sum[256];
};

/// `lanes` threads: V neighbouring outputs, the sums of their parts, each thread every lanes-th
/// part; a tree adds what they have. Bytes an output: 4 for each part and 2 or 4 to write; limited
/// by memory bandwidth, or, of few outputs and many parts, by how many loads are under way.
template <int V, bool Padded, class T>
__global__ void __launch_bounds__(256)
    conv2d_add_splits_kernel(int64_t n, PartsLayout layout, int K, const float* __restrict__ parts,
                             const float* __restrict__ bias, const T* addend, Epilogue epilogue,
                             T* out) {
  wait_for_kernels_before();
  auto& s = shared<PartsShared<V>>();
  const int thread = static_cast<int>(threadIdx.x), across = 256 / layout.lanes;
  const int lane = thread / across;
  for (int64_t first = int64_t{blockIdx.x} * across * V; first < n;
       first += int64_t{gridDim.x} * across * V) {
    const int64_t i = first + thread % across * V;
    Vec<float, V> sum = {};
    if (i < n) {
      const int64_t from = Padded ? i / layout.channels * layout.padded + i % layout.channels : i;
#pragma unroll 4
      for (int split = lane; split < layout.splits; split += layout.lanes) {
        const auto values = load_vec<V>(parts + split * layout.part + from);
#pragma unroll
        for (int k = 0; k < V; ++k) sum[k] += values[k];
      }
    }
    if (layout.lanes > 1) {
      s.sum[thread] = sum;
      for (int half = layout.lanes / 2; half > 0; half /= 2) {
        __syncthreads();
        if (lane >= half) continue;
        const Vec<float, V> other = s.sum[thread + half * across];
#pragma unroll
        for (int k = 0; k < V; ++k) sum[k] += other[k];
        s.sum[thread] = sum;
      }
      __syncthreads();  // before the memory is used again
    }
    if (lane > 0 || i >= n) continue;
    const Vec<float, V> more = addend ? load_floats<V>(addend + i) : Vec<float, V>{};
#pragma unroll
    for (int k = 0; k < V; ++k) {
      if (bias) sum[k] += bias[(i + k) % K];
      sum[k] += more[k];
      if (epilogue == Epilogue::relu && sum[k] < 0) sum[k] = 0;
    }
    store_floats(out + i, sum);
  }
}

/// As many threads for an output as leave each four parts, until the GPU is full.
inline int lanes_for_parts(int64_t outputs, int splits) {
  int lanes = 1;
  while (lanes < 32 && splits >= 8 * lanes && outputs * lanes < 132 * 1024) lanes *= 2;
  return lanes;
}

/// Cuts the sum of `gemm` into `splits` parts of whole `step`s, lets `compute(gemm)` store them and
/// adds them. `outputs` is the size of the whole result. Where `padded` is more than `channels`,
/// compute stores a multiple of so many columns for each `channels` of them; scratch slot 0.
template <class G, class Compute>
void in_splits(const char* name, int splits, int step, Cuda device, G gemm, int64_t outputs,
               int channels, int padded, const Compute& compute) {
  if (outputs == 0) return;
  const GemmOutput final = gemm.out;
  gemm.k_per_split = ((gemm.K + splits - 1) / splits + step - 1) / step * step;
  gemm.splits = gemm.K == 0 ? 1 : (gemm.K + gemm.k_per_split - 1) / gemm.k_per_split;
  if (gemm.splits == 1 && channels == padded) return compute(gemm);

  const int64_t part = channels == padded ? outputs : outputs / channels * padded;
  gemm.out =
      GemmOutput::to(scratch<float>(device, gemm.splits * part), final.width, final.group_step);
  gemm.out.split_step = part;
  compute(gemm);
  const auto add = [&](auto* to, const auto* addend) {
    using T = std::remove_pointer_t<decltype(to)>;
    const bool in_fours =
        channels == padded && outputs % 4 == 0 && part % 4 == 0 && in_vectors(to, addend);
    const int64_t groups = in_fours ? outputs / 4 : outputs;
    const int lanes = lanes_for_parts(groups, gemm.splits);
    launch(name,
           in_fours             ? conv2d_add_splits_kernel<4, false, T>
           : channels == padded ? conv2d_add_splits_kernel<1, false, T>
                                : conv2d_add_splits_kernel<1, true, T>,
           strided_blocks(groups * lanes, 256), 256, 0, device, outputs,
           PartsLayout{part, gemm.splits, channels, padded, lanes}, final.width,
           std::as_const(gemm.out.first), final.bias, addend, final.epilogue, to);
  };
  final.rounded ? add(final.rounded, final.rounded_addend) : add(final.first, final.addend);
}

}  // namespace fettle
