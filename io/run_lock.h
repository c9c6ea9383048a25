// One training at a time writes to a run folder.
#pragma once

#include "io/run_folder.h"

namespace fettle {

/// Holds checkpoint/lock of a run folder for as long as it lives. The system lets go of it when the
/// process ends, however it does, so that the file itself means nothing and stays.
class RunLock {
 public:
  /// Throws Error when another process holds it, or it cannot be made. Where the file system knows
  /// no locks, nothing is held.
  explicit RunLock(const RunFolder& run);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int file_;
};

}  // namespace fettle
