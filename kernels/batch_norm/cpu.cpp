// Every pass walks rows in chunks whose size depends on C alone and keeps one vector accumulator a
// channel in the cache; partial sums are joined in double precision, chunk after chunk.
#include <algorithm>

#include "kernels/batch_norm/prepared_sum.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/recycling.h"
#include "kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/batch_norm/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// Calls f(row, rows) for runs of rows of about a KiB: a channel's sums stay in registers within
/// it, yet memory is read nearly in its order, as the processor's prefetching wants it.
template <class F>
void for_each_run(int64_t begin, int64_t end, int64_t C, const F& f) {
  const int64_t run = std::max<int64_t>(1, 256 / C);
  for (int64_t i = begin; i < end; i += run) f(i, std::min(run, end - i));
}

/// sums[0:C] = sum of x - shift, sums[C:2C] = sum of (x - shift)^2 over some rows.
void shifted_sums(int64_t rows, int64_t C, const float* x, const float* shift, float* sums) {
  std::fill_n(sums, 2 * C, 0.0f);
  for_each_run(0, rows, C, [&](int64_t row, int64_t count) {
    const float* HWY_RESTRICT from = x + row * C;
    for (int64_t c = 0; c < C; c += L) {
      const Vec centre = load(shift + c, C - c);
      Vec first = load(sums + c, C - c), second = load(sums + C + c, C - c);
      for (int64_t i = 0; i < count; ++i) {
        const Vec d = hn::Sub(load(from + i * C + c, C - c), centre);
        first = hn::Add(first, d);
        second = hn::MulAdd(d, d, second);
      }
      store(first, sums + c, C - c);
      store(second, sums + C + c, C - c);
    }
  });
}

/// A term's numbers for the channels of one vector.
struct Columns {
  Columns(const PreparedTerm& t, int64_t c, int64_t count)
      : centre(load(t.centre + c, count)),
        scale(load(t.scale + c, count)),
        offset(load(t.offset + c, count)) {}
  Vec value(Vec deviation) const { return hn::MulAdd(scale, deviation, offset); }
  Vec centre, scale, offset;
};

/// What stands before the activation, and how far each term's x is from its centre.
template <bool two>
struct Before {
  Before(const PreparedSum& s, const Columns& first, const Columns& second, int64_t i,
         int64_t count)
      : deviation{hn::Sub(load(s.terms[0].x + i, count), first.centre),
                  two ? hn::Sub(load(s.terms[1].x + i, count), second.centre)
                      : hn::Zero(lanes_tag)},
        value(first.value(deviation[0])) {
    if (two) value = hn::Add(value, second.value(deviation[1]));
  }
  Vec deviation[2], value;
};

// A mask has the bits of a vector of channels in whole bytes.
constexpr int64_t mask_bytes = (L + 7) / 8;

int64_t mask_row(int64_t C) {
  return ceil_div(C, L) * mask_bytes;
}

/// Where a vector of channels, from c on, of row i has its bits.
HWY_INLINE uint8_t* mask_at(const PreparedSum& s, int64_t C, int64_t i, int64_t c) {
  return s.mask + i * mask_row(C) + c / L * mask_bytes;
}

template <bool two>
void apply_rows(int64_t begin, int64_t end, int64_t C, const PreparedSum& s, float* y) {
  const Vec floor = hn::Set(lanes_tag, s.floor);
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t c = 0; c < C; c += L) {
      const Columns first(s.terms[0], c, C - c), second(s.terms[two], c, C - c);
      const Vec value = Before<two>(s, first, second, i * C + c, C - c).value;
      if (s.mask)
        hn::StoreMaskBits(lanes_tag, hn::Gt(value, hn::Zero(lanes_tag)), mask_at(s, C, i, c));
      // Not Max, which loses NaN.
      store(hn::IfThenElse(hn::Lt(value, floor), floor, value), y + i * C + c, C - c);
    }
  }
}

/// The gradient before the activation, and how far each normalised term's x is from its centre.
/// With a mask there is one.
template <bool two, bool masked>
struct Gradient {
  Gradient(const PreparedSum& s, const Columns (&columns)[2], int64_t C, int64_t row, int64_t c,
           const float* dy) {
    const int64_t i = row * C + c, count = C - c;
    const Vec given = load(dy + i, count);
    if (masked) {
      deviation[0] = hn::Sub(load(s.terms[0].x + i, count), columns[0].centre);
      // By bits: of a choice compilers make a masked load, for which nothing is prefetched.
      const auto passes = hn::LoadMaskBits(lanes_tag, mask_at(s, C, row, c));
      dz = hn::And(given, hn::VecFromMask(lanes_tag, passes));
    } else {
      const Before<two> before(s, columns[0], columns[1], i, count);
      for (int k = 0; k <= two; ++k) deviation[k] = before.deviation[k];
      dz = hn::IfThenZeroElse(hn::Le(before.value, hn::Set(lanes_tag, s.floor)), given);
    }
  }
  Vec deviation[1 + two], dz;
};

/// sums [1 + terms, C]: of dz, and of dz * (x - centre) for each term.
template <bool two, bool masked>
void gradient_sums(int64_t begin, int64_t end, int64_t C, const PreparedSum& s, const float* dy,
                   float* sums) {
  std::fill_n(sums, (2 + two) * C, 0.0f);
  for_each_run(begin, end, C, [&](int64_t row, int64_t rows) {
    for (int64_t c = 0; c < C; c += L) {
      const int64_t count = C - c;
      const Columns columns[2] = {{s.terms[0], c, count}, {s.terms[two], c, count}};
      Vec total = load(sums + c, count);
      Vec slope[1 + two];
      for (int k = 0; k <= two; ++k) slope[k] = load(sums + (1 + k) * C + c, count);
      for (int64_t i = row; i < row + rows; ++i) {
        const Gradient<two, masked> g(s, columns, C, i, c, dy);
        total = hn::Add(total, g.dz);
        for (int k = 0; k <= two; ++k) slope[k] = hn::MulAdd(g.dz, g.deviation[k], slope[k]);
      }
      store(total, sums + c, count);
      for (int k = 0; k <= two; ++k) store(slope[k], sums + (1 + k) * C + c, count);
    }
  });
}

/// dx = scale * dz + slope * (x - centre) + constant; what was added under a mask has dz itself.
template <bool two, bool masked>
void input_rows(int64_t begin, int64_t end, int64_t C, const PreparedSum& s, const float* dy,
                float* const* dx) {
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t c = 0; c < C; c += L) {
      const int64_t count = C - c, at = i * C + c;
      const Columns columns[2] = {{s.terms[0], c, count}, {s.terms[two], c, count}};
      const Gradient<two, masked> g(s, columns, C, i, c, dy);
      if (masked && dx[1]) store(g.dz, dx[1] + at, count);
      for (int k = 0; k <= two; ++k) {
        if (!dx[k]) continue;
        const PreparedTerm& t = s.terms[k];
        const Vec of_batch =
            hn::MulAdd(load(t.slope + c, count), g.deviation[k], load(t.constant + c, count));
        store(hn::MulAdd(columns[k].scale, g.dz, of_batch), dx[k] + at, count);
      }
    }
  }
}

void apply_range(int64_t begin, int64_t end, int64_t C, const PreparedSum& s, float* y) {
  s.two ? apply_rows<true>(begin, end, C, s, y) : apply_rows<false>(begin, end, C, s, y);
}
void gradient_sums_range(int64_t begin, int64_t end, int64_t C, const PreparedSum& s,
                         const float* dy, float* sums) {
  if (s.mask) return gradient_sums<false, true>(begin, end, C, s, dy, sums);
  s.two ? gradient_sums<true, false>(begin, end, C, s, dy, sums)
        : gradient_sums<false, false>(begin, end, C, s, dy, sums);
}
void input_range(int64_t begin, int64_t end, int64_t C, const PreparedSum& s, const float* dy,
                 float* const* dx) {
  if (s.mask) return input_rows<false, true>(begin, end, C, s, dy, dx);
  s.two ? input_rows<true, false>(begin, end, C, s, dy, dx)
        : input_rows<false, false>(begin, end, C, s, dy, dx);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(shifted_sums);
HWY_EXPORT(apply_range);
HWY_EXPORT(gradient_sums_range);
HWY_EXPORT(input_range);
HWY_EXPORT(mask_row);

namespace {

int64_t rows_per_task(int64_t C) {
  return std::max<int64_t>(1, 16384 / C);
}

/// The sums of each channel, so many quantities, that task(first row, last row, sums) leaves for
/// its rows, added up.
template <class Task>
RecycledVector<double> joined_sums(const BatchNormShape& s, int64_t quantities, const Task& task) {
  // Not more rows, where there are few channels: fp32 sums grow inexact with their length.
  const int64_t grain = std::min<int64_t>(256, rows_per_task(s.C));
  const int64_t tasks = ceil_div(s.rows, grain);
  const int64_t n = quantities * s.C;
  thread_local Scratch scratch;
  float* partial = scratch.floats(tasks * n);
  parallel_tasks(tasks, [&](int64_t i) {
    task(i * grain, std::min((i + 1) * grain, s.rows), partial + i * n);
  });
  RecycledVector<double> sums(static_cast<size_t>(n));
  for (int64_t i = 0; i < tasks; ++i) {
    for (int64_t c = 0; c < n; ++c) sums[c] += partial[i * n + c];
  }
  return sums;
}

/// What the way back reads: with a mask not what was added as it is.
BatchNormSum<> read_back(BatchNormSum<> sum) {
  if (sum.mask) sum.terms[1] = {};
  return sum;
}

}  // namespace

int64_t batch_norm_mask_bytes(Cpu, const BatchNormShape& s, float) {
  return s.rows * HWY_DYNAMIC_DISPATCH(mask_row)(s.C) + 8;  // which LoadMaskBits may read
}

void batch_norm_statistics(Cpu, const BatchNormShape& s, const float* x, float* mean,
                           float* variance, const BatchNormMoving& moving) {
  // Any value among the data serves as a shift; the mean of a few rows also tames an outlier.
  const int64_t sample = std::min<int64_t>(s.rows, 16);
  RecycledVector<float> shift(static_cast<size_t>(s.C));
  for (int64_t i = 0; i < sample; ++i) {
    for (int64_t c = 0; c < s.C; ++c) {
      shift[c] += x[i * (s.rows / sample) * s.C + c] / static_cast<float>(sample);
    }
  }
  const auto sums_of = HWY_DYNAMIC_DISPATCH(shifted_sums);
  const RecycledVector<double> sums =
      joined_sums(s, 2, [&](int64_t begin, int64_t end, float* partial) {
        sums_of(end - begin, s.C, x + begin * s.C, shift.data(), partial);
      });
  const auto rows = static_cast<double>(s.rows);
  for (int64_t c = 0; c < s.C; ++c) {
    const double offset = sums[c] / rows;
    mean[c] = static_cast<float>(shift[c] + offset);
    variance[c] = static_cast<float>(std::max(0.0, sums[s.C + c] / rows - offset * offset));
    moving.follow(c, mean[c], variance[c]);
  }
}

void batch_norm_apply(Cpu, const BatchNormShape& s, const BatchNormSum<>& sum, float* y) {
  const PreparedSum prepared(s, sum);
  const auto apply = HWY_DYNAMIC_DISPATCH(apply_range);
  parallel_for(s.rows, rows_per_task(s.C),
               [&](int64_t begin, int64_t end) { apply(begin, end, s.C, prepared, y); });
}

void batch_norm_backward_parameters(Cpu, const BatchNormShape& s, const BatchNormSum<>& sum,
                                    const float* dy, const BatchNormGradients& gradients) {
  const PreparedSum prepared(s, read_back(sum));
  const auto sums_of = HWY_DYNAMIC_DISPATCH(gradient_sums_range);
  const RecycledVector<double> sums =
      joined_sums(s, prepared.two ? 3 : 2, [&](int64_t begin, int64_t end, float* partial) {
        sums_of(begin, end, s.C, prepared, dy, partial);
      });
  for (int64_t c = 0; c < s.C; ++c) {
    gradients.dbeta[c] = static_cast<float>(sums[c]);
    for (int k = 0; k < 2; ++k) {
      if (!gradients.dgamma[k]) continue;
      gradients.dgamma[k][c] =
          static_cast<float>(sums[(1 + k) * s.C + c] * batch_norm_inverse(sum.terms[k], c));
    }
  }
}

void batch_norm_backward_input(Cpu, const BatchNormShape& s, const BatchNormSum<>& sum,
                               const float* dy, const BatchNormGradients& gradients, float* dx_0,
                               float* dx_1) {
  float* const dx[2] = {dx_0, dx_1};
  BatchNormSum<> wanted = read_back(sum);
  for (int k = 0; k < 2; ++k) wanted.terms[k].of_batch &= dx[k] != nullptr;
  const PreparedSum prepared(s, wanted, &gradients);
  const auto input = HWY_DYNAMIC_DISPATCH(input_range);
  parallel_for(s.rows, rows_per_task(s.C),
               [&](int64_t begin, int64_t end) { input(begin, end, s.C, prepared, dy, dx); });
}

}  // namespace fettle
#endif  // HWY_ONCE
