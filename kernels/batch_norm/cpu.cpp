// Every pass walks rows in chunks whose size depends on C alone and keeps one vector accumulator a
// channel in the cache; partial sums are joined in double precision, chunk after chunk.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/parallel.h"
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

/// sums[0:C] = sum of x - shift, sums[C:2C] = sum of (x - shift)^2 over some rows.
void shifted_sums(int64_t rows, int64_t C, const float* x, const float* shift, float* sums) {
  for (int64_t c = 0; c < C; c += L) {
    const int64_t count = std::min(L, C - c);
    const Vec centre = load(shift + c, count);
    Vec first = hn::Zero(lanes_tag), second = hn::Zero(lanes_tag);
    for (int64_t i = 0; i < rows; ++i) {
      const Vec d = hn::Sub(load(x + i * C + c, count), centre);
      first = hn::Add(first, d);
      second = hn::MulAdd(d, d, second);
    }
    store(first, sums + c, count);
    store(second, sums + C + c, count);
  }
}

/// sums[0:C] = sum of dy, sums[C:2C] = sum of dy * (x - mean) over some rows.
void gradient_sums(int64_t rows, int64_t C, const float* dy, const float* x, const float* mean,
                   float* sums) {
  for (int64_t c = 0; c < C; c += L) {
    const int64_t count = std::min(L, C - c);
    const Vec centre = load(mean + c, count);
    Vec shift = hn::Zero(lanes_tag), scale = hn::Zero(lanes_tag);
    for (int64_t i = 0; i < rows; ++i) {
      const Vec gradient = load(dy + i * C + c, count);
      shift = hn::Add(shift, gradient);
      scale = hn::MulAdd(gradient, hn::Sub(load(x + i * C + c, count), centre), scale);
    }
    store(shift, sums + c, count);
    store(scale, sums + C + c, count);
  }
}

/// y = a * x + b for each channel; a is applied to x - centre, so that nothing large cancels.
void apply_rows(int64_t rows, int64_t C, const float* x, const float* centre, const float* a,
                const float* b, float* y) {
  for (int64_t i = 0; i < rows; ++i, x += C, y += C) {
    for (int64_t c = 0; c < C; c += L) {
      const int64_t count = C - c;
      const Vec d = hn::Sub(load(x + c, count), load(centre + c, count));
      store(hn::MulAdd(load(a + c, count), d, load(b + c, count)), y + c, count);
    }
  }
}

/// dx = a * dy + b * (x - centre) + d for each channel.
void input_rows(int64_t rows, int64_t C, const float* dy, const float* x, const float* centre,
                const float* a, const float* b, const float* d, float* dx) {
  for (int64_t i = 0; i < rows; ++i, dy += C, x += C, dx += C) {
    for (int64_t c = 0; c < C; c += L) {
      const int64_t count = C - c;
      const Vec deviation = hn::Sub(load(x + c, count), load(centre + c, count));
      const Vec inner = hn::MulAdd(load(b + c, count), deviation, load(d + c, count));
      store(hn::MulAdd(load(a + c, count), load(dy + c, count), inner), dx + c, count);
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(shifted_sums);
HWY_EXPORT(gradient_sums);
HWY_EXPORT(apply_rows);
HWY_EXPORT(input_rows);

namespace {

int64_t rows_per_task(int64_t C) {
  return std::max<int64_t>(1, 16384 / C);
}

/// The two sums of each channel that task(first row, rows, sums) leaves for its rows, added up.
template <class Task>
std::vector<double> joined_sums(const BatchNormShape& s, const Task& task) {
  const int64_t grain = rows_per_task(s.C), tasks = (s.rows + grain - 1) / grain;
  thread_local Scratch scratch;
  float* partial = scratch.floats(tasks * 2 * s.C);
  parallel_tasks(tasks, [&](int64_t i) {
    task(i * grain, std::min(grain, s.rows - i * grain), partial + i * 2 * s.C);
  });
  std::vector<double> sums(static_cast<size_t>(2 * s.C));
  for (int64_t i = 0; i < tasks; ++i) {
    for (int64_t c = 0; c < 2 * s.C; ++c) sums[c] += partial[i * 2 * s.C + c];
  }
  return sums;
}

double inverse(float variance, float epsilon) {
  return 1 / std::sqrt(double{variance} + epsilon);
}

}  // namespace

void batch_norm_statistics(Cpu, const BatchNormShape& s, const float* x, float* mean,
                           float* variance) {
  // Any value among the data serves as a shift; the mean of a few rows also tames an outlier.
  const int64_t sample = std::min<int64_t>(s.rows, 16);
  std::vector<float> shift(static_cast<size_t>(s.C));
  for (int64_t i = 0; i < sample; ++i) {
    for (int64_t c = 0; c < s.C; ++c) {
      shift[c] += x[i * (s.rows / sample) * s.C + c] / static_cast<float>(sample);
    }
  }
  const auto sums_of = HWY_DYNAMIC_DISPATCH(shifted_sums);
  const std::vector<double> sums = joined_sums(s, [&](int64_t first, int64_t rows, float* sums) {
    sums_of(rows, s.C, x + first * s.C, shift.data(), sums);
  });
  const auto rows = static_cast<double>(s.rows);
  for (int64_t c = 0; c < s.C; ++c) {
    const double offset = sums[c] / rows;
    mean[c] = static_cast<float>(shift[c] + offset);
    variance[c] = static_cast<float>(std::max(0.0, sums[s.C + c] / rows - offset * offset));
  }
}

void batch_norm_apply(Cpu, const BatchNormShape& s, float epsilon, const float* x,
                      const float* gamma, const float* beta, const float* mean,
                      const float* variance, float* y) {
  std::vector<float> a;
  for (int64_t c = 0; c < s.C; ++c) {
    a.push_back(static_cast<float>(gamma[c] * inverse(variance[c], epsilon)));
  }
  const auto apply = HWY_DYNAMIC_DISPATCH(apply_rows);
  parallel_for(s.rows, rows_per_task(s.C), [&](int64_t begin, int64_t end) {
    apply(end - begin, s.C, x + begin * s.C, mean, a.data(), beta, y + begin * s.C);
  });
}

void batch_norm_backward_parameters(Cpu, const BatchNormShape& s, float epsilon, const float* dy,
                                    const float* x, const float* mean, const float* variance,
                                    float* dgamma, float* dbeta) {
  const auto sums_of = HWY_DYNAMIC_DISPATCH(gradient_sums);
  const std::vector<double> sums = joined_sums(s, [&](int64_t first, int64_t rows, float* sums) {
    sums_of(rows, s.C, dy + first * s.C, x + first * s.C, mean, sums);
  });
  for (int64_t c = 0; c < s.C; ++c) {
    dbeta[c] = static_cast<float>(sums[c]);
    dgamma[c] = static_cast<float>(sums[s.C + c] * inverse(variance[c], epsilon));
  }
}

void batch_norm_backward_input(Cpu, const BatchNormShape& s, float epsilon, bool of_batch,
                               const float* dy, const float* x, const float* gamma,
                               const float* mean, const float* variance, const float* dgamma,
                               const float* dbeta, float* dx) {
  std::vector<float> a, b, d;
  for (int64_t c = 0; c < s.C; ++c) {
    const double scale = inverse(variance[c], epsilon), outer = gamma[c] * scale;
    const double share = of_batch ? outer / static_cast<double>(s.rows) : 0;
    a.push_back(static_cast<float>(outer));
    b.push_back(of_batch ? static_cast<float>(-share * scale * dgamma[c]) : 0);
    d.push_back(of_batch ? static_cast<float>(-share * dbeta[c]) : 0);
  }
  const auto input = HWY_DYNAMIC_DISPATCH(input_rows);
  parallel_for(s.rows, rows_per_task(s.C), [&](int64_t begin, int64_t end) {
    const int64_t at = begin * s.C;
    input(end - begin, s.C, dy + at, x + at, mean, a.data(), b.data(), d.data(), dx + at);
  });
}

}  // namespace fettle
#endif  // HWY_ONCE
