// Losses: each gives one number, the mean over its elements or groups. The equations are in
// kernels/losses/losses.h.
#pragma once

#include <vector>

#include "engine/tensor.h"
#include "kernels/losses/losses.h"

namespace fettle {

/// logits [N,K], labels i32 [N]. `class_weights` is empty or has K numbers. A `focal_gamma` above 0
/// makes it the focal loss.
Tensor sparse_categorical_cross_entropy(const Tensor& logits, const Tensor& labels,
                                        const std::vector<float>& class_weights = {},
                                        float label_smoothing = 0, float focal_gamma = 0);

/// logits and targets (0 to 1) of one shape; targets may also be i32 labels 0 and 1 of one element
/// a picture. `class_weights` is empty or has two numbers: of targets below one half, of the
/// others. A `focal_gamma` above 0 makes it the focal loss. [N,K] with targets of K labels, several
/// of which may hold, is a multi-label loss; there `class_weights` may have two such numbers for
/// each label.
Tensor binary_cross_entropy(const Tensor& logits, const Tensor& targets,
                            const std::vector<float>& class_weights = {}, float label_smoothing = 0,
                            float focal_gamma = 0);

/// Options of the Tversky family on probabilities [N,H,W,C].
struct TverskyOptions {
  Grouping grouping = Grouping::batch;
  float false_negative_weight = 0.7f;  ///< alpha of Abraham and Khan; Keras calls the other alpha
  float false_positive_weight = 0.3f;
  float smooth = 1e-6f;
  float exponent = 1;
  bool skip_empty = false;  ///< groups without a target give no loss and no gradient
};

/// 1 - (TP + smooth) / (TP + a*FN + b*FP + smooth), to the power of the exponent, averaged over the
/// groups.
Tensor tversky_loss(const Tensor& probabilities, const Tensor& targets,
                    const TverskyOptions& options = {});

/// The same with an exponent: (1 - T)^exponent, 0.75 in Abraham and Khan's code.
Tensor focal_tversky_loss(const Tensor& probabilities, const Tensor& targets,
                          float exponent = 0.75f, TverskyOptions options = {});

/// 1 - (2*sum p*t + smooth) / (sum p + sum t + smooth), averaged over the groups. Grouping::picture
/// with smooth 1 is the car-damage project's; Grouping::batch is Keras's.
Tensor dice_loss(const Tensor& probabilities, const Tensor& targets,
                 Grouping grouping = Grouping::picture, float smooth = 1, bool skip_empty = false);

}  // namespace fettle
