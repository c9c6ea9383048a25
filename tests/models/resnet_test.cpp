#include "models/resnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "engine/ops/arithmetic.h"
#include "engine/random.h"
#include "models/classifier.h"
#include "tests/models/spread.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

struct Counts {
  int64_t all = 0, parameters = 0;
};

Counts counts_of(Layer& model) {
  Counts counts;
  for (const NamedTensor& named : named_tensors(model)) {
    counts.all += named.tensor.size();
    if (named.parameter) counts.parameters += named.tensor.size();
  }
  return counts;
}

std::unique_ptr<Layer> built(const std::string& name, const ModelOptions& options,
                             int64_t extent = 64) {
  std::unique_ptr<Layer> model = model_entry(name).make(options);
  build(*model, {1, extent, extent, 3});
  return model;
}

TEST(ResNet, HasThePublishedNumbersOfParameters) {
  EXPECT_EQ(counts_of(*built("resnet18", {.classes = 1000})).parameters, 11'689'512);
  EXPECT_EQ(counts_of(*built("resnet50", {.classes = 1000})).parameters, 25'557'032);
  // Keras counts the moving statistics, too.
  ResNet base({.dialect = ResNetDialect::keras});
  EXPECT_EQ(build(base, {1, 224, 224, 3}), (Shape{1, 7, 7, 2048}));
  EXPECT_EQ(counts_of(base).all, 23'587'712);
}

TEST(ResNet, HasAsManyLayersAsItsNameSays) {
  for (const std::string name :
       {"18", "34", "50", "101", "152", "50_keras", "101_keras", "152_keras"}) {
    int layers = 0;
    for (const NamedTensor& named : named_tensors(*built("resnet" + name, {.width = 1})))
      layers +=
          named.tensor.shape().rank() > 1 && named.name.find("downsample") == std::string::npos;
    EXPECT_EQ(layers, std::stoi(name)) << name;
  }
}

TEST(ResNet, TheSteelProjectsClassifierHasItsParameters) {
  const ModelOptions options = {.preprocess = "unit",
                                .head = "avgpool=4,flatten,dense=256:relu,dropout=0.3,dense=1"};
  const auto model = built("resnet50_keras", options, 256);
  EXPECT_EQ(counts_of(*model).all, 25'685'377);
  std::map<std::string, Shape> outputs;
  for (const LayerRow& row : layer_table(*model, {1, 256, 256, 3})) outputs[row.name] = row.output;
  EXPECT_EQ(outputs["average_pooling2d"], (Shape{1, 2, 2, 2048}));
  EXPECT_EQ(outputs["dense"], (Shape{1, 256}));
  EXPECT_EQ(outputs["fc"], (Shape{1, 1}));
}

TEST(ResNet, WidthAndPictureSizeAreFree) {
  const auto narrow = built("resnet18", {.classes = 3, .width = 16}, 50);
  EXPECT_LT(counts_of(*narrow).all, 750'000);
  EXPECT_EQ(build(*narrow, {2, 33, 97, 3}), (Shape{2, 3}));
  EXPECT_THROW(ResNet({.width = 0}), Error);
}

/// The model's tensors in the order of the other library's names.
NamedTensors in_order(Layer& model, const std::vector<std::string>& names,
                      const std::function<std::string(const std::string&)>& theirs) {
  std::map<std::string, NamedTensor> by_name;
  for (const NamedTensor& named : named_tensors(model)) by_name[theirs(named.name)] = named;
  EXPECT_EQ(by_name.size(), names.size());
  NamedTensors ordered;
  for (const std::string& name : names) {
    EXPECT_TRUE(by_name.contains(name)) << name;
    ordered.push_back(by_name[name]);
    ordered.back().name = name;
  }
  return ordered;
}

/// Compares logits and gradients with what the scripts make_resnet.py and make_keras_resnet.py
/// stored, in prediction and in training.
void expect_equal_network(Layer& model, const NamedTensors& tensors, const nlohmann::json& stored) {
  set_spread_weights(tensors, [](const NamedTensor& named) {
    return named.tensor.size() / named.tensor.shape()[0];
  });
  // What the scripts say of batch-norm.
  for (const NamedTensor& named : tensors) {
    Tensor tensor = named.tensor;
    const std::string& name = named.name;
    const bool norm =
        name.find("bn") != std::string::npos || name.find("downsample.1") != std::string::npos;
    if (name.ends_with("bn3.weight") || name.ends_with("_3_bn.weight"))
      tensor.copy_from(rescale(tensor.detach(), 0.25f));
    if (norm && name.ends_with(".bias")) tensor.copy_from(rescale(tensor.detach(), 1, 2.5f));
  }
  const Shape shape = {2, 64, 96, 3};
  const Tensor x = Tensor::from(shape, spread(stored["input"].get<size_t>(), shape.size(), 4, -2));
  for (const bool training : {false, true}) {
    const auto& values = stored[training ? "trained" : "predicted"];
    std::optional<TrainingScope> scope;
    if (training) scope.emplace(1, 1);
    const Tensor y = model(x);
    expect_equal(y, values["logits"], training ? "training" : "prediction", 1e-4);
    backward_with(y, Tensor::from(y.shape(), spread(1001, y.size(), 2, -1)));
    expect_equal_gradients(tensors, values["gradients"], 1e-3, 1e-6);
    for (NamedTensor named : tensors) named.tensor.clear_grad();
  }
}

const ModelOptions ten_classes = {.classes = 10, .augment = "none", .preprocess = "none"};

TEST(ResNet, EqualsTorchvisionForwardAndBackward) {
  const auto stored = stored_values("resnet.json");
  for (const char* name : {"resnet18", "resnet50"}) {
    SCOPED_TRACE(name);
    const auto model = built(name, ten_classes);
    const NamedTensors tensors =
        in_order(*model, stored[name]["names"], [](const std::string& own) { return own; });
    expect_equal_network(*model, tensors, stored[name]);
  }
}

TEST(ResNet, EqualsKerasForwardAndBackward) {
  const auto stored = stored_values("keras_resnet.json");
  const auto model = built("resnet50_keras", ten_classes);
  const NamedTensors tensors = in_order(*model, stored["names"], [](const std::string& own) {
    const size_t dot = own.rfind('.');
    return keras_resnet_name(own.substr(0, dot)) + own.substr(dot);
  });
  expect_equal_network(*model, tensors, stored);
}

TEST(ResNet, ListsLayersOfEachKindInKerasOrder) {
  // Keras numbers conv2d, conv2d_1, ... and batch_normalization, ... apart.
  const auto stored = stored_values("keras_resnet.json");
  EXPECT_EQ(stored["base_parameters"], 23'587'712);
  const auto of_kind = [](const std::vector<std::string>& names, const std::string& end) {
    std::vector<std::string> some;
    for (const std::string& name : names)
      if (name.ends_with(end)) some.push_back(name);
    return some;
  };
  std::vector<std::string> ours;
  for (const NamedTensor& named : named_tensors(*built("resnet50_keras", ten_classes)))
    if (named.name.ends_with(".bias"))
      ours.push_back(keras_resnet_name(named.name.substr(0, named.name.rfind('.'))));
  for (const char* end : {"conv", "bn", "predictions"})
    EXPECT_EQ(of_kind(ours, end), of_kind(stored["layers"], end));
  EXPECT_EQ(keras_resnet_name("dense"), "");
}

TEST(Preprocessing, EqualsTorchvisionAndKeras) {
  const Tensor pixels = Tensor::from({1, 2, 2, 3}, spread(1002, 12, 255, 0));
  expect_equal(Preprocessing("imagenet")(pixels), stored_values("resnet.json", "imagenet"),
               "imagenet", 1e-6);
  for (const char* text : {"caffe", "symmetric"})
    expect_equal(Preprocessing(text)(pixels), stored_values("keras_resnet.json", text), text, 1e-6);
  EXPECT_EQ(Preprocessing("none")(pixels).to_vector(), pixels.to_vector());
  EXPECT_EQ(Preprocessing("default", "unit")(Tensor::full({1, 1, 1, 1}, 255)).item(), 1);
}

TEST(Preprocessing, MakesThreeChannelsOfGrey) {
  const Tensor grey = Tensor::full({1, 1, 1, 1}, 100), same = Tensor::full({1, 1, 1, 3}, 100);
  for (const char* text : {"imagenet", "caffe"})
    EXPECT_EQ(Preprocessing(text)(grey).to_vector(), Preprocessing(text)(same).to_vector()) << text;
  EXPECT_NE(message_of([] { Preprocessing("bgr"); }).find("choose imagenet, caffe"),
            std::string::npos);
}

TEST(Head, WordsThatDoNotFitAreRefusedWithTheMend) {
  const auto message = [](const std::string& head, int64_t classes) {
    return message_of([&] {
      build(*model_entry("resnet18").make({.classes = classes, .width = 2, .head = head}),
            {1, 64, 64, 3});
    });
  };
  const std::vector<std::tuple<std::string, int64_t, std::string>> cases = {
      {"pool,dense=3", 2, "write dense=2 or dense=1"},
      {"pool,dense=1", 3, "write dense=3"},
      {"pool,dense=2:sigmoid", 2, "no activation"},
      {"pool,dense=4:softmax,dense", 2, "relu6"},
      {"pool,dropout=0.2", 2, "last word must be dense"},
      {"pool,dropout=1.5,dense", 2, "dropout=1.5"},
      {"pool,conv=3,dense", 2, "'conv=3' is not known"},
      {"pool=2,dense", 2, "'pool=2' is not known"},
      {"pool,dense=x,dense", 2, "dense=x"},
      {"pool,,dense", 2, "'' is not known"},
      {"", 2, "empty"},
      {"dense=2", 2, "Flatten"},
      {"avgpool=4,flatten,dense", 2, "does not fit"}};
  for (const auto& [head, classes, part] : cases)
    EXPECT_NE(message(head, classes).find(part), std::string::npos)
        << head << ": " << message(head, classes);
  EXPECT_EQ(message("maxpool=2,flatten,dense=4:swish,dense=1", 2), "nothing was thrown");
}

}  // namespace
}  // namespace fettle
