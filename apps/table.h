// Text tables and figures for people.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace fettle {

/// Prints rows of equal length under a header, first column left-aligned, the others right.
void print_table(std::ostream& out, const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows);

/// 33578402 as "33,578,402".
std::string with_commas(int64_t value);

/// A number with that many digits after the point.
std::string fixed(double value, int digits);

/// Seconds as "8 s", "3 min 20 s" or "2 h 5 min".
std::string duration(double seconds);

}  // namespace fettle
