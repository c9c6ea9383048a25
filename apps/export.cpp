// fettle export: a trained run as a file for other programs.
#include <cctype>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "apps/commands.h"
#include "apps/prediction_graph.h"
#include "apps/single_file.h"
#include "engine/argument_error.h"
#include "io/atomic_file.h"
#include "io/onnx.h"

namespace fettle {
namespace {

struct Options : RunOptions {
  std::string onnx, single_file, c_array;
  bool fp16 = false;
  ImageSize image_size;
};

/// The size of the pictures in the file: the one that was asked for, or the run's.
ImageSize input_size(const Options& o, const RunConfig& config) {
  if (o.image_size.height > 0) return o.image_size;
  if (config.height > 0) return {config.height, config.width};
  return {config.crop_height, config.crop_width};
}

/// A name for C that the file's name suggests.
std::string identifier(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string();
  for (char& letter : name)
    if (!std::isalnum(static_cast<unsigned char>(letter))) letter = '_';
  static const std::set<std::string_view> keywords = {
      // of C, and of C++ where people include it
      "auto",      "bool",     "break",    "case",    "catch",     "char",   "class",
      "const",     "continue", "default",  "delete",  "do",        "double", "else",
      "enum",      "explicit", "export",   "extern",  "false",     "float",  "for",
      "friend",    "goto",     "if",       "inline",  "int",       "long",   "mutable",
      "namespace", "new",      "operator", "private", "protected", "public", "register",
      "restrict",  "return",   "short",    "signed",  "sizeof",    "static", "struct",
      "switch",    "template", "this",     "throw",   "true",      "try",    "typedef",
      "typename",  "union",    "unsigned", "using",   "virtual",   "void",   "volatile",
      "while"};
  const bool begins = !name.empty() && !std::isdigit(static_cast<unsigned char>(name[0]));
  return begins && !keywords.contains(name) ? name : "model_" + name;
}

void write_single_file(const Options& o, TrainedModel& model) {
  const std::vector<uint8_t> bytes =
      to_bytes(to_single_file(model), o.fp16 ? Storage::f16 : Storage::f32);
  const auto write = [&](const std::string& file, std::string_view content) {
    if (file.empty()) return;
    write_file(file, content);
    std::cerr << "Wrote " << file << ": " << model.config.model << ", " << bytes.size()
              << " bytes, weights in " << (o.fp16 ? "fp16" : "fp32") << "\n";
  };
  write(o.single_file, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!o.c_array.empty()) write(o.c_array, to_c_source(identifier(o.c_array), bytes));
}

void write_onnx(const Options& o, TrainedModel& model) {
  const RunConfig& config = model.config;
  const ImageSize size = input_size(o, config);
  Graph graph = graph_of(model, size);
  const int logits = graph.output, probabilities = add_probabilities(graph, model);
  write_onnx(o.onnx, graph,
             {.outputs = {{"probabilities", probabilities}, {"logits", logits}},
              .standardize = model.entry().standardize,
              .metadata = {{"model", config.model},
                           {"classes", nlohmann::json(config.class_names).dump()},
                           {"multi_label", config.multi_label ? "true" : "false"},
                           {"threshold", cat(config.threshold)}}});
  const bool masks = model.entry().task == Task::segmentation;
  std::cerr << "Wrote " << o.onnx << ": pictures [N," << size.height << "," << size.width << ","
            << config.channels << "], float, 0 to 255, to probabilities and logits "
            << (masks ? "[N,H,W,kinds]" : "[N,classes]") << "\n";
}

void export_run(const Options& o) {
  require_argument(!o.onnx.empty() || !o.single_file.empty() || !o.c_array.empty(),
                   "say what to write: --onnx FILE, --single-file FILE or --c-array FILE.c");
  require_argument(!o.fp16 || !o.single_file.empty() || !o.c_array.empty(),
                   "--fp16 is for --single-file and --c-array; leave it out");
  require_argument(o.image_size.height == 0 || !o.onnx.empty(),
                   "--image-size is for --onnx; leave it out");
  TrainedModel model = load_model(o, Device::cpu());
  if (!o.onnx.empty()) write_onnx(o, model);
  if (!o.single_file.empty() || !o.c_array.empty()) write_single_file(o, model);
}

}  // namespace

void add_export(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("export", "Write a trained run as a file for other programs");
  auto o = std::make_shared<Options>();
  add_run(*command, *o);
  command->add_option("--onnx", o->onnx,
                      "File of ONNX (opset 17) to write: pictures [N,H,W,C] from 0 to 255, any "
                      "number of them, to their probabilities and logits");
  add_size(*command, "--image-size", o->image_size,
           "Height and width of the pictures in the file [the run's]");
  command->add_option(
      "--single-file", o->single_file,
      "File for fettle-predict and the C library, with all that a prediction needs");
  command->add_option("--c-array", o->c_array,
                      "The same as C source, to be compiled into a program; the array is called as "
                      "the file");
  command->add_flag("--fp16", o->fp16, "Weights in 2 bytes instead of 4 in these two");
  add_bn_statistics(*command, *o);
  command->callback([o] { export_run(*o); });
}

}  // namespace fettle
