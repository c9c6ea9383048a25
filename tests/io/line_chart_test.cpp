#include "io/line_chart.h"

#include <gtest/gtest.h>

namespace fettle {
namespace {

TEST(LineChart, PutsTheUnitSquareIntoItsFrame) {
  const std::string chart =
      line_chart("ROC", "x", "y", {{"a < b & c", {{0, 0}, {0.5, 1}, {1, 1}}}}, /*diagonal=*/true);
  EXPECT_NE(chart.find("M70,440L270,40L470,40"), std::string::npos) << chart;
  EXPECT_NE(chart.find("M70,440L470,40\" stroke=\"#888\""), std::string::npos) << chart;
  EXPECT_NE(chart.find("a &lt; b &amp; c"), std::string::npos) << chart;
}

TEST(LineChart, LeavesOutPointsThatNobodyCouldSee) {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i <= 100000; ++i) points.emplace_back(i / 1e5, i / 1e5);
  const std::string chart = line_chart("", "", "", {{"line", points}});
  EXPECT_LT(chart.size(), 60000u);
  EXPECT_NE(chart.find("L470,40\""), std::string::npos) << "the last point stays";
}

}  // namespace
}  // namespace fettle
