#include "kernels/divide.h"
#include "kernels/losses/formulas.h"
#include "kernels/parallel.h"
#include "kernels/recycling.h"

namespace fettle {
namespace {
constexpr int64_t rows_per_task = 256;
constexpr int64_t elements_per_task = 1 << 13;
}  // namespace

void categorical_cross_entropy_forward(Cpu, const CategoricalShape& s, const float* logits,
                                       const int32_t* labels, const float* class_weights,
                                       float* loss) {
  parallel_for(s.N, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      loss[n] = static_cast<float>(
          categorical_loss<double>(s, RowAlone{logits + n * s.K, s.K}, labels[n], class_weights));
    }
  });
}

void categorical_cross_entropy_backward(Cpu, const CategoricalShape& s, const float* logits,
                                        const int32_t* labels, const float* class_weights,
                                        const float* dloss, float* dlogits) {
  const double scale = dloss[0] / static_cast<double>(s.N);
  parallel_for(s.N, rows_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      categorical_gradient<double>(s, RowAlone{logits + n * s.K, s.K}, labels[n], class_weights,
                                   scale, dlogits + n * s.K);
    }
  });
}

void binary_cross_entropy_forward(Cpu, const BinaryShape& s, const float* logits,
                                  const float* targets, const float* weights, float* loss) {
  parallel_for(s.n, elements_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double weight = weight_of(s, weights, i, targets[i]);
      loss[i] = static_cast<float>(binary_loss<double>(s, weight, logits[i], targets[i]));
    }
  });
}

void binary_cross_entropy_backward(Cpu, const BinaryShape& s, const float* logits,
                                   const float* targets, const float* weights, const float* dloss,
                                   float* dlogits) {
  const double scale = dloss[0] / static_cast<double>(s.n);
  parallel_for(s.n, elements_per_task, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double weight = weight_of(s, weights, i, targets[i]);
      dlogits[i] =
          static_cast<float>(scale * binary_gradient<double>(s, weight, logits[i], targets[i]));
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
