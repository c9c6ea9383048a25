#include "apps/report/page.h"

#include "apps/table.h"
#include "engine/error.h"
#include "io/csv.h"

namespace fettle {

std::string percent(double share) {
  return fixed(100 * share, 1) + "\u00A0%";
}

Html Figures::data(const Pointer& place, const std::string& text) const {
  const Json& value = metrics_.at(place);
  return element("data",
                 {{"value", value.is_number_integer() ? std::to_string(value.get<int64_t>())
                                                      : number_text(value.get<double>())},
                  {"data-metric", place.to_string()}},
                 text);
}
Html Figures::percent(const Pointer& place) const {
  return data(place, fettle::percent(number(place)));
}
Html Figures::counted(const Pointer& place) const {
  return data(place, with_commas(count(place)));
}
Html Figures::fixed(const Pointer& place, int digits) const {
  return data(place, fettle::fixed(number(place), digits));
}

Html section(const std::string& id, const std::string& heading, const Html& content) {
  return element("section", {{"id", id}, {"aria-labelledby", id + "-heading"}},
                 element("h2", {{"id", id + "-heading"}}, heading), content);
}

Html tile(const std::string& name, const Html& figure, const Html& note, const std::string& tone) {
  return element("div", {{"class", "tile " + tone}}, element("p", {{"class", "name"}}, name),
                 element("p", {{"class", "value"}}, figure),
                 element("p", {{"class", "note"}}, note));
}

Html figure(const Chart& chart, const Html& caption) {
  return element("figure", {{"class", "chart"}}, Html::of_markup(line_chart(chart)),
                 element("figcaption", {}, caption));
}

Html table(const Table& table) {
  Html header, body;
  for (const Html& cell : table.header) header += element("th", {{"scope", "col"}}, cell);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const std::vector<Html>& row = table.rows[i];
    Html cells = element("th", {{"scope", "row"}}, row.at(0));
    for (size_t k = 1; k < row.size(); ++k) cells += element("td", {}, row[k]);
    const Attributes marked = {{"class", "marked"}};
    body += element("tr", i == table.marked ? marked : Attributes{}, cells);
  }
  return element(
      "div",
      {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", table.caption}},
      element("table", {}, element("caption", {}, table.caption),
              element("thead", {}, element("tr", {}, header)), element("tbody", {}, body)));
}

Html details(const std::string& title, const Html& content) {
  return element("details", {}, element("summary", {}, title), content);
}

Html facts(const std::vector<std::pair<std::string, Html>>& facts) {
  Html list;
  for (const auto& [name, value] : facts)
    list += element("div", {}, element("dt", {}, name), element("dd", {}, value));
  return element("dl", {{"class", "facts"}}, list);
}

std::string page(const std::string& title, const Html& header, const Html& content,
                 const std::vector<std::pair<std::string, std::string>>& sections,
                 const std::string& footer) {
  Html links;
  for (const auto& [id, name] : sections)
    links += element("li", {}, element("a", {{"href", "#" + id}}, name));
  // The policy keeps the promise that nothing is fetched from anywhere.
  const Html head = element(
      "head", {}, element("meta", {{"charset", "utf-8"}}),
      element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}),
      element("meta",
              {{"http-equiv", "Content-Security-Policy"},
               {"content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'"}}),
      element("meta", {{"name", "color-scheme"}, {"content", "light dark"}}),
      element("title", {}, title), element("style", {}, Html::of_markup(style_sheet())));
  const Html body =
      element("body", {}, element("header", {}, header),
              element("nav", {{"aria-label", "Parts of the report"}}, element("ul", {}, links)),
              element("main", {}, content), element("footer", {}, paragraph(footer)));
  return "<!DOCTYPE html>\n" +
         element("html", {{"xmlns", "http://www.w3.org/1999/xhtml"}, {"lang", "en"}}, head, body)
             .markup() +
         "\n";
}

}  // namespace fettle
