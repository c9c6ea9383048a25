// A nearest neighbour is copied, and its gradient is the sum of its copies'. Bilinear enlargement
// is a product of one weight per axis. Each axis has a small table: which inputs an output reads,
// and, for the backward, which outputs read an input.
#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/small_vector.h"
#include "kernels/upsample2d/upsample2d.h"

#ifndef FETTLE_UPSAMPLE2D_ONCE
#define FETTLE_UPSAMPLE2D_ONCE
namespace fettle {
namespace {

struct Term {
  int64_t index;
  float weight;
};
using Reads = SmallVector<Term, 2>;

/// The inputs of an axis that an output reads.
Reads inputs_of(int64_t out, int64_t n, int64_t factor) {
  const double at = std::clamp((static_cast<double>(out) + 0.5) / static_cast<double>(factor) - 0.5,
                               0.0, static_cast<double>(n - 1));
  const auto low = static_cast<int64_t>(std::floor(at));
  const auto part = static_cast<float>(at - static_cast<double>(low));
  Reads reads;
  reads.push_back({low, 1 - part});
  if (part > 0) reads.push_back({low + 1, part});
  return reads;
}

/// What each place of an axis reads. It keeps its memory from call to call.
class Terms {
 public:
  /// For every output its inputs.
  void forward(int64_t n, int64_t factor) {
    terms_.clear(), begins_.assign(1, 0);
    for (int64_t out = 0; out < n * factor; ++out) {
      for (const Term& term : inputs_of(out, n, factor)) terms_.push_back(term);
      begins_.push_back(terms_.size());
    }
  }
  /// For every input the outputs that read it.
  void backward(int64_t n, int64_t factor) {
    terms_.clear(), begins_.assign(1, 0);
    for (int64_t in = 0; in < n; ++in) {
      const int64_t first = std::max<int64_t>(0, (in - 1) * factor);
      for (int64_t out = first; out < std::min(n, in + 2) * factor; ++out)
        for (const Term& term : inputs_of(out, n, factor))
          if (term.index == in) terms_.push_back({out, term.weight});
      begins_.push_back(terms_.size());
    }
  }

  int64_t places() const { return std::ssize(begins_) - 1; }
  std::span<const Term> operator[](int64_t place) const {
    const size_t begin = begins_[static_cast<size_t>(place)];
    return {terms_.data() + begin, begins_[static_cast<size_t>(place) + 1] - begin};
  }

 private:
  std::vector<Term> terms_;
  std::vector<size_t> begins_;
};

/// Pictures side by side in memory: how large they are, and the floats from a pixel to the next.
struct Layout {
  int64_t height, width, pixel;
};

Layout layout_of_x(const Upsample2dShape& s) {
  return {s.H, s.W, s.C};
}
Layout layout_of_y(const Upsample2dShape& s) {
  return {s.H * s.factor_h, s.W * s.factor_w, s.y_pixel()};
}

}  // namespace
}  // namespace fettle
#endif  // FETTLE_UPSAMPLE2D_ONCE

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/upsample2d/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// A row of pixels, each `factor` times, `pixel_out` floats from one to the next.
void repeat_pixels(const float* from, int64_t width, int64_t C, int64_t factor, float* to,
                   int64_t pixel_out) {
  for (int64_t w = 0; w < width; ++w, from += C, to += factor * pixel_out) {
    for (int64_t c = 0; c < C; c += L) {
      const Vec pixel = load(from + c, C - c);
      for (int64_t i = 0; i < factor; ++i) store(pixel, to + i * pixel_out + c, C - c);
    }
  }
}

/// A row of sums of s.factor_h x s.factor_w pixels of `from`, a picture that lies as y.
void sum_pixels(const Upsample2dShape& s, const float* from, float* to) {
  const int64_t pixel = s.y_pixel(), row = s.W * s.factor_w * pixel;
  for (int64_t w = 0; w < s.W; ++w, from += s.factor_w * pixel, to += s.C) {
    for (int64_t c = 0; c < s.C; c += L) {
      Vec total = hn::Zero(lanes_tag);
      for (int64_t r = 0; r < s.factor_h; ++r)
        for (int64_t i = 0; i < s.factor_w; ++i)
          total = hn::Add(load(from + r * row + i * pixel + c, s.C - c), total);
      store(total, to + c, s.C - c);
    }
  }
}

/// One row of the result: to[j,c] = sum over rows r and columns t of r.weight * t.weight *
/// from[r.index, t.index, c].
void weighted_row(std::span<const Term> rows, const Terms& columns, int64_t C, const Layout& in,
                  const float* from, int64_t pixel_out, float* to) {
  for (int64_t j = 0; j < columns.places(); ++j, to += pixel_out) {
    const std::span<const Term> column = columns[j];
    for (int64_t c = 0; c < C; c += L) {
      const int64_t count = std::min(L, C - c);
      Vec total = hn::Zero(lanes_tag);
      for (const Term& r : rows) {
        for (const Term& t : column) {
          const Vec pixel = load(from + (r.index * in.width + t.index) * in.pixel + c, count);
          total = hn::MulAdd(hn::Set(lanes_tag, r.weight * t.weight), pixel, total);
        }
      }
      store(total, to + c, count);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(repeat_pixels);
HWY_EXPORT(sum_pixels);
HWY_EXPORT(weighted_row);

namespace {

/// Every row of N pictures of rows.places() x columns.places() from those of another layout.
void weighted_rows(int64_t N, int64_t C, const Terms& rows, const Terms& columns, const Layout& in,
                   const float* from, const Layout& out, float* to) {
  const auto row = HWY_DYNAMIC_DISPATCH(weighted_row);
  parallel_for(N * out.height, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      row(rows[i % out.height], columns, C, in,
          from + i / out.height * in.height * in.width * in.pixel, out.pixel,
          to + i * out.width * out.pixel);
    }
  });
}

}  // namespace

void upsample2d_forward(Cpu, const Upsample2dShape& s, Upsampling how, const float* x, float* y) {
  if (how == Upsampling::bilinear) {
    thread_local Terms rows, columns;
    rows.forward(s.H, s.factor_h), columns.forward(s.W, s.factor_w);
    return weighted_rows(s.N, s.C, rows, columns, layout_of_x(s), x, layout_of_y(s), y);
  }
  const int64_t row = s.W * s.C, row_out = s.W * s.factor_w * s.y_pixel();
  const auto repeat = HWY_DYNAMIC_DISPATCH(repeat_pixels);
  parallel_for(s.N * s.H, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * s.factor_h; i < end * s.factor_h; ++i)
      repeat(x + i / s.factor_h * row, s.W, s.C, s.factor_w, y + i * row_out, s.y_pixel());
  });
}

void upsample2d_backward(Cpu, const Upsample2dShape& s, Upsampling how, const float* dy,
                         float* dx) {
  if (how == Upsampling::bilinear) {
    thread_local Terms rows, columns;
    rows.backward(s.H, s.factor_h), columns.backward(s.W, s.factor_w);
    return weighted_rows(s.N, s.C, rows, columns, layout_of_y(s), dy, layout_of_x(s), dx);
  }
  const int64_t row = s.W * s.C, rows_out = s.factor_h * s.W * s.factor_w * s.y_pixel();
  const auto sum = HWY_DYNAMIC_DISPATCH(sum_pixels);
  parallel_for(s.N * s.H, 2, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum(s, dy + i * rows_out, dx + i * row);
  });
}

}  // namespace fettle
#endif  // HWY_ONCE
