#include "io/single_file.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>

#include "engine/error.h"
#include "io/checksum.h"
#include "io/finite.h"
#include "io/half.h"

namespace fettle {
namespace {

using inference::Axis;
using inference::Constant;
using inference::Step;

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr std::string_view signature(
    "\x8F"
    "fettle\n",
    8);
constexpr uint32_t version = 1;
constexpr size_t header_size = 32, summed_from = 16, alignment = 64;
constexpr int64_t most_items = 1 << 16;  // steps, constants, classes
constexpr int most_inputs = 256;

/// Appends fields.
class Writer {
 public:
  template <class T>
  void number(T value) {
    const auto* p = reinterpret_cast<const uint8_t*>(&value);
    bytes.insert(bytes.end(), p, p + sizeof value);
  }
  template <class T>
  void field(const T& value) {
    if constexpr (std::is_enum_v<T> || std::is_same_v<T, bool>) {
      number(static_cast<uint8_t>(value));
    } else {
      number(value);
    }
  }
  template <class T, class Each>
  void list(const std::vector<T>& values, int64_t, const Each& each) {
    number(static_cast<uint32_t>(values.size()));
    for (const T& value : values) each(value);
  }
  void text(const std::string& value) {
    number(static_cast<uint32_t>(value.size()));
    bytes.insert(bytes.end(), value.begin(), value.end());
  }
  void shape(const Shape& value) {
    number(static_cast<uint8_t>(value.rank()));
    for (const int64_t extent : value) number(extent);
  }

  std::vector<uint8_t> bytes;
};

/// Takes fields in the order in which Writer appended them.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  template <class T>
  T number() {
    require(rest_.size() >= sizeof(T), "its description ends too early");
    T value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  template <class T>
  void field(T& value) {
    value = number<T>();
  }
  void field(bool& value) { value = choice<uint8_t>(2) != 0; }
  template <class T>
  T choice(int count) {
    const auto value = number<uint8_t>();
    require(value < count, "its description has a choice that does not exist");
    return static_cast<T>(value);
  }
  template <class T, class Each>
  void list(std::vector<T>& values, int64_t most, const Each& each) {
    const auto count = number<uint32_t>();
    require(count <= most && count <= rest_.size(), "its description has a list that is too long");
    values.resize(count);
    for (T& value : values) each(value);
  }
  void text(std::string& value) {
    const auto length = number<uint32_t>();
    require(length <= rest_.size(), "its description has a text that is too long");
    value.assign(reinterpret_cast<const char*>(rest_.data()), length);
    rest_ = rest_.subspan(length);
  }
  void shape(Shape& value) {
    const auto rank = number<uint8_t>();
    require(rank <= Shape::max_rank, "its description has a tensor with too many axes");
    value = {};
    for (int i = 0; i < rank; ++i) value.push_back(number<int64_t>());
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::span<const uint8_t> rest_;
};

// The order of the fields, once for writing and once for reading.

void choice(Writer& out, auto& value, int) {
  out.field(value);
}
template <class T>
void choice(Reader& in, T& value, int count) {
  value = in.choice<T>(count);
}

void fields(auto& io,
            auto& axis) requires std::is_same_v<std::remove_cvref_t<decltype(axis)>, Axis> {
  io.field(axis.extent), io.field(axis.stride), io.field(axis.dilation);
  io.field(axis.before), io.field(axis.after);
  choice(io, axis.border, inference::borders);
}

void fields(auto& io,
            auto& step) requires std::is_same_v<std::remove_cvref_t<decltype(step)>, Step> {
  choice(io, step.operation, inference::operations);
  io.list(step.inputs, most_inputs, [&](auto& input) { io.field(input); });
  io.list(step.constants, most_inputs, [&](auto& constant) { io.field(constant); });
  fields(io, step.rows), fields(io, step.columns);
  io.field(step.groups);
  choice(io, step.epilogue, 2), choice(io, step.function, 4), choice(io, step.interpolation, 2);
  io.field(step.scale), io.field(step.offset);
  io.shape(step.target);
}

/// What the model answers, as one number: 0 a class, 1 masks, 2 labels.
void answer(Writer& out, const SingleFile& model) {
  out.number(static_cast<uint8_t>(model.segments ? 1 : model.multi_label ? 2 : 0));
}
void answer(Reader& in, SingleFile& model) {
  const auto number = in.choice<uint8_t>(3);
  model.segments = number == 1, model.multi_label = number == 2;
}

void fields(auto& io,
            auto& model) requires std::is_same_v<std::remove_cvref_t<decltype(model)>, SingleFile> {
  io.text(model.model);
  answer(io, model);
  io.field(model.standardize), io.field(model.any_size);
  io.field(model.height), io.field(model.width), io.field(model.own_size);
  io.field(model.multiple), io.field(model.reach), io.field(model.threshold);
  io.list(model.class_names, most_items, [&](auto& name) { io.text(name); });
  io.field(model.network.channels);
  io.list(model.network.steps, most_items, [&](auto& step) { fields(io, step); });
}

size_t round_up(size_t value) {
  return (value + alignment - 1) / alignment * alignment;
}

/// Biases and the constants of batch normalisation are few and stay as they are.
Storage storage_of(const Constant& constant, Storage wanted) {
  return constant.shape.rank() > 1 ? wanted : Storage::f32;
}

std::vector<uint8_t> weights_of(const Constant& constant, Storage storage) {
  const auto count = static_cast<size_t>(constant.shape.size());
  std::vector<uint8_t> bytes(count * (storage == Storage::f32 ? 4 : 2));
  if (storage == Storage::f32) {
    std::memcpy(bytes.data(), constant.values, bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < count; ++i) {
    const uint16_t half = to_half(constant.values[i]);
    require(std::isfinite(from_half(half)), "the weight ", constant.values[i],
            " is too large for fp16; export without --fp16");
    std::memcpy(&bytes[2 * i], &half, 2);
  }
  return bytes;
}

/// The constants of a file.
class ConstantReader {
 public:
  ConstantReader(std::span<const uint8_t> file, SingleFile& model) : file_(file), model_(model) {}

  void read(Reader& in, Constant& constant) {
    in.shape(constant.shape);
    const auto storage = in.choice<Storage>(2);
    const auto offset = in.number<uint64_t>();
    uint64_t count = 1;
    bool fits = offset % alignment == 0 && offset <= file_.size();
    for (const int64_t extent : constant.shape)
      fits = fits && extent > 0 &&
             !__builtin_mul_overflow(count, static_cast<uint64_t>(extent), &count) &&
             count <= file_.size();
    const uint64_t element = storage == Storage::f32 ? 4 : 2;
    require(fits && count * element <= file_.size() - offset, "its weights lie outside the file");
    const std::span<const uint8_t> bytes = file_.subspan(offset, count * element);
    const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % alignof(float) == 0;
    if (storage == Storage::f32 && aligned) {
      constant.values = reinterpret_cast<const float*>(bytes.data());
      return check(constant, count);
    }
    auto values = std::make_shared<std::vector<float>>(count);
    if (storage == Storage::f32) {
      std::memcpy(values->data(), bytes.data(), bytes.size());
    } else {
      for (size_t i = 0; i < count; ++i) {
        uint16_t half = 0;
        std::memcpy(&half, &bytes[2 * i], 2);
        (*values)[i] = from_half(half);
      }
    }
    constant.values = values->data();
    check(constant, count);
    model_.memory += static_cast<int64_t>(4 * count);
    model_.network.memory.push_back(std::move(values));
  }

 private:
  static void check(const Constant& constant, uint64_t count) {
    require(all_finite({constant.values, count}), "a weight of it is not finite");
  }

  std::span<const uint8_t> file_;
  SingleFile& model_;
};

/// What the program relies on beyond what bind() checks.
void check(const SingleFile& model) {
  const int64_t classes = std::ssize(model.class_names), channels = model.network.channels;
  const auto sane = [](int64_t value, int64_t least) {
    return value >= least && value <= most_items;
  };
  require(sane(model.height, 1) && sane(model.width, 1) && sane(model.multiple, 1) &&
              sane(model.reach, 0) && (channels == 1 || channels == 3),
          "its pictures have an impossible size");
  require(model.threshold >= 0 && model.threshold <= 1, "its threshold is no probability");
  require(classes >= (model.segments || model.multi_label ? 1 : 2), "it has too few classes");
  const bool takes_its_size =
      model.height % model.multiple == 0 && model.width % model.multiple == 0;
  require(takes_its_size && (model.any_size || !model.own_size),
          "the size of its pictures does not fit its network");
  const Shape result = inference::bind(model.network, model.height, model.width).back().output;
  const Shape wanted =
      model.segments ? Shape{1, model.height, model.width, classes} : Shape{1, classes};
  require(result == wanted, "its network makes ", result, " where ", wanted, " belongs");
}

SingleFile parse(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner) {
  require(bytes.size() >= header_size, "it has only ", bytes.size(), " bytes");
  require(std::memcmp(bytes.data(), signature.data(), signature.size()) == 0,
          "it does not begin as one");
  Reader header(bytes.subspan(signature.size(), header_size - signature.size()));
  const auto its_version = header.number<uint32_t>();
  require(its_version == version, "it has version ", its_version,
          " and this program reads version ", version, "; export it again");
  const auto sum = header.number<uint32_t>();
  const auto length = header.number<uint64_t>(), description = header.number<uint64_t>();
  require(length == bytes.size(), "it should have ", length, " bytes and has ", bytes.size());
  require(crc32(bytes.subspan(summed_from)) == sum, "its checksum does not fit: it is damaged");
  require(description <= bytes.size() - header_size, "its description ends outside the file");

  SingleFile model;
  model.memory = static_cast<int64_t>(bytes.size());
  Reader in(bytes.subspan(header_size, description));
  ConstantReader constants(bytes, model);
  in.list(model.network.constants, most_items,
          [&](Constant& constant) { constants.read(in, constant); });
  fields(in, model);
  require(in.at_end(), "its description is too long");
  check(model);
  if (owner) model.network.memory.push_back(std::move(owner));
  return model;
}

}  // namespace

std::vector<uint8_t> to_bytes(const SingleFile& model, Storage storage) {
  std::vector<std::vector<uint8_t>> weights;
  for (const Constant& constant : model.network.constants)
    weights.push_back(weights_of(constant, storage_of(constant, storage)));
  const auto describe = [&](size_t at) {
    Writer out;
    out.number(static_cast<uint32_t>(weights.size()));
    for (size_t i = 0; i < weights.size(); ++i) {
      const Constant& constant = model.network.constants[i];
      out.shape(constant.shape);
      out.field(storage_of(constant, storage));
      out.number(static_cast<uint64_t>(at));
      at = round_up(at + weights[i].size());
    }
    fields(out, model);
    return out.bytes;
  };
  const size_t description = describe(0).size(), begin = round_up(header_size + description);
  const std::vector<uint8_t> text = describe(begin);

  Writer out;
  out.bytes.assign(signature.begin(), signature.end());
  out.number(version);
  out.number(uint32_t{0});  // the checksum
  out.number(uint64_t{0});  // the length
  out.number(static_cast<uint64_t>(description));
  out.bytes.insert(out.bytes.end(), text.begin(), text.end());
  for (const std::vector<uint8_t>& one : weights) {
    out.bytes.resize(round_up(out.bytes.size()));
    out.bytes.insert(out.bytes.end(), one.begin(), one.end());
  }
  const uint64_t length = out.bytes.size();
  std::memcpy(&out.bytes[summed_from], &length, sizeof length);
  const uint32_t sum = crc32(std::span(out.bytes).subspan(summed_from));
  std::memcpy(&out.bytes[summed_from - sizeof sum], &sum, sizeof sum);
  return out.bytes;
}

SingleFile read_single_file(const std::string& name, std::span<const uint8_t> bytes,
                            std::shared_ptr<const void> owner) {
  try {
    return parse(bytes, std::move(owner));
  } catch (const Error& error) {
    throw Error("'", name, "' is not a whole single-file model of fettle: ", error.what());
  }
}

std::string to_c_source(const std::string& name, std::span<const uint8_t> bytes) {
  std::string text = cat("/* A model of fettle, for fettle_load_memory(", name, ", ", name,
                         "_size, ...). */\n#include <stddef.h>\n\nextern const unsigned char ",
                         name, "[];\nextern const size_t ", name, "_size;\nconst size_t ", name,
                         "_size = ", bytes.size(),
                         ";\n#if defined(__GNUC__)\n__attribute__((aligned(64)))\n#endif\n"
                         "const unsigned char ",
                         name, "[] = {");
  for (size_t i = 0; i < bytes.size(); ++i)
    text += (i % 20 == 0 ? "\n" : "") + std::to_string(bytes[i]) + ",";
  return text + "\n};\n";
}

}  // namespace fettle
