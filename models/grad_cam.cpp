#include "models/grad_cam.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/cast.h"
#include "engine/ops/reduce.h"

namespace fettle {
namespace {

/// Whether an operation computes features at the places of a picture.
bool gives_features(const graph::Operation& operation, const Tensor& output) {
  return output.shape().rank() == 4 && !std::holds_alternative<graph::MaxPool2d>(operation) &&
         !std::holds_alternative<graph::AveragePool2d>(operation) &&
         !std::holds_alternative<graph::Reshape>(operation);
}

/// Counts the operations that give features, and remembers whether there is a convolution.
class FeatureCounter : public TraceListener {
 public:
  int count = 0;
  bool convolves = false;

 private:
  void hear(const graph::Operation& operation, const TensorList&, Tensor& output) override {
    convolves |= std::holds_alternative<graph::Conv2d>(operation);
    count += gives_features(operation, output);
  }
};

/// Makes what the last of them gives a leaf of the tape.
class FeatureTap : public TraceListener {
 public:
  explicit FeatureTap(int count) : left_(count) {}
  Tensor features;

 private:
  void hear(const graph::Operation& operation, const TensorList&, Tensor& output) override {
    if (!gives_features(operation, output) || --left_ > 0) return;
    output.set_requires_grad(true);
    features = output;
  }
  int left_;
};

/// A sum whose gradient by the logits is that of every picture's score: 1 for its class, and for
/// the others minus their share of what speaks against it.
Tensor score_of(const Tensor& logits, const std::vector<int32_t>& classes, bool multi_label) {
  const int64_t N = logits.shape()[0], K = logits.shape()[1];
  const std::vector<float> z = logits.to_vector();
  std::vector<float> slope(static_cast<size_t>(N * K));
  for (int64_t n = 0; n < N; ++n) {
    const int32_t c = classes[static_cast<size_t>(n)];
    require(c >= 0 && c < (multi_label ? K : std::max<int64_t>(K, 2)),
            "grad_cam: there is no class ", c);
    const float* row = z.data() + n * K;
    float* out = slope.data() + n * K;
    if (multi_label) {
      out[c] = 1;
      continue;
    }
    if (K == 1) {
      out[0] = c == 1 ? 1.0f : -1.0f;
      continue;
    }
    const float highest = *std::max_element(row, row + K);
    double total = 0;
    for (int64_t k = 0; k < K; ++k)
      if (k != c) total += std::exp(row[k] - highest);
    for (int64_t k = 0; k < K; ++k)
      out[k] = k == c ? 1.0f : static_cast<float>(-std::exp(row[k] - highest) / total);
  }
  return sum(logits * Tensor::from(logits.shape(), slope, logits.device()));
}

}  // namespace

Tensor grad_cam(Layer& model, const Tensor& x, const std::vector<int32_t>& classes,
                bool multi_label) {
  FeatureCounter counter;
  build(model, x.shape());
  require(counter.convolves, "grad_cam: the model has no convolution whose features show a place");
  FeatureTap tap(counter.count);
  const Tensor logits = model(x);
  require(logits.shape().rank() == 2 && std::ssize(classes) == logits.shape()[0],
          "grad_cam: the model must classify, with logits [N,K] and a class a picture, not ",
          logits.shape());
  backward(score_of(logits, classes, multi_label));
  require(tap.features.grad().defined(), "grad_cam: freeze the model first");

  const Shape s = tap.features.shape();
  const int64_t pixels = s[1] * s[2], K = s[3];
  const std::vector<float> features = as_f32(tap.features).to_vector();
  const std::vector<float> gradient = as_f32(tap.features.grad()).to_vector();
  Tensor maps = Tensor::empty({s[0], s[1], s[2]});
  for (int64_t n = 0; n < s[0]; ++n) {
    const float* a = features.data() + n * pixels * K;
    const float* g = gradient.data() + n * pixels * K;
    std::vector<double> weights(static_cast<size_t>(K));
    for (int64_t i = 0; i < pixels * K; ++i)
      weights[static_cast<size_t>(i % K)] += double{g[i]} / static_cast<double>(pixels);
    for (int64_t i = 0; i < pixels; ++i) {
      double value = 0;
      for (int64_t k = 0; k < K; ++k) value += weights[static_cast<size_t>(k)] * a[i * K + k];
      maps.data()[n * pixels + i] = static_cast<float>(std::max(value, 0.0));
    }
  }
  return maps;
}

}  // namespace fettle
