// Sums over the rows of [batches, rows, columns], the skeleton of every reduction here: the sum of
// an array, gradients of biases, batch statistics, overlap counts.
//
// Two kernels. In the first, a block of 256 threads takes up to 32 columns of one chunk of rows and
// reduces them to one number a column; in the second, a warp adds a column's chunks. How rows are
// cut into chunks follows from the shape alone, and every sum is formed in a fixed order, so the
// result has the same bits from run to run and on every GPU. Threads sum 16 elements in fp32 and
// go on in fp64: as exact as fp64, with a sixteenth of its operations.
//
// Shared memory: 2 KiB a quantity. Bytes: each element is read once; partial sums are few. The
// limit is memory bandwidth.
#pragma once

#include <algorithm>

#include "kernels/cu.h"

namespace fettle {

struct ColumnSumsShape {
  int64_t batches = 1, rows = 1;
  int columns = 1;

  /// Columns of a block; narrow arrays put several rows side by side in a warp.
  int lanes() const { return std::min(columns, 32); }
  int64_t column_blocks() const { return (columns + 31) / 32; }
  int64_t chunks() const {
    const int64_t rows_a_pass = 8 * (32 / lanes());
    const int64_t useful = std::max<int64_t>(2048 / (column_blocks() * batches), 1);
    return std::clamp<int64_t>(rows / (rows_a_pass * 4), 1, useful);
  }
};

template <int Quantities>
struct ColumnSumsShared {
  double v[Quantities][8][32];
};

/// What is called for the rows of one column: element.in_column(column), where an element has
/// numbers of its column to prepare, else the element itself.
template <class Element>
__device__ auto for_column(const Element& element, int column) {
  if constexpr (requires { element.in_column(column); }) {
    return element.in_column(column);
  } else {
    return element;
  }
}

/// `Element` is called as element(batch, row, column, values) and sets the values to be added.
template <int Quantities, class Element>
__global__ void __launch_bounds__(256)
    column_sums_chunks_kernel(int64_t batches, int64_t rows, int columns, int lanes,
                              int64_t rows_a_chunk, Element element, double* partial) {
  auto& s = shared<ColumnSumsShared<Quantities>>();
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int side = 32 / lanes;  // rows side by side in a warp
  const int column = static_cast<int>(blockIdx.x) * 32 + tx % lanes;
  const bool active = tx < side * lanes && column < columns;
  const auto mine = for_column(element, active ? column : 0);
  const int64_t chunk = blockIdx.y, chunks = gridDim.y;
  const int64_t end = (chunk + 1) * rows_a_chunk < rows ? (chunk + 1) * rows_a_chunk : rows;

  for (int64_t batch = blockIdx.z; batch < batches; batch += gridDim.z) {
    double total[Quantities] = {};
    if (active) {
      int64_t row = chunk * rows_a_chunk + ty * side + tx / lanes;
      while (row < end) {
        float few[Quantities] = {};
        for (int i = 0; i < 16 && row < end; ++i, row += 8 * side) {
          float values[Quantities];
          mine(batch, row, column, values);
          for (int k = 0; k < Quantities; ++k) few[k] += values[k];
        }
        for (int k = 0; k < Quantities; ++k) total[k] += few[k];
      }
    }
    for (int k = 0; k < Quantities; ++k) s.v[k][ty][tx] = total[k];
    __syncthreads();
    if (ty == 0 && tx < lanes && column < columns) {
      for (int k = 0; k < Quantities; ++k) {
        double sum = 0;
        for (int i = 0; i < 8; ++i) {
          for (int j = tx; j < side * lanes; j += lanes) sum += s.v[k][i][j];
        }
        partial[((batch * chunks + chunk) * Quantities + k) * columns + column] = sum;
      }
    }
    __syncthreads();
  }
}

/// One warp: a column of a batch. `Finish` is called once, as finish(batch, column, sums).
template <int Quantities, class Finish>
__global__ void __launch_bounds__(256)
    column_sums_finish_kernel(int64_t batches, int64_t chunks, int columns, const double* partial,
                              Finish finish) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t warps = int64_t{gridDim.x} * 8;
  for (int64_t i = int64_t{blockIdx.x} * 8 + threadIdx.x / 32; i < batches * columns; i += warps) {
    const int64_t batch = i / columns;
    const int column = static_cast<int>(i % columns);
    double sums[Quantities] = {};
    for (int64_t chunk = lane; chunk < chunks; chunk += 32) {
      for (int k = 0; k < Quantities; ++k) {
        sums[k] += partial[((batch * chunks + chunk) * Quantities + k) * columns + column];
      }
    }
    for (int k = 0; k < Quantities; ++k) sums[k] = warp_sum(sums[k]);
    if (lane == 0) finish(batch, column, sums);
  }
}

/// finish(batch, column, sums over the rows of element(batch, row, column)). Uses scratch().
template <int Quantities, class Element, class Finish>
void column_sums(const char* name, Cuda device, const ColumnSumsShape& shape,
                 const Element& element, const Finish& finish) {
  if (shape.batches == 0 || shape.columns == 0) return;
  const int64_t chunks = shape.chunks();
  const int64_t rows_a_chunk = (shape.rows + chunks - 1) / chunks;
  double* partial = scratch<double>(device, shape.batches * chunks * Quantities * shape.columns);
  const dim3 grid(static_cast<unsigned>(shape.column_blocks()), static_cast<unsigned>(chunks),
                  static_cast<unsigned>(std::min<int64_t>(shape.batches, 65535)));
  launch(name, column_sums_chunks_kernel<Quantities, Element>, grid, dim3(32, 8), 0, device,
         shape.batches, shape.rows, shape.columns, shape.lanes(), rows_a_chunk, element, partial);
  launch(name, column_sums_finish_kernel<Quantities, Finish>,
         std::min(blocks_for(shape.batches * shape.columns, 8), 4096u), 256, 0, device,
         shape.batches, chunks, shape.columns, partial, finish);
}

}  // namespace fettle
