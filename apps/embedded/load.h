// How a model is found on disk.
#pragma once

#include <string>

#include "engine/error.h"
#include "io/single_file.h"

namespace fettle {

/// Thrown where a file is not there or cannot be read.
class CannotRead : public Error {
 public:
  using Error::Error;
};

/// The model of a single file. Throws CannotRead, or Error where the file is no model.
SingleFile load_file(const std::string& path);

/// The model of a single file or, in the full library (load_run.cpp), of a run folder; the embedded
/// one (load_file_only.cpp) says how to make a file of it.
SingleFile load_for_prediction(const std::string& path);

}  // namespace fettle
