#include "io/single_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "engine/inference/plan.h"
#include "io/checksum.h"
#include "io/half.h"
#include "tests/io/small_model.h"
#include "tests/io/temporary_folder.h"

namespace fettle {
namespace {

using Bytes = std::vector<uint8_t>;

void sign(Bytes& file) {
  const uint64_t length = file.size();
  std::memcpy(&file[16], &length, 8);
  const uint32_t sum = crc32(std::span(file).subspan(16));
  std::memcpy(&file[12], &sum, 4);
}

std::string refusal(std::span<const uint8_t> bytes) {
  try {
    read_single_file("model.fettle", bytes);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Checksum, IsZlibs) {
  const auto sum = [](std::string_view text) {
    return crc32({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  };
  EXPECT_EQ(sum("123456789"), 0xCBF43926u);  // the check value that catalogues of CRCs give
  EXPECT_EQ(sum(""), 0u);
  EXPECT_EQ(sum("The quick brown fox jumps over the lazy dog"), 0x414FA339u);
  Bytes many(100003);
  for (size_t i = 0; i < many.size(); ++i) many[i] = static_cast<uint8_t>(i * i * 7 + i);
  EXPECT_EQ(crc32(many), 0xD94628C9u);  // zlib.crc32 of Python
  // Every length around the blocks that are folded: the same sum bit by bit.
  for (size_t size = 0; size < 300; ++size) {
    uint32_t rest = ~0u;
    for (size_t i = 0; i < size; ++i) {
      rest ^= many[i];
      for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? 0xEDB88320 : 0);
    }
    EXPECT_EQ(crc32(std::span(many).first(size)), ~rest) << size;
  }
}

TEST(Half, IsThatOfTheCompiler) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = from_half(half);
    if (!std::isnan(value)) {
      EXPECT_EQ(to_half(value), half);
    }
  }
#if defined(__FLT16_MAX__)
  std::mt19937 draw(1);
  for (int i = 0; i < 300'000; ++i) {
    const auto value = std::ldexp(static_cast<float>(draw()), static_cast<int>(draw() % 44) - 58);
    const auto theirs = static_cast<_Float16>(value);
    ASSERT_EQ(to_half(value), std::bit_cast<uint16_t>(theirs)) << value;
    ASSERT_EQ(to_half(-value), std::bit_cast<uint16_t>(theirs) | 0x8000) << value;
  }
#endif
}

TEST(SingleFile, HoldsEverything) {
  const SingleFile model = small_segmenter();
  const Bytes bytes = to_bytes(model, Storage::f32);
  const SingleFile read = read_single_file("model.fettle", bytes);
  EXPECT_EQ(read.class_names, model.class_names);
  EXPECT_EQ(read.own_size, true);
  EXPECT_EQ(read.reach, 4);
  ASSERT_EQ(read.network.constants.size(), model.network.constants.size());
  EXPECT_EQ(read.network.constants[2].shape, (Shape{5, 3, 3, 5}));
  EXPECT_EQ(read.network.constants[2].values[7], model.network.constants[2].values[7]);
  EXPECT_EQ(to_bytes(read, Storage::f32), bytes);
  EXPECT_LT(to_bytes(read, Storage::f16).size(), bytes.size());
}

TEST(SingleFile, SaysWhatItAnswers) {
  const auto read = [](const SingleFile& model) {
    return read_single_file("model.fettle", to_bytes(model, Storage::f32));
  };
  const SingleFile labels = read(small_labeller()), one = read(small_classifier());
  EXPECT_TRUE(labels.multi_label && !labels.segments);
  EXPECT_TRUE(!one.multi_label && !one.segments);
  EXPECT_TRUE(read(small_segmenter()).segments);
}

TEST(SingleFile, IsReadInPlaceOrFromMisalignedMemory) {
  const Bytes bytes = to_bytes(small_classifier(), Storage::f32);
  const auto* first =
      reinterpret_cast<const uint8_t*>(read_single_file("", bytes).network.constants[0].values);
  EXPECT_GE(first, bytes.data());
  EXPECT_LT(first, bytes.data() + bytes.size());
  Bytes shifted(bytes.size() + 1);
  std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
  const SingleFile read = read_single_file("", std::span(shifted).subspan(1));
  EXPECT_EQ(to_bytes(read, Storage::f32), bytes);
}

TEST(SingleFile, LargeWeightsDoNotFitIntoFp16) {
  SingleFile model = small_classifier();
  const std::vector<float> large(16 * 9 * 3, 70000.0f);
  model.network.constants[0].values = large.data();
  EXPECT_NO_THROW(to_bytes(model, Storage::f32));
  expect_error([&] { to_bytes(model, Storage::f16); }, {"70000", "--fp16"});
}

TEST(SingleFile, WeightsThatAreNoNumbersAreRefused) {
  SingleFile model = small_classifier();
  std::vector<float> weights(16 * 9 * 3, 0.5f);
  model.network.constants[0].values = weights.data();
  EXPECT_EQ(refusal(to_bytes(model, Storage::f32)), "");
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    weights.front() = value;
    EXPECT_NE(refusal(to_bytes(model, Storage::f32)).find("not finite"), std::string::npos);
  }
}

TEST(SingleFile, EveryDamagedByteIsNoticed) {
  for (const SingleFile& model : {small_classifier(), small_labeller(), small_segmenter()}) {
    Bytes bytes = to_bytes(model, Storage::f32);
    for (size_t at = 0; at < bytes.size(); ++at) {
      bytes[at] ^= 0x10;
      ASSERT_NE(refusal(bytes), "") << "byte " << at;
      bytes[at] ^= 0x10;
    }
    EXPECT_EQ(refusal(bytes), "");
  }
}

TEST(SingleFile, EveryShorterOrLongerFileIsNoticed) {
  Bytes bytes = to_bytes(small_segmenter(), Storage::f16);
  for (size_t length = 0; length < bytes.size(); ++length)
    ASSERT_NE(refusal(std::span(bytes).first(length)), "") << length << " bytes";
  bytes.push_back(0);
  EXPECT_NE(refusal(bytes).find("should have"), std::string::npos);
}

TEST(SingleFile, SaysWhatIsWrong) {
  const Bytes whole = to_bytes(small_classifier(), Storage::f32);
  Bytes other = whole;
  other[8] = 2;
  EXPECT_NE(refusal(other).find("version 2"), std::string::npos) << refusal(other);
  other = whole;
  other[0] = 'P';
  EXPECT_NE(refusal(other).find("'model.fettle' is not"), std::string::npos);
  other = whole;
  other.back() ^= 1;
  EXPECT_NE(refusal(other).find("damaged"), std::string::npos);
}

// Files whose checksum fits and whose description is nonsense: what a hostile one would be.
TEST(SingleFile, NonsenseWithAChecksumDoesNoHarm) {
  std::mt19937 draw(7);
  int accepted = 0, refused = 0;
  for (const SingleFile& model : {small_classifier(), small_labeller(), small_segmenter()}) {
    const Bytes whole = to_bytes(model, Storage::f16);
    const auto description = static_cast<size_t>(whole[24] | whole[25] << 8);
    ASSERT_GT(description, 100u);
    for (size_t at = 24; at < 32 + description; ++at) {
      for (const int value : {0, 1, 0x7F, 0x80, 0xFF}) {
        Bytes file = whole;
        file[at] = static_cast<uint8_t>(value);
        sign(file);
        (refusal(file).empty() ? accepted : refused) += 1;
      }
    }
    for (int i = 0; i < 3000; ++i) {
      Bytes file = whole;
      for (int changes = static_cast<int>(draw() % 8); changes >= 0; --changes)
        file[24 + draw() % (8 + description)] = static_cast<uint8_t>(draw());
      if (draw() % 4 == 0) file.resize(32 + draw() % (file.size() - 32));
      sign(file);
      (refusal(file).empty() ? accepted : refused) += 1;
    }
  }
  EXPECT_GT(refused, 3000);
  EXPECT_GT(accepted, 100) << "the checksums are wrong, and so nothing else was tested";
}

TEST(SingleFile, IsWrittenAsC) {
  const Bytes bytes = {0, 7, 255};
  const std::string source = to_c_source("steel", bytes);
  EXPECT_NE(source.find("const size_t steel_size = 3;"), std::string::npos);
  EXPECT_NE(source.find("const unsigned char steel[] = {\n0,7,255,\n};"), std::string::npos);
}

}  // namespace
}  // namespace fettle
