#include "io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "io/atomic_file.h"
#include "io/finite.h"
#include "io/half.h"
#include "io/read_file.h"

namespace fettle {
namespace {

using Json = nlohmann::json;
static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr uint64_t max_header_size = 100'000'000;
constexpr size_t length_size = 8;  // of the number before the header

const char* dtype_name(DType dtype) {
  return dtype == DType::f32 ? "F32" : dtype == DType::i32 ? "I32" : "U8";
}

// bfloat16: the upper half of a float.
float from_bfloat(uint16_t upper) {
  return std::bit_cast<float>(uint32_t{upper} << 16);
}

float to_float(double value) {
  return static_cast<float>(value);
}

template <class From>
int32_t to_int32(From value) {
  require(std::in_range<int32_t>(value), "the value ", value, " does not fit into 32 bits");
  return static_cast<int32_t>(value);
}

void copy_all(std::span<const std::byte> bytes, Tensor& out) {
  if (!bytes.empty()) std::memcpy(out.raw(), bytes.data(), bytes.size());
}

// Elements of type From, which need not be aligned, through `convert`.
template <class From, auto convert>
void convert_all(std::span<const std::byte> bytes, Tensor& out) {
  auto* next = out.data<decltype(convert(From{}))>();
  for (size_t at = 0; at < bytes.size(); at += sizeof(From)) {
    From value;
    std::memcpy(&value, &bytes[at], sizeof value);
    *next++ = convert(value);
  }
}

template <class From>
constexpr auto integers = convert_all<From, to_int32<From>>;

// What is to know about a type of the format.
struct ElementType {
  uint64_t size;
  DType dtype = DType::f32;                                               // what it becomes
  void (*read)(std::span<const std::byte> bytes, Tensor& out) = nullptr;  // none: not supported
};

const std::map<std::string, ElementType>& element_types() {
  static const std::map<std::string, ElementType> types = {
      {"F32", {4, DType::f32, copy_all}},
      {"F16", {2, DType::f32, convert_all<uint16_t, from_half>}},
      {"BF16", {2, DType::f32, convert_all<uint16_t, from_bfloat>}},
      {"F64", {8, DType::f32, convert_all<double, to_float>}},
      {"U8", {1, DType::u8, copy_all}},
      {"I32", {4, DType::i32, copy_all}},
      {"BOOL", {1, DType::i32, integers<uint8_t>}},
      {"I8", {1, DType::i32, integers<int8_t>}},
      {"I16", {2, DType::i32, integers<int16_t>}},
      {"U16", {2, DType::i32, integers<uint16_t>}},
      {"U32", {4, DType::i32, integers<uint32_t>}},
      {"I64", {8, DType::i32, integers<int64_t>}},
      {"U64", {8, DType::i32, integers<uint64_t>}},
      {"F8_E5M2", {1}},
      {"F8_E4M3", {1}}};
  return types;
}

// Parses JSON in which no object has a name twice and nothing lies deeper than a tensor's shape.
Json parse_strictly(const char* begin, const char* end) {
  std::vector<std::set<std::string>> names;
  return Json::parse(begin, end, [&](int depth, Json::parse_event_t event, Json& value) {
    require(depth <= 3, "it is nested too deeply");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key)
      require(names.back().insert(value.get<std::string>()).second, "it has ", value.dump(),
              " twice");
    return true;
  });
}

std::vector<uint64_t> naturals(const Json& list) {
  require(list.is_array(), "a list of numbers is missing");
  std::vector<uint64_t> values;
  for (const Json& value : list) {
    require(value.is_number_unsigned() && value.get<uint64_t>() <= INT64_MAX, "it has ",
            value.dump(), " where a natural number belongs");
    values.push_back(value.get<uint64_t>());
  }
  return values;
}

// The bytes that a shape and a type take.
uint64_t byte_size(const std::vector<uint64_t>& shape, uint64_t element) {
  uint64_t size = element;
  for (uint64_t extent : shape)
    require(!__builtin_mul_overflow(size, extent, &size), "its size exceeds 64 bits");
  return size;
}

// One tensor's line of the header.
SafetensorsFile::Entry parse_entry(const Json& line, std::span<const std::byte> data) {
  require(line.is_object() && line.size() == 3 && line.contains("dtype") &&
              line["dtype"].is_string() && line.contains("shape") && line.contains("data_offsets"),
          "it needs dtype, shape and data_offsets, and nothing else");
  const auto dtype = line["dtype"].get<std::string>();
  const auto type = element_types().find(dtype);
  require(type != element_types().end(), "its type '", dtype, "' is unknown");
  const std::vector<uint64_t> shape = naturals(line["shape"]);
  const std::vector<uint64_t> offsets = naturals(line["data_offsets"]);
  require(offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= data.size(),
          "its data lie outside the file, which may be cut off");
  require(byte_size(shape, type->second.size) == offsets[1] - offsets[0],
          "its shape and type do not fit its data");
  return {dtype, {shape.begin(), shape.end()}, data.subspan(offsets[0], offsets[1] - offsets[0])};
}

// Every byte must belong to exactly one tensor, so that a file can hide nothing.
void check_cover(const std::map<std::string, SafetensorsFile::Entry>& entries,
                 std::span<const std::byte> data) {
  std::vector<std::pair<const std::byte*, const std::byte*>> ranges;
  for (const auto& [name, entry] : entries)
    ranges.emplace_back(entry.bytes.data(), entry.bytes.data() + entry.bytes.size());
  std::sort(ranges.begin(), ranges.end());
  const std::byte* at = data.data();
  for (const auto& [begin, end] : ranges) {
    require(begin == at, "its tensors overlap or leave holes between them");
    at = end;
  }
  require(at == data.data() + data.size(), "bytes follow the last tensor");
}

std::string comma_separated(const std::vector<std::string>& names) {
  constexpr size_t shown = 5;
  std::string text;
  for (size_t i = 0; i < names.size() && i < shown; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > shown) text += cat(" and ", names.size() - shown, " more");
  return text;
}

std::string to_string(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += cat(i ? ", " : "", shape[i]);
  return text + "]";
}

// Why a tensor of the file cannot be copied into one of the model; empty when it can.
std::string difference(const SafetensorsFile::Entry& entry, const Tensor& tensor) {
  const std::vector<int64_t> wanted(tensor.shape().begin(), tensor.shape().end());
  if (entry.shape != wanted)
    return cat(" is ", to_string(entry.shape), " in the file and ", to_string(wanted), " here");
  if (element_types().at(entry.dtype).dtype != tensor.dtype())
    return cat(" is ", entry.dtype, " in the file and ", name_of(tensor.dtype()), " here");
  return "";
}

}  // namespace

void SafetensorsFile::refuse(const std::string& why) const {
  throw Error("'", path_, "' is not a whole safetensors file: ", why);
}

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  size_t size = 0;
  mapping_ = map_file(path, size);
  try {
    parse({mapping_.get(), size});
  } catch (const Json::exception&) {
    refuse("its header is not valid JSON");
  } catch (const Error& error) {
    refuse(error.what());
  }
}

void SafetensorsFile::parse(std::span<const std::byte> file) {
  require(file.size() >= length_size, "it has only ", file.size(), " bytes");
  uint64_t header_size = 0;
  std::memcpy(&header_size, file.data(), length_size);
  require(header_size <= max_header_size, "its header would have ", header_size, " bytes");
  require(header_size <= file.size() - length_size, "it ends within its header");
  const char* text = reinterpret_cast<const char*>(file.data()) + length_size;
  require(header_size >= 2 && text[0] == '{', "its header does not begin with {");
  const std::span<const std::byte> data = file.subspan(length_size + header_size);

  const Json header = parse_strictly(text, text + header_size);
  for (const auto& [name, line] : header.items()) {
    if (name == "__metadata__") {
      require(line.is_object(), "__metadata__ must map texts to texts");
      for (const auto& [key, value] : line.items()) {
        require(value.is_string(), "__metadata__ must map texts to texts");
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    try {
      entries_[name] = parse_entry(line, data);
    } catch (const Error& error) {
      throw Error("the tensor '", name, "': ", error.what());
    }
  }
  check_cover(entries_, data);
}

Tensor SafetensorsFile::read(const std::string& name) const {
  const auto found = entries_.find(name);
  require(found != entries_.end(), "'", path_, "' has no tensor '", name, "'");
  const Entry& entry = found->second;
  const ElementType& type = element_types().at(entry.dtype);
  require(type.read != nullptr, "the tensor '", name, "' of '", path_, "' has the type ",
          entry.dtype, ", which is not supported: convert it to F32");
  require(entry.shape.size() <= size_t{Shape::max_rank}, "the tensor '", name, "' of '", path_,
          "' has ", entry.shape.size(), " axes; at most ", Shape::max_rank, " are supported");
  Shape shape;
  for (int64_t extent : entry.shape) shape.push_back(extent);
  Tensor tensor = Tensor::empty(shape, type.dtype);
  try {
    type.read(entry.bytes, tensor);
  } catch (const Error& error) {
    throw Error("the tensor '", name, "' of '", path_, "' cannot be read: ", error.what());
  }
  return tensor;
}

void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& [name, tensor, parameter, trainable] : tensors) {
    require(!header.contains(name) && name != "__metadata__", "cannot write '", path,
            "': two tensors are called '", name, "'");
    require(tensor.defined() && !tensor.device().is_meta(), "cannot write '", path,
            "': the tensor '", name, "' has no elements");
    const std::vector<int64_t> shape(tensor.shape().begin(), tensor.shape().end());
    header[name] = {{"dtype", dtype_name(tensor.dtype())},
                    {"shape", shape},
                    {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data are aligned
  const uint64_t length = text.size();
  require(length <= max_header_size, "cannot write '", path, "': its header would be too large");

  AtomicFile file(path);
  file.write(&length, length_size);
  file.write(text);
  for (const NamedTensor& named : tensors) {
    const Tensor here = named.tensor.to(Device::cpu());
    file.write(here.raw(), here.bytes());
  }
  file.commit();
}

bool holds(const std::string& path, const NamedTensors& tensors) try {
  const SafetensorsFile file(path);
  return file.entries().size() == tensors.size() &&
         std::all_of(tensors.begin(), tensors.end(), [&](const NamedTensor& named) {
           const auto found = file.entries().find(named.name);
           if (found == file.entries().end() || !difference(found->second, named.tensor).empty())
             return false;
           const Tensor here = named.tensor.to(Device::cpu());
           return std::ranges::equal(found->second.bytes, std::span(here.raw(), here.bytes()));
         });
} catch (const Error&) {
  return false;  // it is missing or broken
}

void require_finite(const Tensor& tensor, const std::string& name, const std::string& path) {
  if (tensor.dtype() != DType::f32) return;
  require(all_finite({tensor.data(), static_cast<size_t>(tensor.size())}), "the tensor '", name,
          "' of '", path,
          "' holds numbers that are not finite: training went wrong before these weights were "
          "saved; take others");
}

void load_into(const NamedTensors& tensors, const SafetensorsFile& file) {
  std::vector<std::string> missing, unknown, different;
  std::set<std::string> names;
  for (const NamedTensor& named : tensors) {
    names.insert(named.name);
    const auto found = file.entries().find(named.name);
    if (found == file.entries().end()) {
      missing.push_back(named.name);
    } else if (const auto why = difference(found->second, named.tensor); !why.empty()) {
      different.push_back(named.name + why);
    }
  }
  for (const auto& [name, entry] : file.entries())
    if (!names.contains(name) && !name.ends_with("num_batches_tracked")) unknown.push_back(name);
  std::vector<std::string> faults;
  if (!different.empty()) faults.push_back(comma_separated(different));
  if (!missing.empty()) faults.push_back("the file lacks " + comma_separated(missing));
  if (!unknown.empty()) faults.push_back("only the file has " + comma_separated(unknown));
  std::string sentence;
  for (const std::string& fault : faults) sentence += (sentence.empty() ? "" : "; ") + fault;
  require(faults.empty(), "'", file.path(), "' holds the weights of another model: ", sentence);

  std::vector<Tensor> values;  // everything is read before anything is changed
  for (const NamedTensor& named : tensors) {
    values.push_back(file.read(named.name));
    require_finite(values.back(), named.name, file.path());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    Tensor target = tensors[i].tensor;
    target.copy_from(values[i]);
  }
}

}  // namespace fettle
