// Sums over the rows of [batches, rows, columns], the skeleton of every reduction here: the sum of
// an array, gradients of biases, batch statistics, overlap counts.
//
// A single column is seen as one of vectors of rows, whose elements the block adds at its end,
// unless the element has numbers of its column: then its vectors would be of the columns beside it.
//
// Two kernels. In the first, a block of 256 threads takes one chunk of rows of up to 32 vectors of
// columns: a thread goes down a vector of 16 bytes, four rows in flight, and the block's sums meet
// in shared memory. In the second, a block adds the chunks of 8 columns. How rows are cut into
// chunks follows from the shape alone, and every sum is formed in a fixed order, so the result has
// the same bits from run to run and on every GPU. At most 64 rows follow one another in `Sum`,
// float or double; the rest is a tree, and chunks are added in fp64: a sum of millions is as exact
// as one of a hundred.
//
// Shared memory: 1 KiB a quantity and column of the vector. Bytes: each element is read once;
// partial sums are few. The limit is memory bandwidth.
#pragma once

#include <algorithm>
#include <utility>

#include "kernels/cu.h"

namespace fettle {

struct ColumnSumsShape {
  int64_t batches = 1, rows = 1;
  int columns = 1;
};

/// How the first kernel walks over a shape, in vectors of `V` columns.
template <int V>
struct ColumnSumsWalk {
  static constexpr int threads = 256;
  int lanes, lines;  ///< vectors of a row that a block takes, and its rows side by side
  int64_t column_blocks, chunks, rows_a_chunk;

  explicit ColumnSumsWalk(const ColumnSumsShape& s) {
    const int across = s.columns / V;
    lanes = std::min(across, 32);
    lines = threads / lanes;
    column_blocks = (across + lanes - 1) / lanes;
    // 256 blocks, with four rows of each thread in flight, fill any GPU; a thread has four rows at
    // least and 64 at most.
    const int64_t useful = std::max<int64_t>(256 / (column_blocks * s.batches), 1);
    chunks = std::clamp<int64_t>(s.rows / (lines * 4), 1, useful);
    chunks = std::max(chunks, std::min<int64_t>((s.rows + lines * 64 - 1) / (lines * 64), 65535));
    rows_a_chunk = (s.rows + chunks - 1) / chunks;
  }
};

template <int Quantities, int V, class Sum>
struct ColumnSumsShared {
  Sum v[Quantities][V][ColumnSumsWalk<V>::threads];
};

/// Adds what the lines of a block hold, at v[line * lanes + lane]: line 0 ends with the sums.
template <class T, size_t Arrays, size_t Threads>
__device__ __forceinline__ void add_lines(T (&v)[Arrays][Threads], int lines, int lanes, int line,
                                          int thread) {
  while (lines > 1) {
    const int half = (lines + 1) / 2;
    __syncthreads();
    if (line < lines - half) {
#pragma unroll
      for (auto& array : v) array[thread] += array[thread + half * lanes];
    }
    lines = half;
  }
}

/// What an element without numbers of its columns is given.
struct NoNumbers {};
template <class Element>
constexpr bool has_columns = requires(const Element& element) {
  element.template columns<1>(0);
};
template <int V, class Element>
__device__ auto prepared_columns(const Element& element, int column) {
  if constexpr (has_columns<Element>) {
    return element.template columns<V>(column);
  } else {
    return NoNumbers{};
  }
}

template <class Element>
constexpr int rows_at_once() {
  if constexpr (requires { Element::rows_at_once; }) {
    return Element::rows_at_once;
  } else {
    return 4;
  }
}

/// The elements of an array as they are.
struct EachElement {
  const float* x;
  template <int V>
  __device__ void at(int64_t i, NoNumbers, Vec<float, V> (&values)[1]) const {
    values[0] = load_vec<V>(x + i);
  }
};

/// `Element` may prepare numbers of its columns by element.columns<V>(column); with them,
/// element.at<V>(i, prepared, values) sets the values to be added, where i counts the elements of
/// the whole array. A thread has element.rows_at_once rows on their way, four if it does not say.
/// `Folded`: the V columns are one.
template <int Quantities, int V, bool Folded, class Sum, class Element>
__global__ void __launch_bounds__(256, 2)
    column_sums_chunks_kernel(ColumnSumsShape shape, ColumnSumsWalk<V> walk, Element element,
                              Sum* partial) {
  wait_for_kernels_before();
  auto& s = shared<ColumnSumsShared<Quantities, V, Sum>>();
  const int thread = static_cast<int>(threadIdx.x);
  const int line = thread / walk.lanes, lane = thread % walk.lanes;
  const int column = (static_cast<int>(blockIdx.x) * walk.lanes + lane) * V;
  const bool active = line < walk.lines && column < shape.columns;
  const auto prepared = prepared_columns<V>(element, active ? column : 0);
  const int64_t first = int64_t{blockIdx.y} * walk.rows_a_chunk;
  const int64_t end =
      first + walk.rows_a_chunk < shape.rows ? first + walk.rows_a_chunk : shape.rows;
  for (int64_t batch = blockIdx.z; batch < shape.batches; batch += gridDim.z) {
    Vec<Sum, V> total[Quantities] = {};
    const auto add_rows = [&](int64_t row, auto rows) {
      Vec<float, V> values[rows][Quantities];
#pragma unroll
      for (int r = 0; r < rows; ++r) {
        const int64_t at = batch * shape.rows + row + r * walk.lines;
        element.template at<V>(at * shape.columns + column, prepared, values[r]);
      }
#pragma unroll
      for (int r = 0; r < rows; ++r) {
        for (int k = 0; k < Quantities; ++k) {
          for (int e = 0; e < V; ++e) total[k][e] += values[r][k][e];
        }
      }
    };
    if (active) {
      int64_t row = first + line;
      constexpr int at_once = rows_at_once<Element>();
      for (; row + (at_once - 1) * walk.lines < end; row += at_once * walk.lines) {
        add_rows(row, std::integral_constant<int, at_once>{});
      }
      for (; row < end; row += walk.lines) add_rows(row, std::integral_constant<int, 1>{});
    }
    for (int k = 0; k < Quantities; ++k) {
      for (int e = 0; e < V; ++e) s.v[k][e][thread] = total[k][e];
    }
    for (int k = 0; k < Quantities; ++k) add_lines(s.v[k], walk.lines, walk.lanes, line, thread);
    if (line == 0 && active) {
      const int64_t part = batch * gridDim.y + blockIdx.y;
      for (int k = 0; k < Quantities; ++k) {
        Sum* const to = partial + (part * Quantities + k) * (Folded ? 1 : shape.columns) + column;
        Sum all = 0;
        for (int e = 0; e < V; ++e) {
          if (Folded) {
            all += s.v[k][e][thread];
          } else {
            to[e] = s.v[k][e][thread];
          }
        }
        if (Folded) to[0] = all;
      }
    }
    __syncthreads();
  }
}

/// A warp has four lines of 8 columns, so that it reads whole sectors.
struct ColumnSumsFinish {
  static constexpr int threads = 512, columns = 8, lines = threads / columns, warps = threads / 32;
};

/// One block: 8 columns of a batch. `Finish` is called once, as finish(batch, column, sums). There
/// is little to add, and what takes time is waiting: a thread has four loads on their way at once,
/// and its warp adds by shuffles.
template <int Quantities, class Sum, class Finish>
__global__ void __launch_bounds__(ColumnSumsFinish::threads)
    column_sums_finish_kernel(ColumnSumsShape shape, int64_t chunks, const Sum* partial,
                              Finish finish) {
  wait_for_kernels_before();
  using F = ColumnSumsFinish;
  struct Shared {
    double v[Quantities][F::warps][F::columns];
  };
  auto& s = shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int line = thread / F::columns, own = thread % F::columns;
  const int column = static_cast<int>(blockIdx.x) * F::columns + own;
  const bool active = column < shape.columns;
  for (int64_t batch = blockIdx.y; batch < shape.batches; batch += gridDim.y) {
    double sums[Quantities] = {};
    const auto add = [&](int64_t chunk, auto count) {
      Sum values[count][Quantities];
#pragma unroll
      for (int i = 0; i < count; ++i) {
        const int64_t at = (batch * chunks + chunk + i * F::lines) * Quantities;
        for (int k = 0; k < Quantities; ++k)
          values[i][k] = partial[(at + k) * shape.columns + column];
      }
#pragma unroll
      for (int i = 0; i < count; ++i) {
        for (int k = 0; k < Quantities; ++k) sums[k] += values[i][k];
      }
    };
    if (active) {
      int64_t chunk = line;
      for (; chunk + 3 * F::lines < chunks; chunk += 4 * F::lines)
        add(chunk, std::integral_constant<int, 4>{});
      for (; chunk < chunks; chunk += F::lines) add(chunk, std::integral_constant<int, 1>{});
    }
    for (int k = 0; k < Quantities; ++k) {
      for (int distance = F::columns; distance < 32; distance *= 2)
        sums[k] += __shfl_xor_sync(all_lanes, sums[k], distance);
      if (lane < F::columns) s.v[k][warp][own] = sums[k];
    }
    __syncthreads();
    if (line == 0 && active) {
      for (int k = 0; k < Quantities; ++k) {
        sums[k] = 0;
#pragma unroll
        for (int i = 0; i < F::warps; ++i) sums[k] += s.v[k][i][own];
      }
      finish(batch, column, sums);
    }
    __syncthreads();
  }
}

/// The second kernel by itself: finish(batch, column, sums over the chunks of `partial`, [batches,
/// chunks, Quantities, columns]).
template <int Quantities, class Sum, class Finish>
void add_chunks(const char* name, Cuda device, const ColumnSumsShape& shape, int64_t chunks,
                const Sum* partial, const Finish& finish) {
  const auto batches = static_cast<unsigned>(std::min<int64_t>(shape.batches, 65535));
  launch(name, column_sums_finish_kernel<Quantities, Sum, Finish>,
         dim3(blocks_for(shape.columns, ColumnSumsFinish::columns), batches),
         ColumnSumsFinish::threads, 0, device, shape, chunks, partial, finish);
}

/// Of `shape`, which for a folded column has V times fewer rows of V columns.
template <int Quantities, int V, bool Folded, class Sum, class Element, class Finish>
void column_sums_by(const char* name, Cuda device, ColumnSumsShape shape, const Element& element,
                    const Finish& finish) {
  const ColumnSumsWalk<V> walk(shape);
  Sum* partial = scratch<Sum>(device, shape.batches * walk.chunks * Quantities * shape.columns);
  const dim3 grid(static_cast<unsigned>(walk.column_blocks), static_cast<unsigned>(walk.chunks),
                  static_cast<unsigned>(std::min<int64_t>(shape.batches, 65535)));
  launch(name, column_sums_chunks_kernel<Quantities, V, Folded, Sum, Element>, grid, walk.threads,
         0, device, shape, walk, element, partial);
  if (Folded) shape.columns = 1;
  add_chunks<Quantities>(name, device, shape, walk.chunks, std::as_const(partial), finish);
}

/// finish(batch, column, sums over the rows of what `element` makes of each array element). `first`
/// and `more` are the arrays that it reads or writes at the same index, nullptr where one is
/// missing: they go by vectors of 16 bytes where all are aligned. Uses scratch().
template <int Quantities, class Sum = float, class Element, class Finish, class T, class... More>
void column_sums(const char* name, Cuda device, const ColumnSumsShape& shape,
                 const Element& element, const Finish& finish, const T* first,
                 const More*... more) {
  if (shape.batches == 0 || shape.columns == 0) return;
  constexpr int V = in_16_bytes<T>;
  const bool vectors = in_vectors(first, more...);
  if (vectors && shape.columns % V == 0)
    return column_sums_by<Quantities, V, false, Sum>(name, device, shape, element, finish);
  if constexpr (!has_columns<Element>) {
    if (vectors && shape.columns == 1 && shape.rows % V == 0)
      return column_sums_by<Quantities, V, true, Sum>(
          name, device, {shape.batches, shape.rows / V, V}, element, finish);
  }
  column_sums_by<Quantities, 1, false, Sum>(name, device, shape, element, finish);
}

}  // namespace fettle
