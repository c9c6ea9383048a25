// Masks as a CSV of run lengths, the form of Severstal's sample_submission.csv.
#pragma once

#include <cstdint>
#include <string>

#include "io/atomic_file.h"
#include "io/run_length.h"

namespace fettle {

/// Writes the header "ImageId_ClassId,EncodedPixels" and a row for each picture and kind, such as
/// "0002cc93b.jpg_1,29102 12 29346 24". The rows go straight to the disk; the file is there, whole,
/// after finish() and not before. Every member throws Error naming the file when the system
/// refuses.
class RunLengthCsv {
 public:
  explicit RunLengthCsv(const std::string& path);

  /// Adds the row of a picture and a kind, numbered from 1; an empty mask leaves EncodedPixels
  /// empty. Throws Error for a kind below 1.
  void add(const std::string& image, int64_t kind, const Mask& mask);
  /// Ends the file; nothing can be added any more.
  void finish() { file_.commit(); }

 private:
  AtomicFile file_;
};

}  // namespace fettle
