// --conv-plans: how a GPU computes each convolution, timed on first use and kept in a file.
#pragma once

#include <string>

#include "engine/device.h"

namespace fettle {

class ConvPlans {
 public:
  /// Takes the plans of the file, if it is there, and has those that it lacks timed from now on.
  /// Throws Error when the device is no GPU, or the file holds something else than plans of this
  /// GPU. An empty path changes nothing.
  ConvPlans(const std::string& path, const Device& device);

  /// Writes the file when plans have come since. Throws Error when that is impossible.
  void save();

 private:
  std::string path_, header_;
  size_t saved_ = 0;  // lines
};

}  // namespace fettle
