// The C interface: what it computes, what it refuses, and that it stands when memory runs out.
#include "apps/embedded/fettle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "apps/predictor.h"
#include "engine/inference/plan.h"
#include "io/single_file.h"
#include "kernels/parallel.h"
#include "tests/heap.h"
#include "tests/io/small_model.h"
#include "tests/io/temporary_folder.h"

extern "C" void* __real_aligned_alloc(size_t alignment, size_t size);
extern "C" void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  return fettle::heap::exhausted() ? nullptr : __real_aligned_alloc(alignment, size);
}

namespace fettle {
namespace {

using Model = std::unique_ptr<fettle_model, decltype(&fettle_free)>;
using Result = std::unique_ptr<fettle_result, decltype(&fettle_free_result)>;

const std::vector<uint8_t>& segmenter() {
  static const std::vector<uint8_t> bytes = to_bytes(small_segmenter(), Storage::f32);
  return bytes;
}
const std::vector<uint8_t>& classifier() {
  static const std::vector<uint8_t> bytes = to_bytes(small_classifier(), Storage::f16);
  return bytes;
}

Model load(const std::vector<uint8_t>& bytes, fettle_error* error = nullptr) {
  return {fettle_load_memory(bytes.data(), bytes.size(), error), fettle_free};
}

/// RGB rows with bytes between them that are no pixels.
struct Rgb {
  Rgb(int width, int height, int gap = 0)
      : width(width), height(height), stride(static_cast<size_t>(3 * width + gap)) {
    for (size_t i = 0; i < stride * static_cast<size_t>(height); ++i) {
      const size_t column = i % stride, row = i / stride;
      const bool pixel = column < size_t{3} * static_cast<size_t>(width);
      bytes.push_back(pixel ? static_cast<uint8_t>(7 * column + 31 * row) : 255);
    }
  }
  Result predict(const fettle_model* model, fettle_error* error = nullptr) const {
    return {fettle_predict(model, bytes.data(), width, height, stride, error), fettle_free_result};
  }
  int width, height;
  size_t stride;
  std::vector<uint8_t> bytes;
};

TEST(CInterface, GivesWhatThePredictorGives) {
  const Rgb picture(21, 13);
  const Model model = load(segmenter());
  ASSERT_TRUE(model);
  EXPECT_EQ(fettle_draws_masks(model.get()), 1);
  EXPECT_EQ(fettle_classes(model.get()), 2);
  EXPECT_STREQ(fettle_class_name(model.get(), 0), "scratch");
  EXPECT_EQ(fettle_threshold(model.get()), 0.5);
  const Result result = picture.predict(model.get());
  ASSERT_TRUE(result);
  const Finding wanted =
      Predictor(small_segmenter()).predict({picture.height, picture.width, 3, picture.bytes});
  for (size_t i = 0; i < wanted.map.size(); ++i)
    ASSERT_EQ(fettle_probability_map(result.get())[i], wanted.map[i]);
  const size_t pixels = 21 * 13;
  for (size_t i = 0; i < pixels; ++i)
    ASSERT_EQ(fettle_mask(result.get(), 1)[i], wanted.masks[pixels + i]);
  EXPECT_EQ(fettle_probability(result.get(), 1), wanted.probabilities[1]);
  EXPECT_EQ(fettle_class(result.get()), -1);
}

TEST(CInterface, ClassifiesPicturesOfAnySizeAndStride) {
  const Model model = load(classifier());
  ASSERT_TRUE(model);
  for (const auto& [width, height] : {std::pair{6, 8}, {1, 1}, {50, 3}}) {
    const Result one = Rgb(width, height).predict(model.get());
    const Result other = Rgb(width, height, 5).predict(model.get());
    ASSERT_TRUE(one && other);
    float sum = 0, best = 0;
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(fettle_probability(one.get(), i), fettle_probability(other.get(), i));
      sum += fettle_probability(one.get(), i);
      best = std::max(best, fettle_probability(one.get(), i));
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(fettle_probability(one.get(), fettle_class(one.get())), best);
    EXPECT_EQ(fettle_mask(one.get(), 0), nullptr);
    EXPECT_EQ(fettle_probability_map(one.get()), nullptr);
  }
}

TEST(CInterface, GivesLabels) {
  SingleFile labeller = small_labeller();
  const Rgb picture(6, 8);
  const std::vector<float> p =
      Predictor(labeller).predict({picture.height, picture.width, 3, picture.bytes}).probabilities;
  // Between the middle label and the lowest one: two labels hold.
  std::vector<float> sorted = p;
  std::sort(sorted.begin(), sorted.end());
  ASSERT_LT(sorted[0], sorted[1]);
  labeller.threshold = sorted[1];
  const std::vector<uint8_t> bytes = to_bytes(labeller, Storage::f32);
  const Model model = load(bytes);
  ASSERT_TRUE(model);
  EXPECT_EQ(fettle_gives_labels(model.get()), 1);
  EXPECT_EQ(fettle_draws_masks(model.get()), 0);
  const Result result = picture.predict(model.get());
  ASSERT_TRUE(result);
  EXPECT_EQ(fettle_class(result.get()), -1);
  int labels = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(fettle_probability(result.get(), i), p[static_cast<size_t>(i)]);
    EXPECT_EQ(fettle_has_label(result.get(), i), p[static_cast<size_t>(i)] >= sorted[1]);
    labels += fettle_has_label(result.get(), i);
  }
  EXPECT_EQ(labels, 2);
  for (const int i : {-1, 3}) EXPECT_EQ(fettle_has_label(result.get(), i), 0);
  EXPECT_EQ(fettle_has_label(nullptr, 0), 0);
  EXPECT_EQ(fettle_gives_labels(nullptr), 0);
  const Model other = load(classifier());
  EXPECT_EQ(fettle_gives_labels(other.get()), 0);
  EXPECT_EQ(fettle_has_label(picture.predict(other.get()).get(), 0), 0);
}

TEST(CInterface, RefusesWhatMakesNoSense) {
  fettle_error error;
  const auto refused = [&](fettle_code code) {
    return error.code == code && std::string_view(error.sentence).size() > 10;
  };
  EXPECT_EQ(fettle_load(nullptr, &error), nullptr);
  EXPECT_TRUE(refused(FETTLE_BAD_ARGUMENT));
  EXPECT_EQ(fettle_load("/nowhere/model.fettle", &error), nullptr);
  EXPECT_TRUE(refused(FETTLE_CANNOT_READ)) << error.sentence;
  EXPECT_EQ(fettle_load("/tmp", &error), nullptr);
  EXPECT_TRUE(refused(FETTLE_BAD_MODEL));
  EXPECT_NE(std::string_view(error.sentence).find("fettle export"), std::string_view::npos);
  EXPECT_EQ(fettle_load_memory(nullptr, 10, &error), nullptr);
  EXPECT_TRUE(refused(FETTLE_BAD_ARGUMENT));
  EXPECT_EQ(fettle_load_memory(segmenter().data(), 0, &error), nullptr);
  EXPECT_TRUE(refused(FETTLE_BAD_ARGUMENT));
  EXPECT_EQ(fettle_load_memory(segmenter().data(), 100, &error), nullptr);
  EXPECT_TRUE(refused(FETTLE_BAD_MODEL));

  const Model model = load(segmenter(), &error);
  EXPECT_EQ(error.code, FETTLE_OK);
  EXPECT_STREQ(error.sentence, "");
  const Rgb picture(8, 6);
  const uint8_t* pixels = picture.bytes.data();
  struct {
    const fettle_model* model;
    const uint8_t* pixels;
    int width, height;
    size_t stride;
  } bad[] = {{nullptr, pixels, 8, 6, 24},      {model.get(), nullptr, 8, 6, 24},
             {model.get(), pixels, 0, 6, 24},  {model.get(), pixels, 8, 0, 24},
             {model.get(), pixels, -8, 6, 24}, {model.get(), pixels, 8, 6, 23},
             {model.get(), pixels, 8, 6, 0},   {model.get(), pixels, 1 << 30, 1 << 30, 24}};
  for (const auto& b : bad) {
    EXPECT_EQ(fettle_predict(b.model, b.pixels, b.width, b.height, b.stride, &error), nullptr);
    EXPECT_TRUE(refused(FETTLE_BAD_ARGUMENT));
    EXPECT_EQ(fettle_predict(b.model, b.pixels, b.width, b.height, b.stride, nullptr), nullptr);
  }
  EXPECT_EQ(fettle_set_threads(nullptr, 1, &error), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_threads(model.get(), -1, nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_threads(model.get(), 1025, nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_device(nullptr, "cpu", nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_device(model.get(), nullptr, nullptr), FETTLE_BAD_ARGUMENT);
  for (const char* device : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "CPU"}) {
    EXPECT_EQ(fettle_set_device(model.get(), device, &error), FETTLE_BAD_ARGUMENT) << device;
    EXPECT_NE(std::string_view(error.sentence).find("cuda:N"), std::string_view::npos);
  }
  EXPECT_EQ(fettle_set_max_memory(nullptr, 1, nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_precision(nullptr, "fp32", nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_precision(model.get(), nullptr, nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_set_precision(model.get(), "int8", nullptr), FETTLE_BAD_ARGUMENT);
  EXPECT_EQ(fettle_classes(nullptr), 0);
  EXPECT_EQ(fettle_draws_masks(nullptr), 0);
  EXPECT_EQ(fettle_threshold(nullptr), 0);
  for (const int i : {-1, 2}) EXPECT_EQ(fettle_class_name(model.get(), i), nullptr);
  EXPECT_EQ(fettle_class(nullptr), -1);
  EXPECT_EQ(fettle_mask(nullptr, 0), nullptr);
  EXPECT_EQ(fettle_probability(nullptr, 0), 0);
  fettle_free(nullptr);
  fettle_free_result(nullptr);
  const Result result = picture.predict(model.get());
  for (const int i : {-1, 2}) {
    EXPECT_EQ(fettle_mask(result.get(), i), nullptr);
    EXPECT_EQ(fettle_probability(result.get(), i), 0);
  }
}

// The tests' library is one without CUDA.
TEST(CInterface, AGpuIsRefusedWhereThereIsNone) {
  const Model model = load(classifier());
  const Rgb picture(8, 6);
  for (const char* device : {"cuda", "cuda:3"}) {
    fettle_error error;
    EXPECT_EQ(fettle_set_device(model.get(), device, &error), FETTLE_NO_DEVICE);
    const std::string_view sentence = error.sentence;
    EXPECT_TRUE(sentence.starts_with("this build of fettle has no CUDA kernels")) << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string_view::npos);
    EXPECT_TRUE(picture.predict(model.get()));  // where it was: on the CPU
  }
  EXPECT_EQ(fettle_set_device(model.get(), "cpu", nullptr), FETTLE_OK);
}

TEST(CInterface, EveryDamagedByteIsRefused) {
  std::vector<uint8_t> bytes = segmenter();
  for (size_t at = 0; at < bytes.size(); ++at) {
    fettle_error error;
    bytes[at] ^= 1;
    ASSERT_EQ(fettle_load_memory(bytes.data(), bytes.size(), &error), nullptr) << at;
    ASSERT_EQ(error.code, FETTLE_BAD_MODEL);
    bytes[at] ^= 1;
  }
}

TEST(CInterface, ThreadsAndTheirNumberChangeNothing) {
  const Model model = load(segmenter());
  const Rgb picture(70, 90);
  const auto map = [&](const Result& result) {
    const float* p = fettle_probability_map(result.get());
    return std::vector<float>(p, p + 70 * 90 * 2);
  };
  ASSERT_EQ(fettle_set_threads(model.get(), 1, nullptr), FETTLE_OK);
  const std::vector<float> wanted = map(picture.predict(model.get()));
  ASSERT_EQ(fettle_set_threads(model.get(), 3, nullptr), FETTLE_OK);
  const Model other = load(segmenter());
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round)
        equal += map(picture.predict(i % 2 ? model.get() : other.get())) == wanted;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 40);
}

/// Loads and predicts while only n allocations succeed; what the error says. In a thread of its
/// own, so that kernels have no working memory from before.
fettle_code with_allocations(int64_t n, const std::vector<uint8_t>& bytes, const Rgb& picture) {
  fettle_error error;
  std::thread([&] {
    heap::left = n;
    const Model model = load(bytes, &error);
    if (model && fettle_set_threads(model.get(), 2, &error) == FETTLE_OK)
      picture.predict(model.get(), &error);
    heap::left = -1;
  }).join();
  return error.code;
}

// Every allocation in turn is the one that fails.
TEST(CInterface, OutOfMemoryIsAnError) {
  const Rgb picture(40, 30);
  for (const std::vector<uint8_t>* bytes : {&segmenter(), &classifier()}) {
    int64_t n = 0;
    for (fettle_code code; (code = with_allocations(n, *bytes, picture)) != FETTLE_OK; ++n) {
      ASSERT_EQ(code, FETTLE_OUT_OF_MEMORY) << n;
      ASSERT_LT(n, 100'000);
    }
    EXPECT_GT(n, 20);
  }
}

/// Every way to compute something: stem, Winograd's, strided, depthwise, transposed and plain
/// convolutions, both upsamplings, pooling, concatenation, dense.
inference::Network of_all_kinds() {
  using inference::Operation;
  inference::Network n;
  const auto add = [&](Operation operation, std::vector<int> inputs) -> inference::Step& {
    inference::Step& step = n.steps.emplace_back();
    step.operation = operation, step.inputs = std::move(inputs);
    return step;
  };
  const auto window = [](inference::Step& step, int64_t extent, int64_t stride) {
    step.rows = {.extent = extent, .stride = stride};
    step.columns = step.rows;
  };
  n.steps.push_back(convolution(n, {16, 3, 3, 3}, 0));
  n.steps.push_back(convolution(n, {16, 3, 3, 16}, 1));
  window(add(Operation::max_pool2d, {2}), 2, 2);
  n.steps.push_back(convolution(n, {32, 3, 3, 16}, 3));
  n.steps.back().rows.stride = n.steps.back().columns.stride = 2;
  n.steps.push_back(convolution(n, {32, 3, 3, 1}, 4));
  n.steps.back().groups = 32;
  inference::Step& up = add(Operation::conv2d_transpose, {5});
  up.constants = {add_constant(n, {32, 2, 2, 16}, 0.02f), add_constant(n, {16}, 0.5f)};
  window(up, 2, 2);
  window(add(Operation::upsample2d, {5}), 2, 1);
  window(add(Operation::upsample2d, {5}), 2, 1);
  n.steps.back().interpolation = Upsampling::bilinear;
  add(Operation::concatenate, {3, 6, 7, 8});
  n.steps.push_back(convolution(n, {8, 1, 1, 96}, 9));
  window(add(Operation::average_pool2d, {10}), 2, 2);
  add(Operation::unary, {11});
  add(Operation::reshape, {12}).target = {8 * 8 * 8};
  inference::Step& dense = add(Operation::dense, {13});
  dense.constants = {add_constant(n, {5, 8 * 8 * 8}, 0.01f), inference::absent};
  add(Operation::softmax, {14});
  return n;
}

TEST(CInterface, ASessionAllocatesNothingOnceItHasRun) {
  const inference::Network network = of_all_kinds();
  const ThreadPool one(1);
  const ThreadScope scope(one);
  for (const bool pack_weights : {true, false}) {
    inference::Session session(std::make_shared<inference::PlannedNetwork>(
        network, plan(network, 32, 32, {.pictures = 2, .pack_weights = pack_weights})));
    std::fill_n(session.input(), 2 * 32 * 32 * 3, 0.5f);
    for (int i = 0; i < 2; ++i) session.run();
    EXPECT_EQ(heap::allocations([&] { session.run(); }), 0)
        << (pack_weights ? "" : "not ") << "packed";
  }
}

/// Bytes of a mapped file that are in this process's memory now.
int64_t resident_bytes_of(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  int64_t kilobytes = 0;
  bool of_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) of_file = line.ends_with(path);
    if (of_file && line.starts_with("Rss:")) kilobytes += std::stoll(line.substr(4));
  }
  return kilobytes * 1024;
}

/// What was packed is read no more, and the file's pages with it go back; they come again for
/// pictures of another size.
TEST(CInterface, AFilesPagesAreGivenBack) {
  SingleFile wide = small_segmenter();
  inference::Network& n = wide.network;
  n.steps[0] = convolution(n, {768, 3, 3, 3}, 0);
  n.steps[1] = convolution(n, {768, 3, 3, 768}, 1);
  n.steps[3] = convolution(n, {2, 1, 1, 768}, 3);
  const std::vector<uint8_t> bytes = to_bytes(wide, Storage::f32);
  const TemporaryFolder folder;
  const std::string path = folder / "wide.fettle";
  write_bytes(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});

  const Model in_memory = load(bytes), of_file{fettle_load(path.c_str(), nullptr), fettle_free};
  ASSERT_TRUE(in_memory && of_file);
  // A bias beside the weights may bring as much as 2 MiB of the file with it.
  const auto most = static_cast<int64_t>(bytes.size() / 2);
  EXPECT_GT(resident_bytes_of(path), most);  // the checksum has read it
  bool packed = false;                       // of two runs the second packs all weights to stay
  for (const int width : {8, 8, 6, 6}) {
    const Rgb picture(width, 4);
    const Result wanted = picture.predict(in_memory.get()), result = picture.predict(of_file.get());
    ASSERT_TRUE(wanted && result);
    for (int i = 0; i < width * 4 * 2; ++i)
      ASSERT_EQ(fettle_probability_map(result.get())[i], fettle_probability_map(wanted.get())[i]);
    if (packed) {
      EXPECT_LT(resident_bytes_of(path), most) << width;
    }
    packed = !packed;
  }
}

TEST(CInterface, MemoryIsBounded) {
  fettle_error error;
  const Model model = load(segmenter());
  ASSERT_EQ(fettle_set_threads(model.get(), 1, nullptr), FETTLE_OK);
  const Rgb picture(1400, 1000);
  const Result whole = picture.predict(model.get(), &error);
  ASSERT_TRUE(whole) << error.sentence;
  // The map of two kinds and the masks alone are 14 MiB; the activations of tiles come on top.
  fettle_set_max_memory(model.get(), size_t{30} << 20, nullptr);
  const Result tiled = picture.predict(model.get(), &error);
  ASSERT_TRUE(tiled) << error.sentence;
  for (size_t i = 0; i < size_t{1400} * 1000 * 2; ++i)
    ASSERT_NEAR(fettle_probability_map(tiled.get())[i], fettle_probability_map(whole.get())[i],
                1e-5);
  fettle_set_max_memory(model.get(), size_t{20} << 20, nullptr);
  EXPECT_EQ(picture.predict(model.get(), &error), nullptr);
  EXPECT_EQ(error.code, FETTLE_TOO_LARGE);
  EXPECT_NE(std::string_view(error.sentence).find("1000x1400"), std::string_view::npos);
}

}  // namespace
}  // namespace fettle
