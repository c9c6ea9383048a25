#include "io/weight_file.h"

#include <cmath>
#include <map>

#include "io/hdf5_file.h"
#include "io/safetensors.h"
#include "tests/io/temporary_folder.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

Tensor counted(const Shape& shape) {
  std::vector<float> values;
  for (int64_t i = 0; i < shape.size(); ++i) values.push_back(static_cast<float>(i));
  return Tensor::from(shape, values);
}

std::string keras_file(const std::string& name) {
  return std::string(FETTLE_TEST_DATA) + "/keras/" + name;
}

/// Every tensor of a file by its numbered (else plain) name.
std::map<std::string, Tensor> tensors_of(const std::string& path) {
  const auto file = open_weights(path);
  std::map<std::string, Tensor> tensors;
  for (size_t i = 0; i < file->entries().size(); ++i) {
    const WeightEntry& entry = file->entries()[i];
    const Tensor tensor = file->read(i);
    EXPECT_TRUE(std::equal(entry.shape.begin(), entry.shape.end(), tensor.shape().begin(),
                           tensor.shape().end()))
        << entry.name;
    tensors[entry.numbered.empty() ? entry.name : entry.numbered] = tensor;
  }
  return tensors;
}

TEST(WeightFile, TurnsPyTorchsKernels) {
  const TemporaryFolder folder;
  const int64_t K = 2, C = 3, R = 4, S = 5;
  write_safetensors(folder / "w",
                    {{"module.conv.weight", counted({K, C, R, S})},
                     {"module.fc.weight", counted({2, 3})},
                     {"module.bn.num_batches_tracked", Tensor::zeros({}, DType::i32)}});
  EXPECT_EQ(open_weights(folder / "w")->source(), WeightSource::pytorch);
  const auto tensors = tensors_of(folder / "w");
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("fc.weight").to_vector(), counted({2, 3}).to_vector());
  const Tensor conv = tensors.at("conv.weight");
  ASSERT_EQ(conv.shape(), (Shape{K, R, S, C}));
  for (int64_t k = 0, i = 0; k < K; ++k)
    for (int64_t r = 0; r < R; ++r)
      for (int64_t s = 0; s < S; ++s)
        for (int64_t c = 0; c < C; ++c, ++i)
          EXPECT_EQ(conv.data()[i], static_cast<float>(((k * C + c) * R + r) * S + s));
}

TEST(WeightFile, TakesItsOwnKernelsAsTheyAre) {
  const TemporaryFolder folder;
  write_safetensors(folder / "w", {{"conv.weight", counted({2, 3, 4, 5})}},
                    {{"format", "fettle"}, {"preprocess", "unit"}});
  const auto file = open_weights(folder / "w");
  EXPECT_EQ(file->source(), WeightSource::fettle);
  EXPECT_EQ(file->metadata().at("preprocess"), "unit");
  EXPECT_EQ(file->read(0).to_vector(), counted({2, 3, 4, 5}).to_vector());
}

TEST(WeightFile, RefusesWhatCouldRunCodeAndSaysHowToConvertIt) {
  const TemporaryFolder folder;
  write_bytes(folder / "old.pth", std::string("\x80\x02}q\x01.", 6));
  write_bytes(folder / "new.pth", std::string("PK\x03\x04\0\0\0\0archive/data.pkl", 24));
  for (const char* name : {"old.pth", "new.pth"})
    expect_error([&] { open_weights(folder / name); },
                 {name, "pickle", "weights_only=True", "save_file"});
  write_bytes(folder / "model.keras", std::string("PK\x03\x04\0\0\0\0metadata.json", 21));
  expect_error([&] { open_weights(folder / "model.keras"); }, {"unpack", "model.weights.h5"});
}

TEST(WeightFile, RefusesFilesThatLieOrAreNoWeights) {
  const TemporaryFolder folder;
  expect_error([&] { open_weights(folder / "missing"); }, {"missing"});
  write_bytes(folder / "text", "These are not weights.\n");
  expect_error([&] { open_weights(folder / "text"); }, {"text", "safetensors"});
  write_bytes(folder / "long", std::string("\xFF\xFF\xFF\xFF\0\0\0\0{}", 10));
  expect_error([&] { open_weights(folder / "long"); }, {"long", "header"});
  write_bytes(folder / "cut.h5", std::string("\x89HDF\r\n\x1a\n", 8));
  expect_error([&] { open_weights(folder / "cut.h5"); }, {"cut.h5", "HDF5"});
  write_safetensors(folder / "nan", {{"fc.weight", Tensor::full({2, 2}, NAN)}});
  expect_error([&] { open_weights(folder / "nan")->read(0); }, {"fc.weight", "nan", "not finite"});
}

TEST(KerasWeights, WithoutTheLibraryTheBuildSaysWhatItLacks) {
  if (Hdf5File::available()) GTEST_SKIP() << "this build has the HDF5 library";
  expect_error([&] { open_weights(keras_file("tiny.weights.h5")); },
               {"tiny.weights.h5", "libhdf5-dev"});
}

TEST(KerasWeights, EveryFormOfKerasHoldsTheSame) {
  if (!Hdf5File::available()) GTEST_SKIP() << "this build has no HDF5 library";
  const auto expected = tensors_of(keras_file("tiny.weights.h5"));
  ASSERT_EQ(expected.size(), 5u * 2 + 5u * 4 + 2);
  EXPECT_EQ(expected.at("conv2d.weight").shape(), (Shape{2, 7, 7, 3}));
  EXPECT_EQ(expected.at("dense.weight").shape(), (Shape{3, 8}));
  for (const char* name : {"tiny_unnamed.weights.h5", "tiny_model.h5", "tiny_keras2.h5"}) {
    const auto tensors = tensors_of(keras_file(name));
    ASSERT_EQ(tensors.size(), expected.size()) << name;
    for (const auto& [key, tensor] : expected) {
      ASSERT_TRUE(tensors.contains(key)) << name << " " << key;
      EXPECT_EQ(tensors.at(key).to_vector(), tensor.to_vector()) << name << " " << key;
    }
  }
  EXPECT_EQ(open_weights(keras_file("tiny_keras2.h5"))->entries()[0].name, "conv1_conv.weight");
  EXPECT_EQ(open_weights(keras_file("tiny_unnamed.weights.h5"))->source(), WeightSource::keras);
}

TEST(KerasWeights, FilesThatLeadElsewhereOrSayTooMuchAreRefused) {
  if (!Hdf5File::available()) GTEST_SKIP() << "this build has no HDF5 library";
  const std::map<std::string, std::string> cases = {{"external_link", "link to somewhere else"},
                                                    {"soft_link", "link to somewhere else"},
                                                    {"external_storage", "other files"},
                                                    {"virtual", "other files"},
                                                    {"cycle", "nested too deeply"},
                                                    {"huge", "too large"},
                                                    {"unstored", "more than is stored"},
                                                    {"compressed", "compressed"},
                                                    {"empty", "no weights"}};
  for (const auto& [name, why] : cases) {
    const std::string file = name + ".weights.h5";
    expect_error([&] { open_weights(keras_file(file)); }, {file, why});
  }
}

TEST(Permute, MovesAxes) {
  const Tensor x = random_tensor({2, 3, 4}, 1).to(Device::cpu());
  const Tensor y = permute(x, {2, 0, 1});
  ASSERT_EQ(y.shape(), (Shape{4, 2, 3}));
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (int64_t k = 0; k < 4; ++k)
        EXPECT_EQ(y.data()[(k * 2 + i) * 3 + j], x.data()[(i * 3 + j) * 4 + k]);
}

}  // namespace
}  // namespace fettle
