#include "models/mask_loss.h"

#include <charconv>
#include <cmath>
#include <map>
#include <sstream>
#include <vector>

#include "engine/argument_error.h"
#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/losses.h"

namespace fettle {
namespace {

/// From logits, their probabilities and the masks.
using Term = std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)>;

Term term_of(const std::string& name, const MaskLossOptions& o) {
  const auto dice = [](Grouping grouping) -> Term {
    return [=](const Tensor&, const Tensor& p, const Tensor& masks) {
      return dice_loss(p, masks, grouping, 1, grouping == Grouping::channel);
    };
  };
  const auto tversky = [&](Grouping grouping, float exponent) -> Term {
    const TverskyOptions options = {.grouping = grouping,
                                    .false_negative_weight = o.false_negative_weight,
                                    .false_positive_weight = o.false_positive_weight,
                                    .exponent = exponent,
                                    .skip_empty = grouping == Grouping::channel};
    return [=](const Tensor&, const Tensor& p, const Tensor& masks) {
      return tversky_loss(p, masks, options);
    };
  };
  if (name == "bce") {
    return [](const Tensor& logits, const Tensor&, const Tensor& masks) {
      return binary_cross_entropy(logits, masks);
    };
  }
  if (name == "dice") return dice(Grouping::picture);
  if (name == "dice-batch") return dice(Grouping::batch);
  if (name == "dice-kind") return dice(Grouping::channel);
  if (name == "tversky") return tversky(Grouping::batch, 1);
  if (name == "focal-tversky") return tversky(Grouping::batch, o.focal_exponent);
  if (name == "focal-tversky-kind") return tversky(Grouping::channel, o.focal_exponent);
  throw ArgumentError("--loss: '", name,
                      "' is not known; write a sum of bce, dice, dice-batch, dice-kind, tversky, "
                      "focal-tversky and focal-tversky-kind, such as dice+0.5*bce");
}

}  // namespace

LossFunction mask_loss(const std::string& text, const MaskLossOptions& options) {
  std::vector<std::pair<float, Term>> terms;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, '+');) {
    float weight = 1;
    const size_t star = part.find('*');
    if (star != std::string::npos) {
      const auto [end, error] = std::from_chars(part.data(), part.data() + star, weight);
      const bool whole = error == std::errc() && end == part.data() + star;
      require_argument(whole && weight > 0 && std::isfinite(weight), "--loss: '", part,
                       "' needs a number above 0 before the '*'");
      part = part.substr(star + 1);
    }
    terms.emplace_back(weight, term_of(part, options));
  }
  require_argument(!terms.empty(), "--loss: there is no loss in '", text, "'");
  return [terms](const Tensor& logits, const Tensor& masks) {
    const Tensor probabilities = sigmoid(logits);
    Tensor sum;
    for (const auto& [weight, term] : terms) {
      Tensor loss = term(logits, probabilities, masks);
      if (weight != 1) loss = rescale(loss, weight);
      sum = sum.defined() ? sum + loss : loss;
    }
    return sum;
  };
}

}  // namespace fettle
