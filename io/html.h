// Pages put together from elements, as HTML that is XML at the same time.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fettle {

/// Text of data as it may stand in an element or between quotes: & < > " ' become entities. What
/// XML cannot hold, bytes that are no UTF-8 and control characters, becomes U+FFFD.
std::string escaped(std::string_view text);

/// Markup. Texts are escaped as they are taken in, so that no name of the data can become markup.
class Html {
 public:
  Html() = default;
  Html(std::string_view text) : markup_(escaped(text)) {}
  Html(const std::string& text) : Html(std::string_view(text)) {}
  Html(const char* text) : Html(std::string_view(text)) {}
  /// What is markup already.
  static Html of_markup(std::string markup);

  Html& operator+=(const Html& more) {
    markup_ += more.markup_;
    return *this;
  }
  friend Html operator+(Html a, const Html& b) { return std::move(a += b); }
  bool empty() const { return markup_.empty(); }
  const std::string& markup() const { return markup_; }

 private:
  std::string markup_;
};

/// Names with their values, which are escaped.
using Attributes = std::vector<std::pair<std::string, std::string>>;

/// <name attributes>content</name>, or <name attributes/> where the element cannot have content.
Html element(const std::string& name, const Attributes& attributes, const Html& content);

/// The same with several pieces of content, one after the other.
template <class... Pieces>
Html element(const std::string& name, const Attributes& attributes, const Pieces&... pieces) {
  Html content;
  ((content += Html(pieces)), ...);
  return element(name, attributes, content);
}

/// Bytes as an address that holds them, "data:image/jpeg;base64,...".
std::string data_url(const std::string& media_type, std::string_view bytes);

}  // namespace fettle
