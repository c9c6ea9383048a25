// A page of fettle report, and what every one of them must be.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/markup.h"
#include "tests/apps/program.h"

namespace fettle {

/// A picture of a gallery: its name, and the probability where it has one.
struct Shown {
  std::string name, probability;
};

class ReportPage {
 public:
  explicit ReportPage(const std::string& path) : page_(content(path)) {
    elements_ = Markup::read(page_);
  }

  const std::vector<Element>& elements() const { return elements_; }
  bool says(const std::string& text) const {
    return elements_.at(0).text.find(text) != std::string::npos;
  }
  size_t count(const std::string& name, const std::string& css_class = "") const {
    return static_cast<size_t>(
        std::count_if(elements_.begin(), elements_.end(), [&](const Element& e) {
          return e.name == name && (css_class.empty() || e.attribute("class") == css_class);
        }));
  }

  /// The arguments of the command that the page says trains the run again, with another --out.
  std::string training(const std::string& out) const {
    for (const Element& e : elements_)
      if (e.name == "pre")
        return e.text.substr(std::string("fettle ").size(),
                             e.text.rfind("--out ") - std::string("fettle ").size()) +
               "--out " + out;
    return "";
  }

  /// The pictures under the heading that begins so.
  std::vector<Shown> gallery(const std::string& heading) const {
    std::vector<Shown> shown;
    bool here = false;
    for (const Element& e : elements_) {
      if (e.name == "h2" || e.name == "h3") here = e.text.starts_with(heading);
      if (!here) continue;
      if (e.name == "figure") shown.emplace_back();
      if (e.name == "data") shown.back().probability = e.attribute("value");
      if (e.attribute("class") == "file") shown.back().name = e.text;
    }
    return shown;
  }

  /// Expects every figure of the page that names a place in metrics.json to be the one there, and
  /// each of `places` to be shown.
  void expect_figures(const nlohmann::json& metrics, const std::vector<std::string>& places) const {
    std::map<std::string, int> seen;
    for (const Element& e : elements_) {
      const std::string place = e.attribute("data-metric");
      if (place.empty()) continue;
      ++seen[place];
      const nlohmann::json::json_pointer pointer(place);
      ASSERT_TRUE(metrics.contains(pointer)) << place;
      const nlohmann::json& value = metrics.at(pointer);
      EXPECT_EQ(nlohmann::json::parse(e.attribute("value")), value) << place;
      std::string text = e.text;
      std::erase(text, ',');
      const bool percent = text.ends_with("%");
      EXPECT_NEAR(std::stod(text), value.get<double>() * (percent ? 100 : 1),
                  value.is_number_integer() ? 0
                  : percent                 ? 0.0501
                                            : 0.000501)
          << place;
    }
    for (const std::string& place : places) EXPECT_GE(seen[place], 1) << place;
  }

  /// Nothing is fetched, nothing runs, and whoever cannot see is told.
  void expect_self_contained() const {
    std::map<std::string, int> ids;
    for (const Element& e : elements_) ++ids[e.attribute("id")];
    for (size_t i = 0; i < elements_.size(); ++i) {
      const Element& e = elements_[i];
      for (const char* banned : {"script", "link", "iframe", "object", "embed", "form"})
        EXPECT_NE(e.name, banned);
      for (const auto& [key, value] : e.attributes) {
        EXPECT_FALSE(key.starts_with("on")) << key;
        const bool inside = key != "src" || value.starts_with("data:image/jpeg;base64,/9j/");
        EXPECT_TRUE(inside) << value.substr(0, 80);
        const bool known = key != "href" || (value.starts_with("#") && ids[value.substr(1)] == 1);
        EXPECT_TRUE(known) << value;
        EXPECT_TRUE(key != "id" || ids[value] == 1) << value;
      }
      EXPECT_TRUE(e.name != "img" || !e.attribute("alt").empty());
      EXPECT_TRUE(e.name != "th" || !e.attribute("scope").empty());
      EXPECT_TRUE(e.name != "svg" || !e.attribute("aria-label").empty() ||
                  !e.attribute("aria-hidden").empty() || elements_.at(i + 1).name == "title");
      EXPECT_TRUE(e.name != "style" || e.text.find("url(") == std::string::npos);
      EXPECT_TRUE(e.name != "style" || e.text.find("@import") == std::string::npos);
    }
    for (const char* one : {"main", "h1", "nav", "header", "footer"}) EXPECT_EQ(count(one), 1u);
  }

 private:
  std::string page_;
  std::vector<Element> elements_;
};

}  // namespace fettle
