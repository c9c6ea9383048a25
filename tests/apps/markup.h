// A strict reader of pages: what it takes, an XML parser takes, too.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"

namespace fettle {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  ///< all of it, inner elements' too

  std::string attribute(const std::string& key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? "" : found->second;
  }
};

/// Reads a page of elements, quoted attributes, texts and five entities, and nothing else.
class Markup {
 public:
  /// The elements in the order in which they begin. Throws Error where tags are not balanced, an
  /// attribute comes twice or without quotes, a & is no entity, or a < or > stands in a text.
  static std::vector<Element> read(std::string_view page) {
    Markup markup(page);
    markup.skip("<!DOCTYPE html>\n");
    markup.read_all();
    return std::move(markup.elements_);
  }

 private:
  explicit Markup(std::string_view text) : rest_(text) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("not well formed: ", what, " before '", rest_.substr(0, 120), "'");
  }
  bool starts(std::string_view text) const { return rest_.starts_with(text); }
  void skip(std::string_view text) {
    if (!starts(text)) fail("no '" + std::string(text) + "'");
    rest_.remove_prefix(text.size());
  }

  std::string name() {
    size_t size = 0;
    while (size < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[size])) ||
                                   rest_[size] == '-' || rest_[size] == ':'))
      ++size;
    if (size == 0 || std::isdigit(static_cast<unsigned char>(rest_[0]))) fail("no name");
    const std::string name(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return name;
  }

  /// A text up to a character that cannot be in it.
  std::string text_before(char end) {
    static const std::map<std::string, char> entities = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
    std::string text;
    while (!rest_.empty() && rest_[0] != end) {
      const char c = rest_[0];
      if (c == '<' || c == '>') fail("a bare " + std::string(1, c));
      if (static_cast<unsigned char>(c) < 0x20 && c != '\n') fail("a control character");
      if (c != '&') {
        text += c;
        rest_.remove_prefix(1);
        continue;
      }
      const auto entity = entities.find(std::string(rest_.substr(0, rest_.find(';') + 1)));
      if (entity == entities.end()) fail("no entity");
      text += entity->second;
      rest_.remove_prefix(entity->first.size());
    }
    return text;
  }

  void begin() {
    skip("<");
    Element element{name(), {}, ""};
    while (starts(" ")) {
      skip(" ");
      const std::string key = name();
      skip("=\"");
      if (!element.attributes.emplace(key, text_before('"')).second) fail("a second " + key);
      skip("\"");
    }
    const bool closed = starts("/>");
    skip(closed ? "/>" : ">");
    elements_.push_back(element);
    if (!closed) open_.push_back(elements_.size() - 1);
  }

  void read_all() {
    do {
      if (starts("</")) {
        skip("</");
        if (name() != elements_[open_.back()].name) fail("the end of another element");
        skip(">");
        open_.pop_back();
      } else if (starts("<")) {
        begin();
      } else {
        const std::string text = text_before('<');
        for (const size_t i : open_) elements_[i].text += text;
      }
    } while (!open_.empty() && !rest_.empty());
    if (!open_.empty()) fail("the end of the page in " + elements_[open_.back()].name);
    if (rest_ != "\n") fail("more than one page");
  }

  std::string_view rest_;
  std::vector<Element> elements_;
  std::vector<size_t> open_;
};

}  // namespace fettle
