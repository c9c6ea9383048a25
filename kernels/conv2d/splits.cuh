// A summed axis cut into parts: each part is computed as if it were the whole and waits in scratch
// memory; then the parts are added in their order, so that the result has the same bits each time.
#pragma once

#include <utility>

#include "kernels/conv2d/operands.cuh"

namespace fettle {

/// Where the parts lie: `padded` columns for every `channels` of the result.
struct PartsLayout {
  int64_t part;  ///< from a part to the next
  int splits, channels, padded;
};

/// One thread: one output, the sum of its parts. Bytes an output: 4 for each part and 2 or 4 to
/// write; limited by memory bandwidth.
template <bool Padded, class T>
__global__ void __launch_bounds__(256)
    conv2d_add_splits_kernel(int64_t n, PartsLayout layout, int K, const float* __restrict__ parts,
                             const float* __restrict__ bias, Epilogue epilogue,
                             T* __restrict__ out) {
  for (int64_t i = strided_first(); i < n; i += strided_step()) {
    float sum = bias ? bias[i % K] : 0.0f;
    const int64_t from = Padded ? i / layout.channels * layout.padded + i % layout.channels : i;
    for (int split = 0; split < layout.splits; ++split) sum += parts[split * layout.part + from];
    out[i] = from_float<T>(epilogue == Epilogue::relu && sum < 0 ? 0.0f : sum);
  }
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
  const auto add = [&](auto* to, auto whole, auto with_pads) {
    launch(name, channels == padded ? whole : with_pads, strided_blocks(outputs, 256), 256, 0,
           device, outputs, PartsLayout{part, gemm.splits, channels, padded}, final.width,
           std::as_const(gemm.out.first), final.bias, final.epilogue, to);
  };
  if (final.rounded) {
    add(final.rounded, conv2d_add_splits_kernel<false, bf16>, conv2d_add_splits_kernel<true, bf16>);
  } else {
    add(final.first, conv2d_add_splits_kernel<false, float>, conv2d_add_splits_kernel<true, float>);
  }
}

}  // namespace fettle
