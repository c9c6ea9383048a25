// What a run was begun with, as people write it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/train_options.h"
#include "io/run_folder.h"

namespace fettle {

/// The figure that says which epoch is the best: --monitor, or the loss.
std::string watched_figure(const TrainOptions& options, bool validates);

/// The options that the run was begun with, by name without --, their values as people write them.
std::vector<std::pair<std::string, std::string>> option_texts(const RunConfig& config);

/// The command that trains such a run again, into the folder `out`: with all that is not usual.
std::string train_command(const RunConfig& config, const std::string& out);

}  // namespace fettle
