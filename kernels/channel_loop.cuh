// The loop of kernels that do the same to every row of [rows,C] with numbers of each column. A
// thread keeps its columns while it goes down the rows, so that it fetches and prepares the
// columns' numbers once; a warp still reads neighbours. The limit is memory bandwidth.
#pragma once

#include <algorithm>

#include "kernels/cu.h"

namespace fettle {

/// formula.columns<V>(c) prepares columns c to c + V - 1, formula.load<V>(i) reads the elements i
/// to i + V - 1, which lie in them, and formula.at<V>(i, loaded, prepared) computes them. Two rows
/// are on their way at once.
template <int V, class Formula>
__global__ void __launch_bounds__(256) channel_loop_kernel(int64_t rows, int C, Formula formula) {
  wait_for_kernels_before();
  const int across = C / V;
  const int64_t step = strided_step() / across * across;  // whole rows: the column stays
  const int64_t first = strided_first();
  if (first >= step) return;
  const auto prepared = formula.template columns<V>(static_cast<int>(first % across) * V);
  const int64_t end = rows * across;
  int64_t i = first;
  for (; i + step < end; i += 2 * step) {
    const auto one = formula.template load<V>(i * V),
               other = formula.template load<V>((i + step) * V);
    formula.template at<V>(i * V, one, prepared);
    formula.template at<V>((i + step) * V, other, prepared);
  }
  if (i < end) formula.template at<V>(i * V, formula.template load<V>(i * V), prepared);
}

/// `first` and `more` are the arrays that the formula reads and writes at i, by the type of the
/// first, and those of its columns' numbers; one may be nullptr. To prepare its columns a thread
/// reads as much as in a few rows: there are no more threads than a GPU holds at once, so that each
/// has many rows to go.
template <class Formula, class T, class... More>
void channel_loop(const char* name, Cuda device, int64_t rows, int64_t C, const Formula& formula,
                  const T* first, const More*... more) {
  constexpr int V = in_16_bytes<T>;
  const bool vectors = C % V == 0 && in_vectors(first, more...);
  const int64_t across = vectors ? C / V : C;
  if (rows * across == 0) return;
  const unsigned at_once = static_cast<unsigned>(gpu_info().multiprocessors) * 4;
  const unsigned blocks = std::min(blocks_for(rows * across, 256), at_once);
  launch(name, vectors ? channel_loop_kernel<V, Formula> : channel_loop_kernel<1, Formula>,
         std::max(blocks, blocks_for(across, 256)), 256, 0, device, rows, static_cast<int>(C),
         formula);
}

}  // namespace fettle
