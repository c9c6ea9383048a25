// Both ways of enlarging are products of one weight per axis. Each axis has a small table: which
// inputs an output reads, and, for the backward, which outputs read an input.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/upsample2d/upsample2d.h"

#ifndef FETTLE_UPSAMPLE2D_ONCE
#define FETTLE_UPSAMPLE2D_ONCE
namespace fettle {
namespace {

struct Term {
  int64_t index;
  float weight;
};
using Terms = std::vector<std::vector<Term>>;

/// For every output of an axis, the inputs that it reads.
Terms forward_terms(int64_t n, int64_t factor, Upsampling how) {
  Terms terms(static_cast<size_t>(n * factor));
  for (int64_t out = 0; out < n * factor; ++out) {
    if (how == Upsampling::nearest) {
      terms[out] = {{out / factor, 1.0f}};
      continue;
    }
    const double at =
        std::clamp((static_cast<double>(out) + 0.5) / static_cast<double>(factor) - 0.5, 0.0,
                   static_cast<double>(n - 1));
    const auto low = static_cast<int64_t>(std::floor(at));
    const auto part = static_cast<float>(at - static_cast<double>(low));
    terms[out] = {{low, 1 - part}};
    if (part > 0) terms[out].push_back({low + 1, part});
  }
  return terms;
}

/// For every input of an axis, the outputs that read it.
Terms backward_terms(int64_t n, int64_t factor, Upsampling how) {
  Terms terms(static_cast<size_t>(n));
  const Terms forward = forward_terms(n, factor, how);
  for (size_t out = 0; out < forward.size(); ++out) {
    for (const Term& term : forward[out]) {
      terms[term.index].push_back({static_cast<int64_t>(out), term.weight});
    }
  }
  return terms;
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

/// One row of the result: to[j,c] = sum over rows r and columns t of r.weight * t.weight *
/// from[r.index, t.index, c], where `from` is a picture of rows of `width` pixels.
void weighted_row(const std::vector<Term>& rows, const Terms& columns, int64_t width, int64_t C,
                  const float* from, float* to) {
  for (const std::vector<Term>& column : columns) {
    for (int64_t c = 0; c < C; c += L) {
      const int64_t count = std::min(L, C - c);
      Vec total = hn::Zero(lanes_tag);
      for (const Term& r : rows) {
        for (const Term& t : column) {
          const Vec pixel = load(from + (r.index * width + t.index) * C + c, count);
          total = hn::MulAdd(hn::Set(lanes_tag, r.weight * t.weight), pixel, total);
        }
      }
      store(total, to + c, count);
    }
    to += C;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(weighted_row);

namespace {

/// Every row of N pictures of rows.size() x columns.size() from pictures of height x width.
void weighted_rows(int64_t N, int64_t C, int64_t height, int64_t width, const Terms& rows,
                   const Terms& columns, const float* from, float* to) {
  const auto row = HWY_DYNAMIC_DISPATCH(weighted_row);
  const auto height_out = static_cast<int64_t>(rows.size());
  const auto width_out = static_cast<int64_t>(columns.size());
  parallel_for(N * height_out, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      row(rows[i % height_out], columns, width, C, from + i / height_out * height * width * C,
          to + i * width_out * C);
    }
  });
}

}  // namespace

void upsample2d_forward(Cpu, const Upsample2dShape& s, Upsampling how, const float* x, float* y) {
  weighted_rows(s.N, s.C, s.H, s.W, forward_terms(s.H, s.factor_h, how),
                forward_terms(s.W, s.factor_w, how), x, y);
}

void upsample2d_backward(Cpu, const Upsample2dShape& s, Upsampling how, const float* dy,
                         float* dx) {
  weighted_rows(s.N, s.C, s.H * s.factor_h, s.W * s.factor_w, backward_terms(s.H, s.factor_h, how),
                backward_terms(s.W, s.factor_w, how), dy, dx);
}

}  // namespace fettle
#endif  // HWY_ONCE
