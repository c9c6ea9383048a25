// Tables as comma-separated values (RFC 4180, with plain line feeds).
#pragma once

#include <string>
#include <vector>

namespace fettle {

/// One line: fields that hold a comma, a quote or a line break are quoted.
std::string csv_line(const std::vector<std::string>& fields);

/// The shortest text that reads back as the same number.
std::string number_text(double value);
std::string number_text(float value);

}  // namespace fettle
