#include "apps/table.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace fettle {

namespace {

/// The places that a text in UTF-8 takes on a line, where each character takes one.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

void print_table(std::ostream& out, const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (size_t i = 0; i < header.size(); ++i) {
    widths.push_back(width_of(header[i]));
    for (const auto& row : rows) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  const auto print = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - width_of(row[i]), ' ');
      out << (i ? "  " + padding + row[i] : row[i] + padding);
    }
    out << "\n";
  };
  print(header);
  size_t total = 2 * (widths.size() - 1);
  for (size_t width : widths) total += width;
  out << std::string(total, '-') << "\n";
  for (const auto& row : rows) print(row);
}

std::string with_commas(int64_t value) {
  std::string digits = std::to_string(value);
  const int64_t first = value < 0 ? 1 : 0;
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string fixed(double value, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  std::ostringstream out;
  if (whole >= 3600) {
    out << whole / 3600 << " h " << whole % 3600 / 60 << " min";
  } else if (whole >= 60) {
    out << whole / 60 << " min " << whole % 60 << " s";
  } else {
    out << whole << " s";
  }
  return out.str();
}

}  // namespace fettle
