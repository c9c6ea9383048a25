// Losses of masks chosen by a text, as the option --loss gives it.
#pragma once

#include <string>

#include "engine/train/fit.h"

namespace fettle {

/// The numbers of the Tversky losses; see TverskyOptions in engine/ops/losses.h.
struct MaskLossOptions {
  float false_negative_weight = 0.7f;
  float false_positive_weight = 0.3f;
  float focal_exponent = 0.75f;
};

/// A sum of losses of logits [N,H,W,kinds] against masks of that shape, from terms joined by "+",
/// each with a weight before "*" if that is not 1: "dice+bce", "dice-batch+0.5*bce".
///   bce            binary cross-entropy of every pixel and kind
///   dice           Dice of each picture, smooth 1 (the car-damage project's)
///   dice-batch     Dice over the whole batch, smooth 1 (Keras's)
///   dice-kind      Dice of each kind that the batch's masks have, smooth 1
///   tversky        over the whole batch, smooth 1e-6
///   focal-tversky  the same, (1 - T)^exponent (the steel project's)
///   focal-tversky-kind  of each kind that the batch's masks have
/// What is drawn of a kind that no mask of the batch has, only bce, dice, dice-batch and the
/// Tversky losses over the whole batch hold against the model: add one of them to the "-kind" ones.
/// Throws ArgumentError naming the term that is not understood.
LossFunction mask_loss(const std::string& text, const MaskLossOptions& options = {});

}  // namespace fettle
