// Numbers of things, in words.
#pragma once

#include <cstdint>
#include <string>

namespace fettle {

/// "1 picture", "2 pictures"; a noun that does not take an s needs its plural.
inline std::string counted(int64_t count, const std::string& noun, const std::string& plural = "") {
  return std::to_string(count) + ' ' + (count == 1 ? noun : plural.empty() ? noun + 's' : plural);
}

}  // namespace fettle
