// A model as a list of operations.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/autograd.h"
#include "engine/ops/arithmetic.h"
#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/conv2d_transpose.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/separable_conv2d.h"
#include "layers/sequential.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

template <class T>
const T& operation(const Graph& graph, size_t node) {
  return std::get<T>(graph.nodes.at(node).operation);
}

TEST(Graph, ListsWhatASequentialModelComputes) {
  Sequential model(Rescaling(0.5f, -1), Conv2D(5, 3), BatchNormalization(), ReLU(), MaxPooling2D(),
                   Flatten(), Dropout(0.5f), Dense(4, Activation::relu), Dense(2));
  const Shape shape = {2, 9, 7, 3};
  build(model, shape, 1);
  const Graph graph = graph_of(model, shape);
  ASSERT_EQ(graph.nodes.size(), 8u);  // dropout does nothing in prediction
  EXPECT_EQ(operation<graph::Rescale>(graph, 0).offset, -1);
  EXPECT_EQ(operation<graph::Conv2d>(graph, 1).shape.P, 7);
  EXPECT_FALSE(operation<graph::BatchNorm>(graph, 2).of_batch);
  EXPECT_EQ(operation<graph::Elementwise>(graph, 3).function, Unary::relu);
  EXPECT_EQ(operation<graph::MaxPool2d>(graph, 4).shape.Q, 2);
  EXPECT_EQ(operation<graph::Dense>(graph, 6).epilogue, Epilogue::relu);

  EXPECT_EQ(graph.nodes[0].inputs, std::vector<int>{graph.input});
  EXPECT_EQ(graph.nodes[7].output, graph.output);
  for (size_t i = 1; i < graph.nodes.size(); ++i)
    EXPECT_EQ(graph.nodes[i].inputs[0], graph.nodes[i - 1].output);
  const auto value = [&](size_t node, size_t input) {
    return graph.values.at(static_cast<size_t>(graph.nodes[node].inputs[input]));
  };
  EXPECT_EQ(value(2, 3).name, "batch_normalization.running_mean");
  EXPECT_EQ(value(7, 1).constant.shape(), (Shape{2, 4}));
  EXPECT_EQ(value(6, 0).shape, (Shape{2, 30}));
}

/// x + 1 is computed for nothing; x * w + w is the result.
class Branches : public Layer {
 public:
  std::string_view kind() const override { return "Branches"; }
  void members(Members& members) override { members.parameter("weight", weight); }
  Tensor weight = Tensor::full({2, 3}, 2);
  Tensor stranger;

 protected:
  Tensor call(const Tensor& x) override {
    rescale(x, 1, 1);
    const Tensor y = x * weight + weight;
    return stranger.defined() ? y + stranger : y;
  }
};

/// A layer with ReLU has no operation more than without, and computes max(0, .) of what that does.
void expect_relu_inside(Layer& with, Layer& without, const Shape& shape) {
  build(with, shape, 1);
  build(without, shape, 1);
  const Graph graph = graph_of(with, shape);
  EXPECT_EQ(graph.nodes.size(), graph_of(without, shape).nodes.size());
  const Tensor x = random_tensor(shape, 1).to(Device::cpu());
  std::vector<float> expected = without(x).to_vector();
  for (float& value : expected) value = std::max(value, 0.0f);
  EXPECT_EQ(with(x).to_vector(), expected) << with.kind();
}

TEST(Graph, ReluIsAPartOfTheProductBeforeIt) {
  for (const bool bias : {false, true}) {
    const auto relu = Activation::relu;
    Conv2D conv(3, 2, {.activation = relu, .use_bias = bias}),
        conv_linear(3, 2, {.use_bias = bias});
    expect_relu_inside(conv, conv_linear, {2, 4, 5, 2});
    SeparableConv2D separable(3, 2, {.activation = relu, .use_bias = bias}),
        separable_linear(3, 2, {.use_bias = bias});
    expect_relu_inside(separable, separable_linear, {2, 4, 5, 2});
    Conv2DTranspose transposed(3, 2, {.activation = relu, .use_bias = bias}),
        transposed_linear(3, 2, {.use_bias = bias});
    expect_relu_inside(transposed, transposed_linear, {2, 4, 5, 2});
    Dense dense(3, relu, bias), dense_linear(3, Activation::linear, bias);
    expect_relu_inside(dense, dense_linear, {4, 5});
  }
}

/// relu(bn(x) + bn2(x)), which a call computes in one pass.
class Residual : public Layer {
 public:
  std::string_view kind() const override { return "Residual"; }
  void members(Members& members) override {
    members.layer(bn_);
    members.layer(bn2_);
  }

 protected:
  Tensor call(const Tensor& x) override {
    const Tensor y = bn_(x);
    return relu(y + bn2_(x));
  }

 private:
  BatchNormalization bn_, bn2_;
};

TEST(Graph, ListsThePlainOperationsOfAFusion) {
  Residual model;
  build(model, {4, 3});
  const Graph graph = graph_of(model, {4, 3});
  ASSERT_EQ(graph.nodes.size(), 4u);
  operation<graph::BatchNorm>(graph, 0);
  operation<graph::BatchNorm>(graph, 1);
  operation<graph::Add>(graph, 2);
  EXPECT_EQ(operation<graph::Elementwise>(graph, 3).function, Unary::relu);
  EXPECT_EQ(graph.nodes[2].inputs,
            (std::vector<int>{graph.nodes[0].output, graph.nodes[1].output}));
}

TEST(Graph, DropsWhatTheResultDoesNotNeed) {
  Branches model;
  const Graph graph = graph_of(model, {2, 3});
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<graph::Multiply>(graph.nodes[0].operation));
  EXPECT_EQ(graph.nodes[0].inputs[1], graph.nodes[1].inputs[1]);
}

TEST(Graph, ATensorFromNowhereIsRefused) {
  Branches model;
  model.stranger = Tensor::zeros({2, 3});
  EXPECT_THROW(graph_of(model, {2, 3}), Error);
  const Tensor x = Tensor::zeros({2, 3});
  EXPECT_EQ((x + x).shape(), x.shape());  // nothing is recorded any more
}

/// A convolution with numbers of its own, as preprocessing has.
class FixedConvolution : public Layer {
 public:
  std::string_view kind() const override { return "FixedConvolution"; }

 protected:
  Tensor call(const Tensor& x) override { return conv2d(x, Tensor::full({3, 1, 1, 2}, 5), {}, {}); }
};

TEST(Graph, AWeightWithoutANameIsAConstant) {
  FixedConvolution model;
  const Graph graph = graph_of(model, {2, 4, 4, 2});
  const GraphValue& weight = graph.values.at(static_cast<size_t>(graph.nodes.at(0).inputs[1]));
  EXPECT_FALSE(weight.name.empty());
  EXPECT_EQ(weight.constant.to_vector(), std::vector<float>(6, 5));
}

}  // namespace
}  // namespace fettle
