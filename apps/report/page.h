// The pieces that pages of fettle report are made of.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/html.h"
#include "io/line_chart.h"

namespace fettle {

/// A share as people read it: 0.9375 as "93.8 %".
std::string percent(double share);

/// The figures of metrics.json on a page. Whatever is shown of them is read here, so that a page
/// cannot differ from the file: <data value="0.9375" data-metric="/accuracy">93.8 %</data>.
class Figures {
 public:
  using Json = nlohmann::ordered_json;
  using Pointer = Json::json_pointer;
  explicit Figures(const Json& metrics) : metrics_(metrics) {}

  bool has(const Pointer& place) const { return metrics_.contains(place); }
  double number(const Pointer& place) const { return metrics_.at(place).get<double>(); }
  int64_t count(const Pointer& place) const { return metrics_.at(place).get<int64_t>(); }

  Html percent(const Pointer& place) const;
  Html counted(const Pointer& place) const;
  /// With so many digits after the point.
  Html fixed(const Pointer& place, int digits) const;

 private:
  Html data(const Pointer& place, const std::string& text) const;

  const Json& metrics_;
};

/// A paragraph of several pieces.
template <class... Pieces>
Html paragraph(const Pieces&... pieces) {
  return element("p", {}, pieces...);
}

/// What is typed into a terminal.
inline Html code(const std::string& text) {
  return element("code", {}, text);
}

/// A part of the page with a heading, reachable as #id.
Html section(const std::string& id, const std::string& heading, const Html& content);

/// A large figure with its name above and what to think of it below. `tone` is good, bad or "".
Html tile(const std::string& name, const Html& figure, const Html& note,
          const std::string& tone = "");

/// A chart with a caption under it.
Html figure(const Chart& chart, const Html& caption);

/// A table with a header row; the first cell of each row is a header, too. Scrolls by itself where
/// the page is too narrow.
struct Table {
  std::string caption;
  std::vector<Html> header;
  std::vector<std::vector<Html>> rows;
  size_t marked = static_cast<size_t>(-1);  ///< a row to stand out
};
Html table(const Table& table);

/// What opens when its title is pressed, and is open in print.
Html details(const std::string& title, const Html& content);

/// Names with their values.
Html facts(const std::vector<std::pair<std::string, Html>>& facts);

/// The whole page. `sections` are the ids and short names that the navigation offers.
std::string page(const std::string& title, const Html& header, const Html& content,
                 const std::vector<std::pair<std::string, std::string>>& sections,
                 const std::string& footer);

/// The style sheet of the page.
std::string style_sheet();

}  // namespace fettle
