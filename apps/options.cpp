#include "apps/options.h"

#include <iostream>

#include "apps/number_checks.h"
#include "engine/argument_error.h"
#include "engine/device_name.h"
#include "kernels/conv2d/plan.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

/// "256x1600" or "224"; an empty text means well-formed.
std::string parse_size(const std::string& text, ImageSize& size) {
  const size_t cross = text.find('x');
  const std::string height = text.substr(0, cross);
  const std::string width = cross == std::string::npos ? height : text.substr(cross + 1);
  if (!CLI::detail::lexical_cast(height, size.height) ||
      !CLI::detail::lexical_cast(width, size.width) || size.height < 1 || size.width < 1 ||
      size.height > max_image_size || size.width > max_image_size) {
    return cat("'", text, "' is not a size such as 224 or 256x1600 (at most ", max_image_size, ")");
  }
  return {};
}

/// The command that the command line names, the innermost one.
const CLI::App* chosen(const CLI::App* program) {
  const std::vector<CLI::App*> commands = program->get_subcommands();
  return commands.empty() ? program : chosen(commands.front());
}

}  // namespace

std::set<std::string> given_options(const CLI::App& command) {
  std::set<std::string> given;
  for (const CLI::Option* option : command.get_options())
    if (option->count() > 0) given.insert(option->get_single_name());
  return given;
}

std::string sentence_of(const CLI::App* program, const CLI::Error& error) {
  const CLI::App* command = chosen(program);
  std::string sentence = error.what(), names;
  for (const CLI::App* inner : command->get_subcommands({}))
    names += (names.empty() ? "" : ", ") + inner->get_name();
  const std::vector<std::string> unknown = command->remaining();
  if (!names.empty() && !unknown.empty())
    sentence = cat("there is no command '", unknown.front(), "' of ", command->get_name(),
                   "; it has ", names);
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error))
    for (const CLI::Option* option : command->get_options())
      if (option->count() > 1 && option->get_items_expected_max() == 1)
        sentence = cat(option->get_name(), " is given ", option->count(), " times; give it once");
  return cat("fettle: ", sentence, "\nRun with --help for more information.\n");
}

void add_size(CLI::App& command, const std::string& name, ImageSize& size,
              const std::string& help) {
  command
      .add_option_function<std::string>(
          name,
          [&size, name](const std::string& text) {
            const std::string problem = parse_size(text, size);
            if (!problem.empty()) throw CLI::ValidationError(name, problem);
          },
          help)
      ->type_name("HxW");
}

void add_image_size(CLI::App& command, ImageSize& size) {
  add_size(command, "--image-size", size,
           "Height and width to which pictures are resized, 224 or 256x1600 [the model's own; with "
           "--crop their own]");
}

void add_crop(CLI::App& command, ImageSize& size) {
  add_size(command, "--crop", size,
           "Train on random parts of this size, half of them around a defect; for models that draw "
           "masks");
}

void add_threads(CLI::App& command) {
  command
      .add_option_function<int>(
          "--threads", [](int count) { set_threads(count); },
          "Threads that compute; the result does not depend on it [all processors]")
      ->check(whole_number(1, 1024));
}

void add_device(CLI::App& command, DeviceOptions& options) {
  command.add_option("--device", options.device, "Where to compute: auto, cpu, cuda or cuda:N")
      ->capture_default_str();
  command
      .add_option(
          "--precision", options.precision,
          "Of convolutions on a GPU: fp32, tf32, or bf16, which keeps what layers compute in "
          "16 bits and parameters in fp32 [fp32]")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
}

void add_run(CLI::App& command, RunOptions& options) {
  command.add_option("run", options.run, "Run folder that fettle train wrote")->required();
}

void add_bn_statistics(CLI::App& command, RunOptions& options) {
  command
      .add_option("--bn-statistics", options.bn_statistics,
                  "What batch-norm uses: moving, or batch [as in training's validation]")
      ->check(CLI::IsMember({"moving", "batch"}));
}

void add_run_options(CLI::App& command, RunOptions& options) {
  add_run(command, options);
  add_prediction_options(command, options);
}

void add_prediction_options(CLI::App& command, RunOptions& options) {
  command.add_option("--batch-size", options.batch_size, "Pictures at a time")
      ->check(whole_number(1, 65536))
      ->capture_default_str();
  command.add_flag("--skip-broken", options.skip_broken, "Leave out pictures that cannot be read");
  add_bn_statistics(command, options);
  add_threads(command);
  add_device(command, options);
}

Device choose_device(const DeviceOptions& options) {
  const std::string &name = options.device, &precision = options.precision;
  const bool any = name == "auto";
  std::optional<Device> device = device_named(name);
  require_argument(any || device, "--device ", name,
                   " is not auto, cpu, cuda or cuda:N with a number N");
  if (any) device = cuda::gpus().empty() ? Device::cpu() : Device::cuda();
  try {
    require_device(*device);
  } catch (const Error& error) {
    throw Error("--device ", name, ": ", error.what());
  }
  const bool exact = precision.empty() || precision == "fp32";
  require(exact || (device->is_cuda() && cuda::gpus()[device->index].compute_capability >= 80),
          "--precision ", precision,
          " needs a GPU of compute capability 8.0 or newer, and this is ",
          description(*device, threads()), "; give --precision fp32");
  set_gpu_precision(exact                 ? Precision::fp32
                    : precision == "tf32" ? Precision::tf32
                                          : Precision::bf16);
  std::cerr << "Device: " << description(*device, threads()) << (exact ? "" : ", " + precision)
            << "\n";
  return *device;
}

}  // namespace fettle
