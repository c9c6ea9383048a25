// Options that several commands share, with the same names and meaning everywhere.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <set>
#include <string>

#include "engine/device.h"

namespace fettle {

/// The options that a command line gives to a command, without --.
std::set<std::string> given_options(const CLI::App& command);

/// Largest height and width to which pictures are resized.
constexpr int64_t max_image_size = 16384;

/// Height and width as --image-size gives them.
struct ImageSize {
  int64_t height = 0, width = 0;  ///< 0: the model's own
};

/// An option that takes HxW, or one number for a square.
void add_size(CLI::App& command, const std::string& name, ImageSize& size, const std::string& help);

/// --image-size HxW, or one number for a square.
void add_image_size(CLI::App& command, ImageSize& size);

/// --crop HxW, as --image-size.
void add_crop(CLI::App& command, ImageSize& size);

/// --threads, applied as soon as it is read.
void add_threads(CLI::App& command);

/// What is wrong with a command line, in a sentence, for `program` that could not read it.
std::string sentence_of(const CLI::App* program, const CLI::Error& error);

/// Where to compute, and how exactly.
struct DeviceOptions {
  std::string device = "auto";
  std::string precision;  ///< fp32, tf32 or bf16; "": fp32, or as the run that goes on was begun
};

/// --device auto|cpu|cuda|cuda:N and --precision fp32|tf32|bf16.
void add_device(CLI::App& command, DeviceOptions& options);

/// What evaluate, predict and inspect have in common.
struct RunOptions : DeviceOptions {
  std::string run, out;
  std::string bn_statistics;  ///< "": as the run was trained
  int64_t batch_size = 32;
  bool skip_broken = false;
};

/// The run folder as an argument.
void add_run(CLI::App& command, RunOptions& options);

/// --bn-statistics moving|batch.
void add_bn_statistics(CLI::App& command, RunOptions& options);

/// All of them but the run folder.
void add_prediction_options(CLI::App& command, RunOptions& options);

/// The run folder as an argument, --batch-size, --skip-broken, --bn-statistics, --threads, --device
/// and --precision.
void add_run_options(CLI::App& command, RunOptions& options);

/// The device that `--device` names; "auto" is the first GPU, or the CPU where there is none.
/// Prints it, and has GPUs compute with the given precision. Throws ArgumentError for another
/// name, and Error when the device is not there or cannot do that: there is no silent fall back.
Device choose_device(const DeviceOptions& options);

}  // namespace fettle
