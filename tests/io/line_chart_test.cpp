#include "io/line_chart.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fettle {
namespace {

TEST(LineChart, PutsTheUnitSquareIntoItsFrame) {
  const std::string chart = line_chart({.title = "ROC",
                                        .x = {"x"},
                                        .y = {"y"},
                                        .lines = {{"a < b & c", {{0, 0}, {0.5, 1}, {1, 1}}}},
                                        .diagonal = true});
  EXPECT_NE(chart.find("M70,440L270,40L470,40"), std::string::npos) << chart;
  EXPECT_NE(chart.find("M70,440L470,40\" stroke=\"#888\""), std::string::npos) << chart;
  EXPECT_NE(chart.find("a &lt; b &amp; c"), std::string::npos) << chart;
}

TEST(LineChart, LeavesOutPointsThatNobodyCouldSee) {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i <= 100000; ++i) points.emplace_back(i / 1e5, i / 1e5);
  const std::string chart =
      line_chart({.title = "", .x = {}, .y = {}, .lines = {{"line", points}}});
  EXPECT_LT(chart.size(), 60000u);
  EXPECT_NE(chart.find("L470,40\""), std::string::npos) << "the last point stays";
}

TEST(LineChart, AxesMayHaveOtherEnds) {
  const std::string chart = line_chart({.title = "Loss",
                                        .x = {"epoch", 1, 5, true},
                                        .y = {"loss", 0, 4},
                                        .lines = {{"loss", {{1, 4}, {3, 2}, {5, 1}}, true}},
                                        .marks = {{"here", 3, 2}},
                                        .rules = {{"kept", 5}}});
  EXPECT_NE(chart.find("M70,40L270,240L470,340"), std::string::npos) << chart;
  EXPECT_NE(chart.find("<circle class=\"mark\" cx=\"270\" cy=\"240\""), std::string::npos) << chart;
  EXPECT_NE(chart.find("<path class=\"rule\" d=\"M470,40v400\""), std::string::npos) << chart;
  for (const char* tick : {">1<", ">2<", ">3<", ">4<", ">5<"})
    EXPECT_NE(chart.find(tick), std::string::npos) << tick;
  EXPECT_EQ(chart.find(">1.5<"), std::string::npos);
}

TEST(LineChart, ALineIsInterruptedWhereThereIsNoNumber) {
  const double none = std::nan("");
  const std::string chart =
      line_chart({.title = "",
                  .x = {},
                  .y = {},
                  .lines = {{"line", {{0, 0}, {0.25, 1}, {0.5, none}, {0.75, 1}, {1, 0}}, true}}});
  EXPECT_NE(chart.find("M70,440L170,40M370,40L470,440"), std::string::npos) << chart;
  EXPECT_EQ(chart.find("nan"), std::string::npos) << chart;
}

TEST(LineChart, DotsMayStandForALine) {
  const std::string chart = line_chart(
      {.title = "", .x = {}, .y = {}, .lines = {{"some", {{0.5, 1}, {1, 0}}, false, {4, 9}}}});
  EXPECT_NE(chart.find("cx=\"270\" cy=\"40\" r=\"4\""), std::string::npos) << chart;
  EXPECT_NE(chart.find("cx=\"470\" cy=\"440\" r=\"9\""), std::string::npos) << chart;
  EXPECT_EQ(chart.find("M270,40"), std::string::npos) << chart;
}

TEST(LineChart, AnAxisEndsAtTicks) {
  const auto expect_ends = [](const std::vector<double>& values, double least, double most) {
    const ChartAxis axis = axis_over("y", values);
    EXPECT_DOUBLE_EQ(axis.least, least);
    EXPECT_DOUBLE_EQ(axis.most, most);
  };
  expect_ends({0.31, 0.72, std::nan("")}, 0, 0.8);
  expect_ends({0.912, 0.968}, 0.9, 0.98);
  expect_ends({-3, 7}, -4, 8);
  expect_ends({2, 2}, 2, 3);
  expect_ends({}, 0, 1);
}

}  // namespace
}  // namespace fettle
