// The one exception of fettle: its message is a sentence that says what is wrong and, where
// possible, how to mend it.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace fettle {

/// Joins anything printable into one string.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

class Error : public std::runtime_error {
 public:
  /// Error("conv2d: input ", x.shape(), " does not fit weight ", w.shape())
  template <class... Parts>
  explicit Error(const Parts&... parts) : std::runtime_error(cat(parts...)) {}
};

/// Throws Error(parts...) unless the condition holds.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw Error(parts...);
}

}  // namespace fettle
