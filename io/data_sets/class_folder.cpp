#include "io/data_sets/class_folder.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <random>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/folder.h"
#include "io/picture.h"
#include "io/read_file.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

void read_class(const fs::path& folder, ClassFolder& data) {
  const size_t before = data.examples.size(), broken_before = data.broken.size();
  const auto label = static_cast<int32_t>(data.class_names.size());
  data.class_names.push_back(folder.filename().string());
  for (const std::string& path : files_under(folder)) {
    try {
      const std::vector<uint8_t> file = read_file(path);
      if (picture_format(file) == PictureFormat::none && !is_named_like_a_picture(path)) {
        data.others.push_back(path);
        continue;
      }
      check_picture(path, file);
      data.examples.push_back({path, label});
    } catch (const Error& error) {
      data.broken.push_back({path, error.what()});
    }
  }
  require(data.examples.size() > before || data.broken.size() > broken_before, "the class folder '",
          folder.string(), "' has no pictures: put JPEG, PNG, BMP or GIF files there or remove it");
}

}  // namespace

ClassFolder read_class_folder(const std::string& path, bool skip_broken) {
  check_folder(path);
  ClassFolder data;
  data.path = path;
  const std::vector<fs::path> classes = sorted_entries(path, true);
  require(classes.size() >= 2, "the folder '", path, "' has ",
          classes.empty() ? "no class folders" : "only one class folder",
          ": put the pictures of each class into a folder of its own under it");
  for (const fs::path& folder : classes) read_class(folder, data);
  const bool one = data.broken.size() == 1;
  require(data.broken.empty() || skip_broken, counted(std::ssize(data.broken), "file"), " under '",
          path, "' cannot be used",
          one ? ": " : "; the first: ", data.broken.empty() ? "" : data.broken.front().reason,
          "; mend or remove ", one ? "it, or leave it" : "them, or leave them",
          " out with --skip-broken");
  require(!data.examples.empty(), "the folder '", path, "' has no whole picture");
  return data;
}

std::vector<std::string> list_pictures(const std::string& path) {
  std::error_code error;
  require(fs::exists(path, error), "'", path, "' does not exist");
  if (!fs::is_directory(path)) return {path};
  std::vector<std::string> pictures;
  for (const std::string& file : files_under(path))
    if (is_picture(file) || is_named_like_a_picture(file)) pictures.push_back(file);
  require(!pictures.empty(), "the folder '", path, "' has no pictures");
  return pictures;
}

std::vector<int64_t> numpy_shuffle(int64_t count, uint64_t seed) {
  require(seed <= 0xFFFFFFFFu, "the seed of a split is at most 4294967295, not ", seed);
  std::mt19937 engine(static_cast<uint32_t>(seed));
  std::vector<int64_t> order(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) order[i] = i;
  for (int64_t i = count - 1; i > 0; --i) {
    const uint64_t mask = std::bit_ceil(static_cast<uint64_t>(i) + 1) - 1;
    int64_t draw;
    do draw = static_cast<int64_t>(engine() & mask);
    while (draw > i);
    std::swap(order[i], order[draw]);
  }
  return order;
}

std::pair<std::vector<int64_t>, std::vector<int64_t>> split_order(int64_t count, double fraction,
                                                                  uint64_t seed) {
  require(fraction > 0 && fraction < 1, "the validation split must lie between 0 and 1, not be ",
          fraction);
  const auto validation = static_cast<int64_t>(fraction * static_cast<double>(count));
  require(validation > 0 && validation < count, "a validation split of ", fraction, " of ", count,
          " pictures leaves one part empty: take another fraction or more pictures");
  const std::vector<int64_t> order = numpy_shuffle(count, seed);
  const auto border = order.end() - validation;
  return {{order.begin(), border}, {border, order.end()}};
}

std::pair<std::vector<Example>, std::vector<Example>> split(const std::vector<Example>& examples,
                                                            double fraction, uint64_t seed) {
  const auto [train, validation] = split_order(std::ssize(examples), fraction, seed);
  const auto part = [&](const std::vector<int64_t>& order) {
    std::vector<Example> some;
    for (const int64_t i : order) some.push_back(examples[i]);
    return some;
  };
  return {part(train), part(validation)};
}

}  // namespace fettle
