// What is wrong with the arguments of a command, as opposed to its input: exit code 2 instead of 1.
#pragma once

#include "engine/error.h"

namespace fettle {

class ArgumentError : public Error {
 public:
  using Error::Error;
};

/// Throws ArgumentError(parts...) unless the condition holds.
template <class... Parts>
void require_argument(bool condition, const Parts&... parts) {
  if (!condition) throw ArgumentError(parts...);
}

}  // namespace fettle
