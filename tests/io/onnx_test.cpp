// Exported files against ONNX Runtime.
#include "io/onnx.h"

#include <gtest/gtest.h>

#include "engine/autograd.h"
#include "engine/ops/activation.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/concatenate.h"
#include "io/protobuf.h"
#include "io/safetensors.h"
#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/conv2d_transpose.h"
#include "layers/dense.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "layers/sequential.h"
#include "layers/upsampling.h"
#include "models/model.h"
#include "tests/io/onnx_check.h"
#include "tests/io/temporary_folder.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

TEST(Protobuf, WritesTheBytesOfItsDocumentation) {
  // The examples of protobuf.dev/programming-guides/encoding.
  EXPECT_EQ(ProtobufMessage().integer(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtobufMessage().text(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtobufMessage().message(3, ProtobufMessage().integer(1, 150)).bytes(),
            "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtobufMessage().integer(1, -2).bytes(),
            "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(ProtobufMessage().number(5, 1.0f).bytes(), std::string("\x2d\x00\x00\x80\x3f", 5));
  EXPECT_EQ(ProtobufMessage().integer(20, 1).bytes(), "\xa0\x01\x01");
}

/// Every elementwise function, sums, products and joined channels.
class Arithmetic : public Layer {
 public:
  std::string_view kind() const override { return "Arithmetic"; }

 protected:
  Tensor call(const Tensor& x) override {
    const Tensor y = relu6(rescale(x, 4, 1)) * swish(x) + sigmoid(x);
    return concatenate({softmax(y), relu(x), y});
  }
};

class OnnxFile : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_onnx_runtime()) GTEST_SKIP() << "Python's onnx and onnxruntime are not here";
  }
  void TearDown() override {
    if (!IsSkipped()) expect_onnx_agrees(folder_.path());
  }

  /// Writes a model and what it computes for three random pictures.
  void add(const std::string& name, Layer& model, Shape shape, bool standardize = false) {
    shape[0] = 3;
    build(model, shape, 7);
    uint32_t seed = 0;
    for (NamedTensor& tensor : named_tensors(model)) {  // initial biases and statistics are trivial
      if (tensor.tensor.shape().rank() > 1) continue;
      Tensor values = random_tensor(tensor.tensor.shape(), ++seed);
      if (tensor.name.ends_with("running_var")) values = rescale(values * values, 1, 0.5f);
      tensor.tensor.copy_from(values);
    }
    const NoGrad no_grad;
    const Tensor x = rescale(random_tensor(shape, 99), 60, 127);
    Tensor seen = x;
    if (standardize) seen = standardized(x);
    write_safetensors(folder_ / (name + ".safetensors"), {{"x", x}, {"y", model(seen)}});
    shape[0] = 2;
    const Graph graph = graph_of(model, shape);
    write_onnx(folder_ / (name + ".onnx"), graph,
               {.outputs = {{"y", graph.output}}, .standardize = standardize});
  }

  /// Mean 0 and deviation 1 of each picture, in double precision.
  static Tensor standardized(const Tensor& x) {
    std::vector<float> values = x.to_vector();
    const size_t pixels = values.size() / static_cast<size_t>(x.shape()[0]);
    for (auto first = values.begin(); first != values.end(); first += pixels) {
      double sum = 0, squares = 0;
      for (size_t i = 0; i < pixels; ++i) sum += first[i];
      const double mean = sum / static_cast<double>(pixels);
      for (size_t i = 0; i < pixels; ++i) squares += (first[i] - mean) * (first[i] - mean);
      const double deviation = std::sqrt(squares / static_cast<double>(pixels));
      for (size_t i = 0; i < pixels; ++i)
        first[i] = static_cast<float>((first[i] - mean) / deviation);
    }
    return Tensor::from(x.shape(), values);
  }

  TemporaryFolder folder_;
};

TEST_F(OnnxFile, ComputesWhatEveryOperationDoes) {
  Sequential convolutions(
      Rescaling(1.0f / 255, -0.5f),
      Conv2D(6, {3, 2}, {.strides = {2, 1}, .padding = Padding::same, .dilation_rate = {1, 1}}),
      Conv2D(4, 3, {.dilation_rate = {2, 1}, .groups = 2, .activation = Activation::relu}),
      Conv2D(4, 3,
             {.strides = {2, 2},
              .explicit_padding = std::array{Pads{2, 1}, Pads{0, 2}},
              .use_bias = false}),
      Conv2D(5, 2, {.strides = {3, 3}}), BatchNormalization());
  add("convolutions", convolutions, {1, 23, 17, 3});

  for (const Padding padding : {Padding::same, Padding::valid}) {
    for (const int64_t stride : {1, 2, 3}) {
      Sequential model(
          Rescaling(1.0f / 255),
          Conv2DTranspose(5, 3, {.strides = {stride, 2}, .padding = padding}),
          Conv2DTranspose(2, 2, {.strides = {3, stride}, .padding = padding, .use_bias = false}));
      add(cat("transposed_", padding == Padding::same ? "same_" : "valid_", stride), model,
          {1, 5, 4, 3});
    }
  }

  Sequential pools(
      MaxPooling2D({.pool_size = {3, 3}, .strides = {2, 2}, .padding = Padding::same}),
      AveragePooling2D({.pool_size = {3, 2}, .strides = {2, 1}, .padding = Padding::same}),
      MaxPooling2D({.pool_size = {2, 3}, .strides = {1, 2}}), UpSampling2D({2, 3}),
      UpSampling2D({3, 2}, Upsampling::bilinear));
  add("pools", pools, {1, 22, 19, 3});

  Sequential arithmetic(Rescaling(1.0f / 64, -2), Arithmetic());
  add("arithmetic", arithmetic, {1, 5, 7, 3});

  Sequential average(Rescaling(1.0f / 255), GlobalAveragePooling2D(), BatchNormalization(),
                     Arithmetic(), Dense(4, Activation::relu), Dense(3, Activation::linear, false));
  add("vectors", average, {1, 6, 5, 3});
  Sequential flat(Rescaling(1.0f / 255), MaxPooling2D(), Flatten(), Dense(3));
  add("flatten", flat, {1, 7, 9, 3});
}

TEST_F(OnnxFile, ComputesWhatEveryModelDoes) {
  for (const ModelEntry& entry : model_entries()) {
    const std::unique_ptr<Layer> model = entry.make({.classes = 3});
    add(entry.name, *model, {1, 32, 48, entry.channels}, entry.standardize);
  }
}

TEST(Onnx, RefusesWhatAFileCannotSay) {
  const TemporaryFolder folder;
  const auto expect_refused = [&](Layer& model, const Shape& shape, const std::string& part) {
    build(model, shape);
    const Graph graph = graph_of(model, shape);
    const std::string file = folder / "refused.onnx";
    expect_error([&] { write_onnx(file, graph, {.outputs = {{"y", graph.output}}}); }, {part});
    EXPECT_FALSE(std::filesystem::exists(file));
  };
  BatchNormalization batch({.statistics = BatchNormalization::Statistics::Batch});
  expect_refused(batch, {2, 4}, "--bn-statistics moving");

  class Lambda : public Layer {
   public:
    explicit Lambda(Tensor (*f)(const Tensor&)) : f_(f) {}
    std::string_view kind() const override { return "Lambda"; }

   protected:
    Tensor call(const Tensor& x) override { return f_(x); }

   private:
    Tensor (*f_)(const Tensor&);
  };
  Lambda mixing([](const Tensor& x) { return reshape(x, {x.size() / 4, 4}); });
  expect_refused(mixing, {2, 2, 2, 4}, "flattens each picture");
  Lambda three_axes([](const Tensor& x) { return softmax(x); });
  expect_refused(three_axes, {2, 3, 4}, "3 axes");
}

}  // namespace
}  // namespace fettle
