#include "apps/options.h"

#include <iostream>

#include "engine/error.h"
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

}  // namespace

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
      ->check(CLI::Range(1, 1024));
}

void add_device(CLI::App& command, std::string& device) {
  command.add_option("--device", device, "Where to compute: auto, cpu, cuda or cuda:N")
      ->capture_default_str();
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
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command.add_flag("--skip-broken", options.skip_broken, "Leave out pictures that cannot be read");
  add_bn_statistics(command, options);
  add_threads(command);
  add_device(command, options.device);
}

Device choose_device(const std::string& device) {
  const bool any = device == "auto";
  if (device == "cpu" || (any && cuda::gpus().empty())) {
    std::cerr << "Device: CPU, " << threads() << (threads() == 1 ? " thread\n" : " threads\n");
    return Device::cpu();
  }
  int index = 0;
  const bool numbered = device.starts_with("cuda:") &&
                        CLI::detail::lexical_cast(device.substr(5), index) && index >= 0;
  require(any || numbered || device == "cuda", "--device ", device,
          " is not auto, cpu, cuda or cuda:N with a number N");
  try {
    cuda::require_gpu(index);
  } catch (const Error& error) {
    throw Error("--device ", device, ": ", error.what());
  }
  const cuda::Gpu gpu = cuda::gpus()[static_cast<size_t>(index)];
  std::cerr << "Device: cuda:" << index << ", " << gpu.name << ", " << (gpu.total_bytes >> 20)
            << " MiB\n";
  return Device::cuda(index);
}

}  // namespace fettle
