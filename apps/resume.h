// What a run folder keeps of a command line, and what it lets a resumed run change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/train_options.h"
#include "io/run_folder.h"

namespace fettle {

/// The value of an option as config.json keeps it: numbers with as many digits as they need, 1 or
/// 0, 64x400, "" for what was not given.
std::string option_text(const std::string& value);
std::string option_text(double value);
std::string option_text(int64_t value);
std::string option_text(bool value);
std::string option_text(const std::optional<double>& value);
std::string option_text(const ImageSize& size);

/// Takes what the run folder fixed when it was begun. Options that were given anew stay if they may
/// change: --epochs, where the pictures are, and what leaves the result as it is. Throws
/// ArgumentError naming another one that differs from the run's, and Error when config.json holds
/// what could not have been given.
void take_from_run(TrainOptions& options, const RunConfig& config);

/// The configuration of a run with such options on such data. Paths are kept whole, so that the run
/// finds its pictures from any folder.
RunConfig config_of(TrainOptions& options, const Data& data);

}  // namespace fettle
