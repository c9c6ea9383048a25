// One line that shows how far long work has come. On a terminal it is rewritten in place; elsewhere
// only finished work prints plain lines.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "engine/train/fit.h"

namespace fettle {

class Progress {
 public:
  Progress();
  /// Shows the state of an epoch (at most ten times a second).
  void batch(const BatchProgress& progress);
  /// Shows "what: done of total" (at most ten times a second).
  void count(const std::string& what, int64_t done, int64_t total);
  /// Prints a line of results to stdout.
  void result(const std::string& text);
  /// Prints a line that stays.
  void line(const std::string& text);
  /// Removes the moving line.
  void clear();

 private:
  bool due();
  void show(const std::string& text);

  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

/// The figures of an epoch as one line.
std::string epoch_line(int64_t epoch, int64_t epochs, const EpochLog& log);

}  // namespace fettle
