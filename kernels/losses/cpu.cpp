#include <algorithm>

#include "kernels/divide.h"
#include "kernels/losses/formulas.h"
#include "kernels/parallel.h"
#include "kernels/recycling.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/losses/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

// Of masks there are millions of elements a step, of which most weigh alike and none is focal.

HWY_INLINE Vec smoothed_targets(const BinaryShape& s, Vec t) {
  return hn::MulAdd(t, hn::Set(lanes_tag, 1 - s.label_smoothing),
                    hn::Set(lanes_tag, 0.5f * s.label_smoothing));
}

void binary_losses(const BinaryShape& s, int64_t n, const float* logits, const float* targets,
                   float* loss) {
  const auto of = [&](Vec z, Vec t) {
    const Vec rest = hn::Log1p(lanes_tag, hn::Exp(lanes_tag, hn::Neg(hn::Abs(z))));
    const Vec more = hn::ZeroIfNegative(z);
    return hn::Add(hn::NegMulAdd(z, smoothed_targets(s, t), more), rest);
  };
  map(of, n, loss, logits, targets);
}

void binary_gradients(const BinaryShape& s, int64_t n, float scale, const float* logits,
                      const float* targets, float* dlogits) {
  const auto of = [&](Vec z, Vec t) {
    return hn::Mul(hn::Set(lanes_tag, scale), hn::Sub(sigmoid(z), smoothed_targets(s, t)));
  };
  map(of, n, dlogits, logits, targets);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(binary_losses);
HWY_EXPORT(binary_gradients);

namespace {
constexpr int64_t rows_per_task = 256;
constexpr int64_t elements_per_task = 1 << 13;
}  // namespace

void categorical_cross_entropy_forward(Cpu, const CategoricalShape& s, const float* logits,
                                       const int32_t* labels, const float* class_weights,
                                       float* loss) {
  parallel_for(s.N, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const RowAlone row = {logits + n * s.K, s.K};
      loss[n] = static_cast<float>(
          s.gamma == 0 ? categorical_loss<double>(s, row, labels[n], class_weights)
                       : categorical_focal_loss<double>(s, row, labels[n], class_weights));
    }
  });
}

void categorical_cross_entropy_backward(Cpu, const CategoricalShape& s, const float* logits,
                                        const int32_t* labels, const float* class_weights,
                                        const float* dloss, float* dlogits) {
  const double scale = dloss[0] / static_cast<double>(s.N);
  parallel_for(s.N, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const RowAlone row = {logits + n * s.K, s.K};
      float* const to = dlogits + n * s.K;
      s.gamma == 0 ? categorical_gradient(s, row, labels[n], class_weights, scale, to)
                   : categorical_focal_gradient(s, row, labels[n], class_weights, scale, to);
    }
  });
}

void binary_cross_entropy_forward(Cpu, const BinaryShape& s, const float* logits,
                                  const float* targets, const float* weights, float* loss) {
  const auto losses = HWY_DYNAMIC_DISPATCH(binary_losses);
  parallel_for(s.n, elements_per_task, [&](int64_t begin, int64_t end) {
    if (s.gamma == 0 && !weights)
      return losses(s, end - begin, logits + begin, targets + begin, loss + begin);
    BinaryWeights all(s, weights, begin);
    for (int64_t i = begin; i < end; ++i) {
      const double weight = all.next(targets[i]), z = logits[i], t = targets[i];
      loss[i] = static_cast<float>(s.gamma == 0 ? binary_loss(s, weight, z, t)
                                                : binary_focal_loss(s, weight, z, t));
    }
  });
}

void binary_cross_entropy_backward(Cpu, const BinaryShape& s, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits) {
  const auto gradients = HWY_DYNAMIC_DISPATCH(binary_gradients);
  const double scale = dloss[0] / static_cast<double>(s.n);
  parallel_for(s.n, elements_per_task, [&](int64_t begin, int64_t end) {
    if (s.gamma == 0 && !weights)
      return gradients(s, end - begin, static_cast<float>(scale), logits + begin, targets + begin,
                       dlogits + begin);
    BinaryWeights all(s, weights, begin);
    for (int64_t i = begin; i < end; ++i) {
      const double weight = scale * all.next(targets[i]), z = logits[i], t = targets[i];
      dlogits[i] = static_cast<float>(s.gamma == 0 ? binary_gradient(s, weight, z, t)
                                                   : binary_focal_gradient(s, weight, z, t));
    }
  });
}

void tversky_forward(Cpu, const TverskyShape& s, const float* probabilities, const float* targets,
                     float* sums, float* loss) {
  // A task sums, for each channel, a fixed range of one picture's pixels.
  const int64_t grain = std::max<int64_t>(1, elements_per_task / s.C);
  const int64_t tasks = ceil_div(s.pixels, grain);
  RecycledVector<Tversky> partial(static_cast<size_t>(s.N * tasks * s.C), Tversky{0, 0, 0});
  parallel_tasks(s.N * tasks, [&](int64_t task) {
    const int64_t n = task / tasks, begin = task % tasks * grain;
    const int64_t end = std::min(s.pixels, begin + grain);
    Tversky* mine = partial.data() + task * s.C;
    for (int64_t i = (n * s.pixels + begin) * s.C; i < (n * s.pixels + end) * s.C; i += s.C) {
      for (int64_t c = 0; c < s.C; ++c) {
        const double p = probabilities[i + c], t = targets[i + c];
        mine[c].tp += p * t;
        mine[c].p += p;
        mine[c].t += t;
      }
    }
  });

  RecycledVector<Tversky> groups(static_cast<size_t>(s.groups()), Tversky{0, 0, 0});
  for (int64_t i = 0; i < static_cast<int64_t>(partial.size()); ++i) {
    const int64_t group = s.grouping == Grouping::batch     ? 0
                          : s.grouping == Grouping::picture ? i / (tasks * s.C)
                                                            : i % s.C;
    groups[group].tp += partial[i].tp;
    groups[group].p += partial[i].p;
    groups[group].t += partial[i].t;
  }
  double total = 0;
  for (const Tversky& group : groups) {
    *sums++ = static_cast<float>(group.tp);
    *sums++ = static_cast<float>(group.p);
    *sums++ = static_cast<float>(group.t);
    total += group.loss(s);
  }
  loss[0] = static_cast<float>(total / static_cast<double>(s.groups()));
}

void tversky_backward(Cpu, const TverskyShape& s, const float* targets, const float* sums,
                      const float* dloss, float* dprobabilities) {
  const double scale = dloss[0] / static_cast<double>(s.groups());
  RecycledVector<TverskySlope> slopes;
  for (int64_t g = 0; g < s.groups(); ++g) {
    TverskySlope slope = tversky_slope(s, {sums[3 * g], sums[3 * g + 1], sums[3 * g + 2]});
    slopes.push_back({scale * slope.hit, scale * slope.miss});
  }
  parallel_for(s.N * s.pixels, std::max<int64_t>(1, elements_per_task / s.C),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin * s.C; i < end * s.C; ++i) {
                   const int64_t group = s.grouping == Grouping::batch     ? 0
                                         : s.grouping == Grouping::picture ? i / (s.pixels * s.C)
                                                                           : i % s.C;
                   const double t = targets[i];
                   dprobabilities[i] =
                       static_cast<float>(slopes[group].hit * t + slopes[group].miss * (1 - t));
                 }
               });
}

}  // namespace fettle
#endif  // HWY_ONCE
