#include "io/safetensors.h"

#include <limits>

#include "io/read_file.h"
#include "tests/io/temporary_folder.h"
#include "tests/random_values.h"

namespace fettle {
namespace {

// A file of this header, padded to nothing, and as many zeros as data.
std::string file_with(const std::string& header, size_t data = 0) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof length);
  return bytes + header + std::string(data, '\0');
}

NamedTensors example() {
  return {{"w", random_tensor({3, 1, 2}, 1)},
          {"scalar", Tensor::full({}, 7)},
          {"empty", Tensor::empty({0, 4})},
          {"pixels", Tensor::from({5}, std::vector<uint8_t>{1, 2, 3, 4, 255})},
          {"labels", Tensor::from({2}, std::vector<int32_t>{-1, 1 << 30})}};
}

TEST(Safetensors, WritesAndReadsBack) {
  const TemporaryFolder folder;
  const NamedTensors tensors = example();
  write_safetensors(folder / "f", tensors, {{"epoch", "3"}, {"note", "\"quoted\"\n"}});
  const SafetensorsFile file(folder / "f");
  EXPECT_EQ(file.entries().size(), tensors.size());
  EXPECT_EQ(file.metadata().at("epoch"), "3");
  EXPECT_EQ(file.metadata().at("note"), "\"quoted\"\n");
  for (const NamedTensor& named : tensors) {
    const Tensor read = file.read(named.name);
    EXPECT_EQ(read.shape(), named.tensor.shape()) << named.name;
    ASSERT_EQ(read.dtype(), named.tensor.dtype()) << named.name;
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(read.raw()), read.bytes()),
              std::string_view(reinterpret_cast<const char*>(named.tensor.raw()), read.bytes()));
  }
  expect_error([&] { file.read("nothing"); }, {folder / "f", "nothing"});
}

TEST(Safetensors, TheBytesAreThoseOfTheFormat) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", {{"a", Tensor::from({2}, std::vector<float>{1, -2})}});
  const auto bytes = read_file(folder / "f");
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string data("\0\0\x80\x3F\0\0\0\xC0", 8);
  const std::string expected =
      file_with(header + std::string((8 - header.size() % 8) % 8, ' ')) + data;
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), expected);
}

TEST(Safetensors, ReadsOtherTypes) {
  const TemporaryFolder folder;
  struct Case {
    const char* dtype;
    std::string bytes;
    std::vector<float> floats;
    std::vector<int32_t> integers;
  };
  const std::vector<Case> cases = {// 1, -2, 2^-24 (subnormal), 65504, infinity
                                   {"F16",
                                    {"\x00\x3C\x00\xC0\x01\x00\xFF\x7B\x00\x7C", 10},
                                    {1, -2, 0x1p-24f, 65504, INFINITY},
                                    {}},
                                   {"BF16", {"\x80\x3F\x00\xC0", 4}, {1, -2}, {}},
                                   {"F64", {"\0\0\0\0\0\0\xF0\x3F", 8}, {1}, {}},
                                   {"BOOL", {"\0\1", 2}, {}, {0, 1}},
                                   {"I8", {"\xFF\x02", 2}, {}, {-1, 2}},
                                   {"I16", {"\xFE\xFF", 2}, {}, {-2}},
                                   {"U16", {"\xFE\xFF", 2}, {}, {65534}},
                                   {"U32", {"\7\0\0\0", 4}, {}, {7}},
                                   {"I64", {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8}, {}, {-1}},
                                   {"U64", {"\1\1\0\0\0\0\0\0", 8}, {}, {257}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.dtype);
    const size_t count = std::max(c.floats.size(), c.integers.size());
    // A header of odd length: elements need not be aligned.
    std::string header = cat(R"({"a":{"dtype":")", c.dtype, R"(","shape":[)", count,
                             R"(],"data_offsets":[0,)", c.bytes.size(), "]}}");
    if (header.size() % 2 == 0) header += ' ';
    write_bytes(folder / "f", file_with(header) + c.bytes);
    const Tensor read = SafetensorsFile(folder / "f").read("a");
    if (!c.floats.empty()) {
      EXPECT_EQ(read.to_vector(), c.floats);
    }
    if (!c.integers.empty()) {
      EXPECT_EQ(read.to_vector<int32_t>(), c.integers);
    }
  }
  write_bytes(folder / "f", file_with(R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})") +
                                "\1\1\1\1\1\1\1\1");
  expect_error([&] { SafetensorsFile(folder / "f").read("a"); }, {"'a'", "32 bits"});
  write_bytes(folder / "f",
              file_with(R"({"b":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}})", 2));
  expect_error([&] { SafetensorsFile(folder / "f").read("b"); }, {"'b'", "F8_E4M3"});
  write_bytes(folder / "f",
              file_with(R"({"b":{"dtype":"U8","shape":[1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1));
  expect_error([&] { SafetensorsFile(folder / "f").read("b"); }, {"'b'", "7 axes"});
}

// Everything that the format forbids.
TEST(Safetensors, RefusesBrokenFiles) {
  const TemporaryFolder folder;
  const auto tensor = [](const char* shape, const char* offsets, const char* dtype = "F32") {
    return cat(R"({"dtype":")", dtype, R"(","shape":)", shape, R"(,"data_offsets":)", offsets, "}");
  };
  const std::string good = tensor("[2]", "[0,8]");
  const auto one = [](const std::string& line) { return "{\"a\":" + line + "}"; };
  struct Case {
    std::string bytes, part;
  };
  const std::vector<Case> cases = {
      {"", "0 bytes"},
      {"1234567", "7 bytes"},
      {std::string("\x01\xE1\xF5\x05\0\0\0\0", 8), "100000001"},
      {std::string(8, '\xFF'), "18446744073709551615"},
      {file_with("{}").substr(0, 9), "within its header"},
      {std::string(8, '\0'), "begin with {"},
      {file_with(" {}"), "begin with {"},
      {file_with("[]"), "begin with {"},
      {file_with("{\"a\":"), "JSON"},
      {file_with("{\"\xFF\":1}"), "JSON"},
      {file_with("{}x"), "JSON"},
      {file_with("{\"a\":" + good + ",\"a\":" + good + "}", 8), "twice"},
      {file_with(R"({"__metadata__":{"k":"1","k":"2"}})"), "twice"},
      {file_with(R"({"__metadata__":{"k":1}})"), "texts to texts"},
      {file_with(R"({"__metadata__":[]})"), "texts to texts"},
      {file_with(R"({"a":[[[[[[]]]]]]})"), "deeply"},
      {file_with(one("1")), "needs dtype"},
      {file_with(one(R"({"dtype":"F32","shape":[]})")), "needs dtype"},
      {file_with(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":0})"), 8), "needs"},
      {file_with(one(tensor("[2]", "[0,8]", "F31")), 8), "F31"},
      {file_with(one(tensor("2", "[0,8]")), 8), "list"},
      {file_with(one(tensor("[-2]", "[0,8]")), 8), "-2"},
      {file_with(one(tensor("[2.0]", "[0,8]")), 8), "2.0"},
      {file_with(one(tensor("[2]", "[0,8,8]")), 8), "outside"},
      {file_with(one(tensor("[2]", "[8,0]")), 8), "outside"},
      {file_with(one(good), 7), "cut off"},
      {file_with(one(good), 9), "follow the last"},
      {file_with("{}", 1), "follow the last"},
      {file_with(one(tensor("[3]", "[0,8]")), 8), "do not fit"},
      {file_with(one(tensor("[4611686018427387904,4]", "[0,0]"))), "64 bits"},
      {file_with(one(tensor("[2]", "[4,12]")), 12), "holes"},
      {file_with("{\"a\":" + good + ",\"b\":" + tensor("[2]", "[4,12]") + "}", 12), "overlap"},
      {file_with("{\"a\":" + good + ",\"b\":" + good + "}", 8), "overlap"},
  };
  for (const Case& c : cases) {
    write_bytes(folder / "f.safetensors", c.bytes);
    SCOPED_TRACE(c.bytes);
    expect_error([&] { SafetensorsFile file(folder / "f.safetensors"); },
                 {"f.safetensors", c.part});
  }
  expect_error([&] { SafetensorsFile file(folder / "none"); }, {"none", "No such file"});
  expect_error([&] { SafetensorsFile file(folder.path()); }, {"regular file"});
  write_bytes(folder / "f", file_with("{}   "));
  EXPECT_TRUE(SafetensorsFile(folder / "f").entries().empty()) << "padding with spaces is legal";
}

TEST(Safetensors, RefusesACutAnywhere) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", example(), {{"k", "v"}});
  const auto bytes = read_file(folder / "f");
  const std::string_view whole(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t size = 0; size < whole.size(); ++size) {
    write_bytes(folder / "cut", whole.substr(0, size));
    expect_error([&] { SafetensorsFile file(folder / "cut"); }, {"cut"});
  }
}

TEST(Safetensors, RefusesToWriteNonsense) {
  const TemporaryFolder folder;
  const Tensor one = Tensor::full({1}, 1);
  expect_error([&] { write_safetensors(folder / "f", {{"a", one}, {"a", one}}); }, {"/f", "'a'"});
  const Tensor meta = Tensor::empty({1}, DType::f32, Device::meta());
  expect_error([&] { write_safetensors(folder / "f", {{"a", meta}}); }, {"'a'", "no elements"});
  EXPECT_FALSE(std::filesystem::exists(folder / "f"));
}

TEST(Safetensors, LoadsIntoAModelOrChangesNothing) {
  const TemporaryFolder folder;
  write_safetensors(folder / "f", {{"a", random_tensor({2, 3}, 1)},
                                   {"b", random_tensor({4}, 2)},
                                   {"bn.num_batches_tracked", Tensor::full({}, 1)}});
  const SafetensorsFile file(folder / "f");
  const NamedTensors same = {{"b", Tensor::zeros({4})}, {"a", Tensor::zeros({2, 3})}};
  load_into(same, file);
  EXPECT_EQ(same[0].tensor.to_vector(), random_tensor({4}, 2).to_vector());
  EXPECT_EQ(same[1].tensor.to_vector(), random_tensor({2, 3}, 1).to_vector());

  const NamedTensors other = {
      {"a", Tensor::zeros({3, 2})}, {"b", Tensor::zeros({4})}, {"c", Tensor::zeros({1})}};
  expect_error([&] { load_into(other, file); },
               {"another model", "a is [2, 3] in the file and [3, 2] here", "lacks c"});
  EXPECT_EQ(other[1].tensor.to_vector(), std::vector<float>(4, 0.0f)) << "it was changed";
  expect_error([&] { load_into({{"a", Tensor::zeros({2, 3})}}, file); }, {"only the file has b"});
  const Tensor integers = Tensor::from({4}, std::vector<int32_t>(4));
  expect_error(
      [&] {
        load_into({{"a", Tensor::zeros({2, 3})}, {"b", integers}}, file);
      },
      {"b is F32 in the file and i32 here"});

  const float infinite = std::numeric_limits<float>::infinity();
  write_safetensors(folder / "g",
                    {{"a", random_tensor({2, 3}, 3)},
                     {"b", Tensor::from({4}, std::vector{1.0f, infinite, 2.0f, 3.0f})}});
  expect_error([&] { load_into(same, SafetensorsFile(folder / "g")); },
               {"/g'", "'b'", "not finite"});
  EXPECT_EQ(same[1].tensor.to_vector(), random_tensor({2, 3}, 1).to_vector()) << "it was changed";
}

}  // namespace
}  // namespace fettle
