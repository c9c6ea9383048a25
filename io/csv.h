// Tables as comma-separated values (RFC 4180, with plain line feeds).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fettle {

/// One line: fields that hold a comma, a quote or a line break are quoted.
std::string csv_line(const std::vector<std::string>& fields);

/// The lines of a file, each with its number from 1 and its fields; empty lines are left out. A
/// byte-order mark and carriage returns before line feeds are dropped. Throws Error naming the file
/// when it cannot be read or a quote is not closed.
struct CsvLine {
  int64_t number = 0;
  std::vector<std::string> fields;
};
std::vector<CsvLine> read_csv(const std::string& path);

/// The shortest text that reads back as the same number.
std::string number_text(double value);
std::string number_text(float value);

}  // namespace fettle
