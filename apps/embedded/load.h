// How a model is found on disk: apart, since the full library reads more than the embedded one.
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

/// The model of a single file or, in the full library, of a run folder. Throws CannotRead, or Error
/// where the file is no model.
SingleFile load_for_prediction(const std::string& path);

}  // namespace fettle
