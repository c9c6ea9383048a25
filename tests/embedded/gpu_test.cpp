// The C interface with a GPU, which is the tests' executor.
#include <gtest/gtest.h>

#include <memory>
#include <string_view>
#include <vector>

#include "apps/embedded/fettle.h"
#include "tests/io/small_model.h"

namespace fettle {
namespace {

using Model = std::unique_ptr<fettle_model, decltype(&fettle_free)>;
using Result = std::unique_ptr<fettle_result, decltype(&fettle_free_result)>;

/// A model on a device, at work on grey ramps.
class OnDevice {
 public:
  OnDevice(const SingleFile& model, const char* device)
      : bytes_(to_bytes(model, Storage::f32)),
        model_(fettle_load_memory(bytes_.data(), bytes_.size(), nullptr), fettle_free) {
    fettle_error error;
    EXPECT_EQ(fettle_set_device(model_.get(), device, &error), FETTLE_OK) << error.sentence;
  }
  fettle_model* get() const { return model_.get(); }
  Result predict(int width, int height, fettle_error* error = nullptr) const {
    std::vector<uint8_t> pixels(size_t{3} * static_cast<size_t>(width * height));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 7 % 251);
    const size_t stride = size_t{3} * static_cast<size_t>(width);
    return {fettle_predict(get(), pixels.data(), width, height, stride, error), fettle_free_result};
  }

 private:
  std::vector<uint8_t> bytes_;
  Model model_;
};

TEST(CInterfaceOnGpu, GivesWhatTheCpuGives) {
  const OnDevice cpu(small_segmenter(), "cpu"), gpu(small_segmenter(), "cuda");
  for (const auto& [width, height] : {std::pair{21, 13}, {34, 30}, {34, 30}}) {
    fettle_error error;
    const Result wanted = cpu.predict(width, height), ours = gpu.predict(width, height, &error);
    ASSERT_TRUE(wanted && ours) << error.sentence;
    for (int i = 0; i < width * height * 2; ++i)
      ASSERT_NEAR(fettle_probability_map(ours.get())[i], fettle_probability_map(wanted.get())[i],
                  1e-5);
  }
  const OnDevice classifier(small_classifier(), "cpu");
  const Result wanted = classifier.predict(9, 9);
  ASSERT_EQ(fettle_set_device(classifier.get(), "cuda:0", nullptr), FETTLE_OK);
  const Result ours = classifier.predict(9, 9);
  ASSERT_EQ(fettle_set_device(classifier.get(), "cpu", nullptr), FETTLE_OK);
  const Result again = classifier.predict(9, 9);
  ASSERT_TRUE(wanted && ours && again);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(fettle_probability(ours.get(), i), fettle_probability(wanted.get(), i), 1e-5);
    EXPECT_EQ(fettle_probability(again.get(), i), fettle_probability(wanted.get(), i));
  }
}

TEST(CInterfaceOnGpu, AGpuThatIsNotThereIsRefused) {
  const OnDevice model(small_classifier(), "cuda");
  fettle_error error;
  EXPECT_EQ(fettle_set_device(model.get(), "cuda:1", &error), FETTLE_NO_DEVICE);
  EXPECT_STREQ(error.sentence, "there is no cuda:1; there is one GPU, cuda:0");
  EXPECT_TRUE(model.predict(9, 9));  // still on the one that it had
}

TEST(CInterfaceOnGpu, Bf16IsRefused) {
  const OnDevice on_gpu(small_classifier(), "cuda"), on_cpu(small_classifier(), "cpu");
  fettle_error error;
  EXPECT_EQ(fettle_set_precision(on_gpu.get(), "bf16", &error), FETTLE_FAILED);
  EXPECT_STREQ(error.sentence,
               "predictions in bf16 are the CPU's alone: take the device cpu, or fp32");
  EXPECT_EQ(fettle_set_precision(on_gpu.get(), "fp32", nullptr), FETTLE_OK);
  EXPECT_TRUE(on_gpu.predict(9, 9));
  if (fettle_set_precision(on_cpu.get(), "bf16", nullptr) != FETTLE_OK) return;
  EXPECT_EQ(fettle_set_device(on_cpu.get(), "cuda", &error), FETTLE_NO_DEVICE);
  EXPECT_NE(std::string_view(error.sentence).find("bf16"), std::string_view::npos);
  EXPECT_TRUE(on_cpu.predict(9, 9));
}

TEST(CInterfaceOnGpu, MemoryIsBounded) {
  const OnDevice model(small_segmenter(), "cuda");
  ASSERT_EQ(fettle_set_threads(model.get(), 1, nullptr), FETTLE_OK);
  fettle_set_max_memory(model.get(), size_t{1} << 20, nullptr);
  fettle_error error;
  EXPECT_EQ(model.predict(20, 20, &error), nullptr);
  EXPECT_EQ(error.code, FETTLE_TOO_LARGE) << error.sentence;
}

}  // namespace
}  // namespace fettle
