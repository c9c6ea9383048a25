#include "io/line_chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "engine/error.h"
#include "io/html.h"
#include "io/overlay.h"

namespace fettle {
namespace {

constexpr double left = 70, top = 40, side = 400, width = 490;  // of the square, in pixels
constexpr double legend_top = top + side + 68, legend_line = 24;
constexpr size_t styles = 7;

/// The distance of ticks, 1, 2 or 5 times a power of ten, of which about five fit.
double tick_step(const ChartAxis& axis) {
  const double rough = (axis.most - axis.least) / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * power > 0.99 * rough) step = factor * power;
  return axis.whole ? std::max(1.0, step) : step;
}

/// Numbers of one chart as its places.
class Plot {
 public:
  explicit Plot(const Chart& chart) : x_(chart.x), y_(chart.y) {}
  double across(double x) const { return left + side * (x - x_.least) / (x_.most - x_.least); }
  double down(double y) const { return top + side * (1 - (y - y_.least) / (y_.most - y_.least)); }

 private:
  const ChartAxis &x_, &y_;
};

/// A text at a place; `anchor` is start, middle or end.
std::string text(double x, double y, const std::string& anchor, const std::string& content,
                 const std::string& more = "") {
  return cat("<text x=\"", x, "\" y=\"", y, "\" text-anchor=\"", anchor, "\"", more, ">",
             escaped(content), "</text>\n");
}

/// The colour of the line of that number.
std::string colour(size_t line) {
  const Colour c = overlay_colour(line);
  return cat("class=\"line", line % styles, "\" fill=\"none\" stroke-width=\"2\" stroke=\"rgb(",
             int{c[0]}, ",", int{c[1]}, ",", int{c[2]}, ")\"");
}

std::string stroke(size_t line, const std::string& path) {
  constexpr std::array<const char*, styles> dashes = {"none", "8 4",         "2 4", "12 4 2 4",
                                                      "5 2",  "8 3 2 3 2 3", "1 2"};
  return cat("<path d=\"", path, "\" ", colour(line), " stroke-dasharray=\"", dashes[line % styles],
             "\"/>\n");
}

std::string dot(size_t line, double x, double y, double radius) {
  return cat("<circle cx=\"", x, "\" cy=\"", y, "\" r=\"", radius, "\" ", colour(line), "/>\n");
}

std::string grid(const Chart& chart, const Plot& plot) {
  std::ostringstream out;
  const auto each_tick = [](const ChartAxis& axis, const auto& f) {
    const double step = tick_step(axis);
    for (double n = std::ceil(axis.least / step - 1e-6); n * step <= axis.most + 1e-6 * step; ++n)
      f(n * step, cat(n * step + 0.0));
  };
  each_tick(chart.x, [&](double at, const std::string& label) {
    out << "<path class=\"grid\" d=\"M" << plot.across(at) << "," << top << "v" << side
        << "\" stroke=\"#ddd\"/>\n"
        << text(plot.across(at), top + side + 20, "middle", label);
  });
  each_tick(chart.y, [&](double at, const std::string& label) {
    out << "<path class=\"grid\" d=\"M" << left << "," << plot.down(at) << "h" << side
        << "\" stroke=\"#ddd\"/>\n"
        << text(left - 8, plot.down(at) + 4, "end", label);
  });
  return out.str();
}

/// The line, without points that lie within a fifth of a pixel of the one before.
std::string path_of(const ChartLine& line, const Plot& plot) {
  std::ostringstream out;
  out << std::setprecision(5);
  double last_x = -1, last_y = -1;
  bool begins = true;
  for (size_t i = 0; i < line.points.size(); ++i) {
    const double x = plot.across(line.points[i].first), y = plot.down(line.points[i].second);
    if (!std::isfinite(x) || !std::isfinite(y)) {
      begins = true;
      continue;
    }
    const bool near = std::fabs(x - last_x) < 0.2 && std::fabs(y - last_y) < 0.2;
    if (near && !begins && i + 1 < line.points.size()) continue;
    out << (begins ? "M" : "L") << x << "," << y;
    begins = false;
    last_x = x;
    last_y = y;
  }
  return out.str();
}

std::string ring(double x, double y) {
  return cat("<circle class=\"mark\" cx=\"", x, "\" cy=\"", y,
             "\" r=\"7\" fill=\"none\" stroke=\"black\" stroke-width=\"2.5\"/>\n");
}

std::string rule(double x, double y, double height) {
  return cat("<path class=\"rule\" d=\"M", x, ",", y, "v", height,
             "\" stroke=\"#555\" stroke-width=\"2\" stroke-dasharray=\"2 3\"/>\n");
}

std::string drawn(const Chart& chart, const Plot& plot) {
  std::string out;
  if (chart.diagonal)
    out += cat("<path class=\"diagonal\" d=\"M", left, ",", top + side, "L", left + side, ",", top,
               "\" stroke=\"#888\" stroke-dasharray=\"5 5\"/>\n");
  for (const auto& [name, x] : chart.rules) out += rule(plot.across(x), top, side);
  for (size_t i = 0; i < chart.lines.size(); ++i) {
    const ChartLine& line = chart.lines[i];
    if (line.radii.empty()) out += stroke(i, path_of(line, plot));
    if (line.radii.empty() && !line.dots) continue;
    for (size_t k = 0; k < line.points.size(); ++k) {
      const auto& [x, y] = line.points[k];
      if (std::isfinite(x) && std::isfinite(y))
        out += dot(i, plot.across(x), plot.down(y), line.radii.empty() ? 3 : line.radii.at(k));
    }
  }
  for (const ChartMark& mark : chart.marks) out += ring(plot.across(mark.x), plot.down(mark.y));
  return out;
}

/// A line of text for each thing that has a name, after a sample of it.
std::string legend(const Chart& chart) {
  std::string out;
  double y = legend_top;
  const auto add = [&](const std::string& sample, const std::string& name) {
    out += sample + text(left + 44, y + 5, "start", name);
    y += legend_line;
  };
  for (size_t i = 0; i < chart.lines.size(); ++i)
    add(chart.lines[i].radii.empty() ? stroke(i, cat("M", left, ",", y, "h34"))
                                     : dot(i, left + 17, y, 7),
        chart.lines[i].name);
  for (const ChartMark& mark : chart.marks) add(ring(left + 17, y), mark.name);
  for (const auto& [name, x] : chart.rules) add(rule(left + 17, y - 9, 18), name);
  return out;
}

}  // namespace

ChartAxis axis_over(const std::string& label, const std::vector<double>& values) {
  ChartAxis axis{label, 0, 0};
  bool any = false;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    axis.least = any ? std::min(axis.least, value) : value;
    axis.most = any ? std::max(axis.most, value) : value;
    any = true;
  }
  if (axis.least > 0 && axis.least < 0.7 * axis.most) axis.least = 0;
  if (!(axis.most > axis.least)) axis.most = axis.least + 1;
  const double step = tick_step(axis);
  axis.least = step * std::floor(axis.least / step + 1e-6);
  axis.most = step * std::ceil(axis.most / step - 1e-6);
  return axis;
}

std::string line_chart(const Chart& chart) {
  const size_t names = chart.lines.size() + chart.marks.size() + chart.rules.size();
  const double height = legend_top + legend_line * static_cast<double>(names) - 10;
  const Plot plot(chart);
  return cat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", width, " ", height,
             "\" role=\"img\" font-family=\"sans-serif\" font-size=\"14\">\n<title>",
             escaped(chart.title), "</title>\n<rect class=\"paper\" width=\"", width,
             "\" height=\"", height, "\" fill=\"white\"/>\n",
             text(left + side / 2, 24, "middle", chart.title, " class=\"title\" font-size=\"17\""),
             grid(chart, plot), text(left + side / 2, top + side + 42, "middle", chart.x.label),
             text(22, top + side / 2, "middle", chart.y.label, " transform=\"rotate(-90 22 240)\""),
             drawn(chart, plot), legend(chart), "</svg>\n");
}

}  // namespace fettle
