#include "apps/weights.h"

#include <gtest/gtest.h>

#include "io/hdf5_file.h"
#include "io/safetensors.h"
#include "models/classifier.h"
#include "models/resnet.h"
#include "tests/io/temporary_folder.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

std::unique_ptr<Layer> built(const std::string& name, const ModelOptions& options, uint64_t seed) {
  auto model = model_entry(name).make(options);
  build(*model, {1, 32, 32, 3}, seed);
  return model;
}

/// Loads a file and returns what is said about it.
std::string loaded(const std::string& path, Layer& model, bool new_head = false) {
  testing::internal::CaptureStderr();
  try {
    load_weights(*open_weights(path), model, new_head);
  } catch (const Error&) {
    testing::internal::GetCapturedStderr();
    throw;
  }
  return testing::internal::GetCapturedStderr();
}

/// The model's tensors as PyTorch's torch.save of a state dict would have them: kernels KCRS.
NamedTensors state_dict(Layer& model) {
  NamedTensors tensors = named_tensors(model);
  for (NamedTensor& named : tensors)
    if (named.tensor.shape().rank() == 4) named.tensor = permute(named.tensor, {0, 3, 1, 2});
  tensors.push_back({"bn1.num_batches_tracked", Tensor::zeros({}, DType::i32)});
  return tensors;
}

void expect_equal_tensors(Layer& ours, Layer& theirs, const std::string& except = "none") {
  const NamedTensors a = named_tensors(ours), b = named_tensors(theirs);
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].name.starts_with(except)) continue;
    EXPECT_EQ(a[i].tensor.to_vector(), b[i].tensor.to_vector()) << a[i].name;
  }
}

TEST(Weights, AStateDictOfTorchvisionFits) {
  const TemporaryFolder folder;
  for (const char* name : {"resnet18", "resnet50"}) {
    const auto theirs = built(name, {.width = 2}, 1), ours = built(name, {.width = 2}, 2);
    write_safetensors(folder / name, state_dict(*theirs), {{"format", "pt"}});
    const std::string said = loaded(folder / name, *ours);
    expect_equal_tensors(*ours, *theirs);
    const size_t count = named_tensors(*ours).size();
    EXPECT_EQ(said, cat("Weights: ", count, " tensors of '", folder / name, "' (PyTorch) match\n"));
  }
}

TEST(Weights, AnotherNumberOfClassesBeginsANewHeadAndSaysSo) {
  const TemporaryFolder folder;
  const auto theirs = built("resnet18", {.classes = 7, .width = 2}, 1);
  const auto ours = built("resnet18", {.width = 2}, 2), fresh = built("resnet18", {.width = 2}, 2);
  write_safetensors(folder / "w", state_dict(*theirs));
  const std::string said = loaded(folder / "w", *ours);
  expect_equal_tensors(*ours, *theirs, "fc");
  EXPECT_EQ(named_tensors(*ours).back().tensor.to_vector(),
            named_tensors(*fresh).back().tensor.to_vector());
  for (const char* part : {"fc.weight is [7, 16] in the file and [2, 16] here",
                           "New head: fc.weight, fc.bias begin anew", "7 outputs"})
    EXPECT_NE(said.find(part), std::string::npos) << said;
}

TEST(Weights, AHeadThatDoesNotFitNeedsNewHead) {
  const TemporaryFolder folder;
  const auto theirs = built("resnet18", {.width = 2}, 1);
  const auto ours = built("resnet18", {.width = 2, .head = "pool,dense=5:relu,dense=2"}, 2);
  write_safetensors(folder / "w", state_dict(*theirs));
  expect_error([&] { loaded(folder / "w", *ours); },
               {"head", "fc.weight is [2, 16] in the file and [2, 5] here", "lacks dense.weight",
                "--new-head"});
  EXPECT_NE(loaded(folder / "w", *ours, true).find("--new-head says so"), std::string::npos);
  expect_equal_tensors(dynamic_cast<Classifier&>(*ours).backbone(),
                       dynamic_cast<Classifier&>(*theirs).backbone());

  NamedTensors headless = state_dict(*theirs);
  std::erase_if(headless, [](const NamedTensor& named) { return named.name.starts_with("fc"); });
  write_safetensors(folder / "headless", headless);
  const auto other = built("resnet18", {.width = 2}, 3);
  expect_error([&] { loaded(folder / "headless", *other); }, {"lacks fc.weight", "--new-head"});
  EXPECT_NE(loaded(folder / "headless", *other, true).find("not in the file: fc.weight"),
            std::string::npos);
}

TEST(Weights, OfAnotherNetworkAreRefusedAndChangeNothing) {
  const TemporaryFolder folder;
  const auto deep = built("resnet34", {.width = 2}, 1), wide = built("resnet18", {.width = 4}, 1);
  const auto ours = built("resnet18", {.width = 2}, 2), before = built("resnet18", {.width = 2}, 2);
  write_safetensors(folder / "deep", state_dict(*deep));
  write_safetensors(folder / "wide", state_dict(*wide));
  expect_error([&] { loaded(folder / "deep", *ours); },
               {"another network", "only the file has layer1.2.bn1.bias"});
  expect_error([&] { loaded(folder / "wide", *ours); },
               {"another network", "conv1.weight is [4, 7, 7, 3] in the file and [2, 7, 7, 3] here",
                "--width"});
  const auto plain = built("defect_cnn", {}, 1);
  write_safetensors(folder / "plain", state_dict(*plain));
  expect_error([&] { loaded(folder / "plain", *ours); }, {"another network", "lacks conv1.weight"});
  NamedTensors sick = state_dict(*built("resnet18", {.width = 2}, 1));
  sick[4].tensor.fill(NAN);
  write_safetensors(folder / "sick", sick);
  expect_error([&] { loaded(folder / "sick", *ours); }, {"bn1.running_var", "not finite"});
  expect_equal_tensors(*ours, *before);
}

TEST(Weights, OfAnyModelOfFettleFitItself) {
  const TemporaryFolder folder;
  const auto theirs = built("defect_cnn", {.classes = 3}, 1), ours = built("defect_cnn", {}, 2);
  write_safetensors(folder / "w", named_tensors(*theirs), {{"format", "fettle"}});
  EXPECT_NE(loaded(folder / "w", *ours).find("New head: dense.weight, dense.bias"),
            std::string::npos);
  expect_equal_tensors(*ours, *theirs, "dense");
}

TEST(Weights, OfEveryFormOfKerasGiveItsLogits) {
  if (!Hdf5File::available()) GTEST_SKIP() << "this build has no HDF5 library";
  const auto stored = stored_values("keras/tiny.json");
  const Tensor pictures = stored_tensor({2, 9, 12, 3}, stored["pictures"]).to(Device::cpu());
  for (const char* name :
       {"tiny.weights.h5", "tiny_unnamed.weights.h5", "tiny_model.h5", "tiny_keras2.h5"}) {
    const ResNetOptions tiny = {.blocks = {1},
                                .dialect = ResNetDialect::keras,
                                .width = 2,
                                .batch_norm = {.momentum = 0.99f, .epsilon = 1.001e-5f}};
    Classifier model({.classes = 3, .augment = "none"}, std::make_unique<ResNet>(tiny), "caffe");
    build(model, {1, 9, 12, 3});
    loaded(cat(FETTLE_TEST_DATA, "/keras/", name), model);
    expect_equal(model(pictures), stored["logits"], name, 1e-5);
  }
  const auto torch = built("resnet50", {.width = 2}, 1);
  expect_error([&] { loaded(cat(FETTLE_TEST_DATA, "/keras/tiny.weights.h5"), *torch); },
               {"Keras", "another network"});
}

TEST(Weights, PreprocessingFollowsTheWeights) {
  const TemporaryFolder folder;
  const NamedTensors some = {{"a", Tensor::zeros({1})}};
  write_safetensors(folder / "pytorch", some, {{"format", "pt"}});
  write_safetensors(folder / "fettle", some, {{"format", "fettle"}, {"preprocess", "unit"}});
  const auto pytorch = open_weights(folder / "pytorch"), own = open_weights(folder / "fettle");
  const ModelEntry &v15 = model_entry("resnet50"), &v1 = model_entry("resnet50_keras");
  EXPECT_EQ(preprocess_of("default", v15, nullptr), "imagenet");
  EXPECT_EQ(preprocess_of("default", v1, nullptr), "caffe");
  EXPECT_EQ(preprocess_of("default", v1, pytorch.get()), "imagenet");
  EXPECT_EQ(preprocess_of("default", v15, own.get()), "unit");
  EXPECT_EQ(preprocess_of("none", v15, own.get()), "none");
  EXPECT_EQ(preprocess_of("default", model_entry("tyre_cnn"), own.get()), "");
  expect_error([&] { preprocess_of("unit", model_entry("tyre_cnn"), nullptr); },
               {"--preprocess", "tyre_cnn"});
  if (!Hdf5File::available()) return;
  const auto keras = open_weights(cat(FETTLE_TEST_DATA, "/keras/tiny.weights.h5"));
  EXPECT_EQ(preprocess_of("default", v15, keras.get()), "caffe");
}

}  // namespace
}  // namespace fettle
