// A BatchNormSum as the CPU's loops read it: a few numbers for each channel.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/batch_norm/batch_norm.h"
#include "kernels/recycling.h"

namespace fettle {

/// 1 / sqrt(variance + epsilon) of channel c.
inline double batch_norm_inverse(const BatchNormTerm<>& t, int64_t c) {
  return 1 / std::sqrt(double{t.variance[c]} + t.epsilon);
}

/// value = scale * (x - centre) + offset and dx = scale * dz + slope * (x - centre) + constant, all
/// [C] but x. What is added as it is has scale 1 and zeros. Scale is not multiplied out, so that a
/// large mean does not swallow a small deviation.
struct PreparedTerm {
  const float *x, *centre, *scale, *offset, *slope, *constant;
};

/// y = max(value of the terms, floor); the floor is -infinity where nothing is activated.
class PreparedSum {
 public:
  /// Slope and constant, which a batch's own statistics bring about, need the gradients.
  PreparedSum(const BatchNormShape& s, const BatchNormSum<>& sum,
              const BatchNormGradients* gradients = nullptr)
      : two(sum.terms[1].x != nullptr),
        mask(sum.mask),
        floor(sum.epilogue == Epilogue::relu ? 0 : -std::numeric_limits<float>::infinity()),
        numbers_(static_cast<size_t>(10 * s.C)) {
    for (int k = 0; k <= two; ++k) {
      const BatchNormTerm<>& t = sum.terms[k];
      float* const centre = numbers_.data() + k * 5 * s.C;
      float *const scale = centre + s.C, *const offset = scale + s.C;
      float *const slope = offset + s.C, *const constant = slope + s.C;
      terms[k] = {t.x, centre, scale, offset, slope, constant};
      for (int64_t c = 0; c < s.C; ++c) {
        if (!t.gamma) {
          scale[c] = 1;
          continue;
        }
        const double inverse = batch_norm_inverse(t, c), outer = t.gamma[c] * inverse;
        centre[c] = t.mean[c];
        scale[c] = static_cast<float>(outer);
        offset[c] = t.beta[c];
        if (!gradients || !t.of_batch) continue;
        const double share = outer / static_cast<double>(s.rows);
        slope[c] = static_cast<float>(-share * inverse * gradients->dgamma[k][c]);
        constant[c] = static_cast<float>(-share * gradients->dbeta[c]);
      }
    }
  }
  PreparedSum(const PreparedSum&) = delete;
  PreparedSum& operator=(const PreparedSum&) = delete;

  PreparedTerm terms[2];
  bool two;
  uint8_t* mask;
  float floor;

 private:
  RecycledVector<float> numbers_;
};

}  // namespace fettle
