#include "io/csv.h"

#include <charconv>

#include "engine/error.h"
#include "io/read_file.h"

namespace fettle {
namespace {

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

template <class Number>
std::string shortest(Number value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) line += (i ? "," : "") + quoted(fields[i]);
  return line + '\n';
}

std::vector<CsvLine> read_csv(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<CsvLine> lines;
  int64_t number = 1;
  for (size_t at = 0; at < text.size(); ++number) {
    CsvLine line{number, {""}};
    bool quoted = false;
    for (; at < text.size() && (quoted || text[at] != '\n'); ++at) {
      const char c = text[at];
      if (c == '"') {
        const bool doubled = quoted && at + 1 < text.size() && text[at + 1] == '"';
        if (doubled)
          line.fields.back() += text[++at];
        else
          quoted = !quoted;
      } else if (c == ',' && !quoted) {
        line.fields.emplace_back();
      } else if (c != '\r' || quoted) {
        line.fields.back() += c;
      }
      number += c == '\n';
    }
    require(!quoted, "'", path, "', line ", line.number, ": a quote is not closed");
    ++at;
    if (line.fields.size() > 1 || !line.fields[0].empty()) lines.push_back(std::move(line));
  }
  return lines;
}

std::string number_text(double value) {
  return shortest(value);
}
std::string number_text(float value) {
  return shortest(value);
}

}  // namespace fettle
