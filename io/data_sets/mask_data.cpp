#include "io/data_sets/mask_data.h"

#include <algorithm>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string_view>

#include "engine/counted.h"
#include "engine/error.h"
#include "io/data_sets/mask_readers.h"
#include "io/mask_file.h"
#include "io/picture.h"
#include "io/read_file.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

/// Calls f(i) for each picture on several threads, then throws the Error of the first that failed.
template <class F>
void for_each_picture(const MaskData& data, const F& f) {
  std::vector<std::exception_ptr> errors(data.pictures.size());
  parallel_tasks(std::ssize(data.pictures), [&](int64_t i) {
    try {
      f(static_cast<size_t>(i));
    } catch (...) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

/// What the numbers in the mask files mean can only be told from all of them: an empty grey mask
/// with the noise of compression looks like one of kinds.
void interpret_values(MaskData& data, Kinds kinds) {
  std::set<uint8_t> values;
  int largest_grey = 0;
  bool any_grey = false;
  std::mutex mutex;
  for_each_picture(data, [&](size_t i) {
    for (const MaskPart& part : data.pictures[i].parts) {
      const auto* file = std::get_if<MaskOfFile>(&part);
      if (!file) continue;
      const MaskFile mask = read_mask_file(file->path);
      const std::set<uint8_t> here(mask.values.begin(), mask.values.end());
      const std::scoped_lock lock(mutex);
      values.insert(here.begin(), here.end());
      if (!mask.indices) {
        any_grey = true;
        largest_grey = std::max<int>(largest_grey, *here.rbegin());
      }
    }
  });
  if (any_grey && largest_grey > 0 && largest_grey < data.grey_threshold) {
    data.grey_threshold = 1;
    data.notes.push_back(cat("no mask has a value above ", largest_grey,
                             ", so every value but 0 is taken for a defect"));
  }
  if (kinds != Kinds::value) return;
  values.erase(0);
  constexpr size_t most = 32;
  require(!values.empty() && values.size() <= most, "the masks under '", data.path, "' hold ",
          values.size(), " different values besides 0; --kinds value takes 1 to ", most,
          ": use --kinds one");
  data.values.assign(values.begin(), values.end());
  for (const uint8_t value : data.values) data.kinds.push_back(std::to_string(value));
}

void add_file(const MaskData& data, const MaskOfFile& part, const std::string& picture,
              std::vector<Mask>& masks) {
  const MaskFile file = read_mask_file(part.path);
  const Mask& first = masks.front();
  require(file.height == first.height && file.width == first.width, "the mask '", part.path,
          "' has ", file.height, "x", file.width, " pixels, but its picture '", picture, "' ",
          first.height, "x", first.width, "; they must be of one size");
  for (size_t k = 0; k < masks.size(); ++k) {
    if (part.kind != MaskOfFile::by_value && part.kind != static_cast<int32_t>(k)) continue;
    const auto is_set = [&](uint8_t value) {
      if (part.kind == MaskOfFile::by_value) return value == data.values[k];
      return file.indices ? value != 0 : value >= data.grey_threshold;
    };
    for (size_t i = 0; i < file.values.size(); ++i) masks[k].pixels[i] |= is_set(file.values[i]);
  }
}

int64_t count(const Mask& mask) {
  return std::count(mask.pixels.begin(), mask.pixels.end(), uint8_t{1});
}

/// Finds the sizes of the pictures. With `skip_broken` those that are no whole pictures go.
void measure(MaskData& data, bool skip_broken) {
  std::vector<std::string> broken(data.pictures.size());
  for_each_picture(data, [&](size_t i) {
    MaskedPicture& picture = data.pictures[i];
    try {
      const PictureSize size = picture_size(picture.path, read_file(picture.path));
      picture.height = size.height;
      picture.width = size.width;
    } catch (const Error& error) {
      broken[i] = error.what();
    }
  });
  std::vector<MaskedPicture> whole;
  for (size_t i = 0; i < broken.size(); ++i) {
    if (broken[i].empty()) {
      whole.push_back(std::move(data.pictures[i]));
      continue;
    }
    require(skip_broken, broken[i], "; mend or remove it, or leave it out with --skip-broken");
    data.notes.push_back("left out: " + broken[i]);
  }
  require(!whole.empty(), "no picture under '", data.path, "' is whole");
  data.pictures = std::move(whole);
}

/// Pixels of each kind, and pictures that are there twice.
void survey(MaskData& data) {
  std::vector<size_t> contents(data.pictures.size());
  for_each_picture(data, [&](size_t i) {
    MaskedPicture& picture = data.pictures[i];
    const std::vector<uint8_t> file = read_file(picture.path);
    contents[i] =
        std::hash<std::string_view>()({reinterpret_cast<const char*>(file.data()), file.size()});
    picture.pixels.clear();
    for (const Mask& mask : masks_of(data, picture)) picture.pixels.push_back(count(mask));
  });

  std::map<size_t, size_t> kept;  // by content
  std::vector<MaskedPicture> different;
  for (size_t i = 0; i < data.pictures.size(); ++i) {
    MaskedPicture& picture = data.pictures[i];
    const auto [at, is_new] = kept.try_emplace(contents[i], different.size());
    if (is_new) {
      different.push_back(std::move(picture));
    } else if (different[at->second].parts.empty()) {
      different[at->second] = std::move(picture);  // the one that says more
    }
  }
  if (different.size() < data.pictures.size()) {
    data.notes.push_back(cat(counted(std::ssize(data.pictures) - std::ssize(different), "picture"),
                             " byte for byte the same as another one, left out"));
  }
  data.pictures = std::move(different);
}

int64_t pixels_of(const MaskData& data, size_t kind) {
  int64_t total = 0;
  for (const MaskedPicture& picture : data.pictures) total += picture.pixels[kind];
  return total;
}

int64_t pictures_with(const MaskData& data, size_t kind) {
  return std::count_if(data.pictures.begin(), data.pictures.end(),
                       [&](const MaskedPicture& picture) { return picture.pixels[kind] > 0; });
}

bool is_good(const MaskedPicture& picture) {
  return std::all_of(picture.pixels.begin(), picture.pixels.end(),
                     [](int64_t pixels) { return pixels == 0; });
}

/// A folder such as MT_Free holds masks of nothing.
void drop_empty_kinds(MaskData& data) {
  std::vector<std::string> kinds;
  for (size_t k = 0; k < data.kinds.size(); ++k) {
    if (pixels_of(data, k) > 0) {
      kinds.push_back(data.kinds[k]);
    } else {
      data.notes.push_back(cat("no mask of '", data.kinds[k], "' has a pixel: it is no kind"));
    }
  }
  require(!kinds.empty(), "all masks under '", data.path, "' are empty");
  for (MaskedPicture& picture : data.pictures) {
    std::erase_if(picture.parts, [&](const MaskPart& part) {
      const auto* file = std::get_if<MaskOfFile>(&part);
      return file && file->kind >= 0 && picture.pixels[static_cast<size_t>(file->kind)] == 0;
    });
  }
  renumber_kinds(data, kinds);
}

/// A format in words.
const char* name_of(MaskFormat format) {
  constexpr const char* names[] = {"Severstal's run lengths", "polygons of VIA",
                                   "the layout of MVTec AD", "pairs of picture and mask"};
  return names[static_cast<size_t>(format)];
}

void one_kind(MaskData& data) {
  for (MaskedPicture& picture : data.pictures)
    for (MaskPart& part : picture.parts) std::visit([](auto& p) { p.kind = 0; }, part);
  data.kinds = {only_kind};
}

}  // namespace

int32_t number_of_name(std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  const auto number = static_cast<int32_t>(found - names.begin());
  if (found == names.end()) names.push_back(name);
  return number;
}

std::pair<bool, MaskFormat> mask_format_of(const std::string& path) {
  if (find_severstal_table(path)) return {true, MaskFormat::severstal};
  if (find_via_file(path)) return {true, MaskFormat::via};
  if (is_mvtec(path)) return {true, MaskFormat::mvtec};
  return {has_mask_pairs(path), MaskFormat::pairs};
}

MaskData read_mask_data(const std::string& path, MaskFormat format,
                        const MaskDataOptions& options) {
  using List = MaskData (*)(const std::string&, const MaskDataOptions&);
  constexpr List lists[] = {list_severstal, list_via, list_mvtec, list_mask_pairs};
  MaskData data = lists[static_cast<size_t>(format)](path, options);
  require(!data.pictures.empty(), "there are no pictures in '", path, "'");
  data.path = path;
  data.format = format;
  data.run_length_origin = options.run_length_origin;
  if (options.kinds == Kinds::one) one_kind(data);
  measure(data, options.skip_broken);
  interpret_values(data, options.kinds);
  survey(data);
  if (options.kinds == Kinds::folder || options.kinds == Kinds::value) drop_empty_kinds(data);
  return data;
}

std::vector<Mask> masks_of(const MaskData& data, const MaskedPicture& picture) {
  std::vector<Mask> masks(data.kinds.size(), Mask(picture.height, picture.width));
  for (const MaskPart& part : picture.parts) {
    if (const auto* file = std::get_if<MaskOfFile>(&part)) {
      add_file(data, *file, picture.path, masks);
      continue;
    }
    const auto draw = [&](const std::string& where, const auto& into_mask) {
      try {
        into_mask();
      } catch (const Error& error) {
        throw Error(where, ": ", error.what());
      }
    };
    if (const auto* row = std::get_if<RunLengthRow>(&part)) {
      draw(row->where, [&] {
        add_run_lengths(row->text, masks[static_cast<size_t>(row->kind)], data.run_length_origin);
      });
    } else if (const auto* region = std::get_if<PolygonRegion>(&part)) {
      draw(region->where,
           [&] { fill_polygon(region->points, masks[static_cast<size_t>(region->kind)]); });
    }
  }
  return masks;
}

void renumber_kinds(MaskData& data, const std::vector<std::string>& kinds) {
  if (data.kinds == kinds) return;
  std::vector<int32_t> numbers;
  for (size_t k = 0; k < data.kinds.size(); ++k) {
    const auto found = std::find(kinds.begin(), kinds.end(), data.kinds[k]);
    require(found != kinds.end() || pixels_of(data, k) == 0, "'", data.path,
            "' has defects of the kind '", data.kinds[k], "', which is not among those asked for");
    numbers.push_back(found == kinds.end() ? 0 : static_cast<int32_t>(found - kinds.begin()));
  }
  std::vector<uint8_t> values(kinds.size());
  for (size_t k = 0; k < data.values.size(); ++k)
    values[static_cast<size_t>(numbers[k])] = data.values[k];
  if (!data.values.empty()) data.values = values;
  for (MaskedPicture& picture : data.pictures) {
    for (MaskPart& part : picture.parts) {
      std::visit(
          [&](auto& p) {
            if (p.kind >= 0) p.kind = numbers[static_cast<size_t>(p.kind)];
          },
          part);
    }
    std::vector<int64_t> pixels(kinds.size());
    for (size_t k = 0; k < numbers.size(); ++k)
      pixels[static_cast<size_t>(numbers[k])] += picture.pixels[k];
    picture.pixels = pixels;
  }
  data.kinds = kinds;
}

std::string description(const MaskData& data) {
  int64_t good = 0, total = 0;
  for (const MaskedPicture& picture : data.pictures) {
    good += is_good(picture);
    total += picture.height * picture.width;
  }
  std::ostringstream text;
  text << data.path << ": " << name_of(data.format) << ", "
       << counted(std::ssize(data.pictures), "picture") << ", " << good
       << " of them without a defect\n";
  text.precision(2);
  text << std::fixed;
  for (size_t k = 0; k < data.kinds.size(); ++k) {
    const int64_t pixels = pixels_of(data, k);
    text << "  kind " << data.kinds[k] << ": " << counted(pictures_with(data, k), "picture") << ", "
         << counted(pixels, "pixel") << " ("
         << 100 * static_cast<double>(pixels) / static_cast<double>(total) << " % of all)\n";
  }
  for (const std::string& note : data.notes) text << "  note: " << note << "\n";
  return text.str();
}

std::vector<Example> good_or_defective(const MaskData& data) {
  std::vector<Example> examples;
  for (const MaskedPicture& picture : data.pictures)
    examples.push_back({picture.path, is_good(picture) ? 0 : 1});
  return examples;
}

std::pair<MaskData, MaskData> split(const MaskData& data, double fraction, uint64_t seed) {
  const auto [train, validation] = split_order(std::ssize(data.pictures), fraction, seed);
  const auto part = [&](const std::vector<int64_t>& order) {
    MaskData some = data;
    some.pictures.clear();
    for (const int64_t i : order) some.pictures.push_back(data.pictures[static_cast<size_t>(i)]);
    return some;
  };
  return {part(train), part(validation)};
}

}  // namespace fettle
