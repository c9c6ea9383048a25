#include "models/mask_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/stored_values.h"

namespace fettle {
namespace {

constexpr int64_t pictures = 2, pixels = 6, kinds = 3;

struct Case {
  std::vector<float> logits, masks;
  double p(int64_t i) const { return 1 / (1 + std::exp(-double{logits[static_cast<size_t>(i)]})); }
  double t(int64_t i) const { return masks[static_cast<size_t>(i)]; }
};

Case made_case() {
  Case c;
  for (const float v : random_values(pictures * pixels * kinds, 3)) c.logits.push_back(v);
  for (const float v : random_values(pictures * pixels * kinds, 4)) c.masks.push_back(v > 0.3f);
  return c;
}

/// Sums of p t, p and t over the elements that `belongs` takes.
struct Sums {
  double both = 0, p = 0, t = 0;
  template <class F>
  Sums(const Case& c, const F& belongs) {
    for (int64_t i = 0; i < pictures * pixels * kinds; ++i) {
      if (!belongs(i / (pixels * kinds), i % kinds)) continue;
      both += c.p(i) * c.t(i);
      p += c.p(i);
      t += c.t(i);
    }
  }
  double dice() const { return 1 - (2 * both + 1) / (p + t + 1); }
  double tversky(double a, double b) const {
    return 1 - (both + 1e-6) / (both + a * (t - both) + b * (p - both) + 1e-6);
  }
};

double value(const std::string& text, const MaskLossOptions& options = {}) {
  const Case c = made_case();
  const Shape shape = {pictures, 2, 3, kinds};
  return mask_loss(text, options)(Tensor::from(shape, c.logits), Tensor::from(shape, c.masks))
      .to_vector()[0];
}

TEST(MaskLoss, TermsAreTheirDefinitions) {
  const Case c = made_case();
  double bce = 0;
  for (int64_t i = 0; i < pictures * pixels * kinds; ++i)
    bce -= std::log(c.t(i) > 0 ? c.p(i) : 1 - c.p(i)) / double{pictures * pixels * kinds};
  EXPECT_NEAR(value("bce"), bce, 1e-6);

  const auto all = [](int64_t, int64_t) { return true; };
  double by_picture = 0, by_kind = 0, tversky_by_kind = 0;
  for (int64_t n = 0; n < pictures; ++n)
    by_picture += Sums(c, [&](int64_t picture, int64_t) { return picture == n; }).dice() / pictures;
  for (int64_t k = 0; k < kinds; ++k) {
    const Sums sums(c, [&](int64_t, int64_t kind) { return kind == k; });
    by_kind += sums.dice() / kinds;
    tversky_by_kind += std::pow(sums.tversky(0.7, 0.3), 0.75) / kinds;
  }
  EXPECT_NEAR(value("dice"), by_picture, 1e-6);
  EXPECT_NEAR(value("dice-batch"), Sums(c, all).dice(), 1e-6);
  EXPECT_NEAR(value("dice-kind"), by_kind, 1e-6);
  EXPECT_NEAR(value("tversky"), Sums(c, all).tversky(0.7, 0.3), 1e-6);
  EXPECT_NEAR(value("focal-tversky"), std::pow(Sums(c, all).tversky(0.7, 0.3), 0.75), 1e-6);
  EXPECT_NEAR(value("focal-tversky-kind"), tversky_by_kind, 1e-6);

  EXPECT_NEAR(value("tversky", {.false_negative_weight = 0.2f, .false_positive_weight = 0.9f}),
              Sums(c, all).tversky(0.2, 0.9), 1e-6);
  EXPECT_NEAR(value("focal-tversky", {.focal_exponent = 2}),
              std::pow(Sums(c, all).tversky(0.7, 0.3), 2), 1e-6);
}

// A batch without a kind says nothing of that kind's Dice; what is predicted of it must not be
// pushed down harder than the kinds that are there are pulled up.
TEST(MaskLoss, AKindThatTheBatchLacksIsLeftToTheOtherTerms) {
  Case c = made_case();
  for (size_t i = 1; i < c.masks.size(); i += kinds) c.masks[i] = 0;
  const Shape shape = {pictures, 2, 3, kinds};
  for (const char* text : {"dice-kind", "focal-tversky-kind"}) {
    const Tensor logits = leaf(Tensor::from(shape, c.logits));
    const Tensor loss = mask_loss(text)(logits, Tensor::from(shape, c.masks));
    backward(loss);
    const std::vector<float> gradient = logits.grad().to_vector();
    double expected = 0;
    for (const int64_t k : {0, 2}) {
      const Sums sums(c, [&](int64_t, int64_t kind) { return kind == k; });
      const bool dice = std::string(text) == "dice-kind";
      expected += (dice ? sums.dice() : std::pow(sums.tversky(0.7, 0.3), 0.75)) / kinds;
    }
    EXPECT_NEAR(loss.item(), expected, 1e-6) << text;
    for (size_t i = 0; i < gradient.size(); ++i) EXPECT_EQ(gradient[i] == 0, i % kinds == 1) << i;
  }
}

TEST(MaskLoss, SumsAreWeighted) {
  EXPECT_NEAR(value("dice+bce"), value("dice") + value("bce"), 1e-6);
  EXPECT_NEAR(value("0.5*dice-batch+2*bce+tversky"),
              0.5 * value("dice-batch") + 2 * value("bce") + value("tversky"), 1e-6);
}

TEST(MaskLoss, WhatIsNotUnderstoodIsNamed) {
  for (const auto& [text, part] :
       std::vector<std::pair<std::string, std::string>>{{"dice+focal", "'focal'"},
                                                        {"", "no loss"},
                                                        {"x*dice", "'x*dice'"},
                                                        {"-1*dice", "'-1*dice'"},
                                                        {"2*", "''"},
                                                        {"dice++bce", "''"}}) {
    const std::string message = message_of([&] { mask_loss(text); });
    EXPECT_NE(message.find("--loss"), std::string::npos) << message;
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace fettle
