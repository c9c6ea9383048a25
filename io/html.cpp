#include "io/html.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace fettle {
namespace {

/// Bytes of the character of UTF-8 at the beginning of a text; 0: there is none (RFC 3629).
size_t character_size(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xC2 && first <= 0xDF   ? 2
                      : first >= 0xE0 && first <= 0xEF ? 3
                      : first >= 0xF0 && first <= 0xF4 ? 4
                                                       : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) >= 0xA0;
  const bool beyond = first == 0xF4 && byte(1) >= 0x90;
  const bool no_character = first == 0xEF && byte(1) == 0xBF && byte(2) >= 0xBE;
  return overlong || surrogate || beyond || no_character ? 0 : size;
}

/// Whether XML 1.0 can hold the ASCII character.
bool is_control(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7F;
}

bool is_without_content(const std::string& name) {
  constexpr std::array<std::string_view, 7> names = {"br",   "circle", "col", "img",
                                                     "meta", "path",   "rect"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = character_size(text);
    if (size == 0 || is_control(text[0])) {
      out += "\xEF\xBF\xBD";
    } else if (text[0] == '&') {
      out += "&amp;";
    } else if (text[0] == '<') {
      out += "&lt;";
    } else if (text[0] == '>') {
      out += "&gt;";
    } else if (text[0] == '"') {
      out += "&quot;";
    } else if (text[0] == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

Html Html::of_markup(std::string markup) {
  Html html;
  html.markup_ = std::move(markup);
  return html;
}

Html element(const std::string& name, const Attributes& attributes, const Html& content) {
  std::string text = "<" + name;
  for (const auto& [key, value] : attributes) text += " " + key + "=\"" + escaped(value) + "\"";
  if (is_without_content(name)) return Html::of_markup(text + "/>");
  return Html::of_markup(text + ">" + content.markup() + "</" + name + ">");
}

std::string data_url(const std::string& media_type, std::string_view bytes) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string url = "data:" + media_type + ";base64,";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) url += j <= count ? digits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return url;
}

}  // namespace fettle
