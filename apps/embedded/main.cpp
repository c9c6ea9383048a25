// fettle-predict: what a single-file model says of pictures. Exit codes: 0 done, 1 bad input, 2
// wrong arguments.
#include <charconv>
#include <filesystem>
#include <iostream>
#include <new>
#include <numeric>
#include <set>

#include "apps/embedded/load.h"
#include "apps/predictor.h"
#include "engine/argument_error.h"
#include "engine/device_name.h"
#include "engine/inference/decision.h"
#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/data_sets/class_folder.h"
#include "io/read_file.h"

namespace fettle {
namespace {

constexpr const char* usage =
    "fettle-predict MODEL PICTURE|FOLDER ... [options]\n"
    "Says what a model that fettle export --single-file wrote finds in pictures, as CSV.\n"
    "  --masks DIR          write the masks of a model that draws some, as DIR/NAME.KIND.pgm\n"
    "  --threshold P        probability from which there is a defect, or a label [the model's]\n"
    "  --device NAME        where to compute: cpu, cuda or cuda:N [cpu]\n"
    "  --precision bf16     multiply bf16, where the processor can: faster, three digits [fp32]\n"
    "  --max-memory SIZE    memory that may be used, such as 256M or 1G [no limit]\n"
    "  --threads N          threads that compute [all processors]\n"
    "  --version, --help\n";

struct Options {
  std::string model, masks, device = "cpu";
  std::vector<std::string> pictures;
  double threshold = -1;
  int64_t max_memory = 0;
  int threads = 0;
  Precision precision = Precision::fp32;
};

/// The number that a whole text is, in [least, most].
template <class T>
T number(const std::string& option, const std::string& text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(value >= least && value <= most))
    throw ArgumentError(option, " takes a number from ", least, " to ", most, ", not '", text, "'");
  return value;
}

/// "256M" in bytes.
int64_t memory_size(const std::string& option, std::string text) {
  constexpr std::string_view units = "KMG";
  const size_t unit = text.empty() ? units.npos : units.find(text.back());
  const int shift = unit == units.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
  if (shift > 0) text.pop_back();
  return number<int64_t>(option, text, 1, INT64_MAX >> 30) << shift;
}

Precision precision(const std::string& option, const std::string& text) {
  if (text == "fp32") return Precision::fp32;
  if (text == "bf16") return Precision::bf16;
  throw ArgumentError(option, " takes fp32 or bf16, not '", text, "'");
}

Options parse(const std::vector<std::string>& arguments) {
  Options o;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (!name.starts_with("--")) {
      (o.model.empty() ? o.model : o.pictures.emplace_back()) = name;
      continue;
    }
    const bool known = name == "--masks" || name == "--threshold" || name == "--device" ||
                       name == "--precision" || name == "--max-memory" || name == "--threads";
    if (!known) throw ArgumentError("there is no option ", name);
    if (++i == arguments.size()) throw ArgumentError(name, " needs a value");
    const std::string& value = arguments[i];
    if (name == "--masks") o.masks = value;
    if (name == "--threshold") o.threshold = number<double>(name, value, 0, 1);
    if (name == "--device" && !device_named(value))
      throw ArgumentError("--device takes cpu, cuda or cuda:N with a number N, not '", value, "'");
    if (name == "--device") o.device = value;
    if (name == "--max-memory") o.max_memory = memory_size(name, value);
    if (name == "--precision") o.precision = precision(name, value);
    if (name == "--threads") o.threads = number<int>(name, value, 1, 1024);
  }
  if (o.model.empty() || o.pictures.empty()) throw ArgumentError("give a model and pictures");
  return o;
}

/// --device, which is told. Throws Error where it cannot be used.
void choose_device(Predictor& predictor, const std::string& name) {
  const Device device = *device_named(name);
  try {
    predictor.set_device(device);
  } catch (const Error& error) {
    throw Error("--device ", name, ": ", error.what());
  }
  std::cerr << "Device: " << description(device, predictor.threads()) << "\n";
}

/// The picture in a file, if there is room for it.
Picture read(const Predictor& predictor, const std::string& path) {
  const std::vector<uint8_t> file = read_file(path);
  try {
    predictor.require_room(picture_size(path, file), std::ssize(file));
  } catch (const TooLarge& error) {
    throw Error("'", path, "': ", error.what());
  }
  return decode_picture(path, file, static_cast<int>(predictor.model().network.channels));
}

/// One line a kind that was found, or one that says that there is nothing.
void print_masks(const Options& o, const Predictor& predictor, const std::string& path,
                 const Finding& finding) {
  const int64_t pixels = finding.height * finding.width;
  const std::string name = std::filesystem::path(path).filename().string();
  bool good = true;
  for (int64_t k = 0; k < predictor.classes(); ++k) {
    const uint8_t* mask = finding.masks.data() + k * pixels;
    const int64_t area = std::accumulate(mask, mask + pixels, int64_t{0});
    const auto kind = static_cast<size_t>(k);
    if (area > 0)
      std::cout << csv_line({path, predictor.model().class_names[kind], std::to_string(area),
                             number_text(finding.probabilities[kind])});
    good = good && area == 0;
    if (o.masks.empty()) continue;
    std::string file = cat("P5\n", finding.width, " ", finding.height, "\n255\n");
    for (int64_t i = 0; i < pixels; ++i) file += mask[i] ? '\xFF' : '\0';
    write_file((std::filesystem::path(o.masks) / cat(name, '.', k + 1, ".pgm")).string(), file);
  }
  if (good) std::cout << csv_line({path, "", "0", "0"});
}

std::string answer_of(const SingleFile& model, const Finding& finding) {
  return model.multi_label ? label_text(model.class_names, finding.labels)
                           : model.class_names[static_cast<size_t>(finding.class_index)];
}

void print_class(const Predictor& predictor, const std::string& path, const Finding& finding) {
  std::vector<std::string> line = {path, answer_of(predictor.model(), finding)};
  for (const float p : finding.probabilities) line.push_back(number_text(p));
  std::cout << csv_line(line);
}

void predict(const Options& o) {
  SingleFile model = load_for_prediction(o.model);
  if (o.threshold >= 0) model.threshold = o.threshold;
  const bool segments = model.segments;
  require(segments || o.masks.empty(), "'", o.model, "' classifies, and so has no masks to write");
  Predictor predictor(std::move(model));
  if (o.threads > 0) predictor.set_threads(o.threads);
  predictor.set_precision(o.precision);
  choose_device(predictor, o.device);
  predictor.set_max_memory(o.max_memory);
  std::vector<std::string> paths;
  std::set<std::string> names;
  for (const std::string& given : o.pictures)
    for (const std::string& path : list_pictures(given)) {
      const bool first = names.insert(std::filesystem::path(path).filename().string()).second;
      require(first || o.masks.empty(), "two of the pictures are called as '", path,
              "' is; their masks would have one name");
      paths.push_back(path);
    }
  if (!o.masks.empty()) make_folder(o.masks);

  const bool labels = predictor.model().multi_label;
  std::vector<std::string> header = {"path", segments ? "kind" : labels ? "labels" : "class"};
  if (segments) {
    header.insert(header.end(), {"area", "probability"});
  } else {
    const std::vector<std::string>& classes = predictor.model().class_names;
    header.insert(header.end(), classes.begin(), classes.end());
  }
  std::cout << csv_line(header);
  for (const std::string& path : paths) {
    const Finding finding = predictor.predict(read(predictor, path));
    if (segments) {
      print_masks(o, predictor, path, finding);
    } else {
      print_class(predictor, path, finding);
    }
  }
  require(std::cout.flush().good(), "the results cannot be written to stdout");
}

int run(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--help") std::cout << usage;
    if (argument == "--version") std::cout << "fettle-predict " FETTLE_VERSION "\n";
    if (argument == "--help" || argument == "--version") return 0;
  }
  try {
    predict(parse(arguments));
    return 0;
  } catch (const ArgumentError& error) {
    std::cerr << "fettle-predict: " << error.what() << "\n" << usage;
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << "fettle-predict: out of memory; --max-memory makes it work in tiles\n";
  } catch (const std::exception& error) {
    std::cerr << "fettle-predict: " << error.what() << "\n";
  }
  return 1;
}

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  return fettle::run({argv + 1, argv + argc});
}
