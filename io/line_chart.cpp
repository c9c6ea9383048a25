#include "io/line_chart.h"

#include <cmath>
#include <iomanip>
#include <sstream>

#include "io/overlay.h"

namespace fettle {
namespace {

constexpr double left = 70, top = 40, side = 400;  // of the unit square, in pixels
constexpr double legend_x = left + side + 20;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '&') {
      out += "&amp;";
    } else if (letter == '<') {
      out += "&lt;";
    } else {
      out += letter;
    }
  }
  return out;
}

double across(double x) {
  return left + side * x;
}
double down(double y) {
  return top + side * (1 - y);
}

/// A text at a place; `anchor` is start, middle or end.
std::string text(double x, double y, const std::string& anchor, const std::string& content,
                 const std::string& more = "") {
  std::ostringstream out;
  out << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\"" << more << ">"
      << escaped(content) << "</text>\n";
  return out.str();
}

std::string colour(size_t line) {
  const Colour c = overlay_colour(line);
  std::ostringstream out;
  out << "rgb(" << int{c[0]} << "," << int{c[1]} << "," << int{c[2]} << ")";
  return out.str();
}

std::string grid() {
  std::ostringstream out;
  for (int i = 0; i <= 5; ++i) {
    const double at = i / 5.0;
    std::ostringstream label;
    label << at;
    out << "<path d=\"M" << across(at) << "," << top << "v" << side << "M" << left << ","
        << down(at) << "h" << side << "\" stroke=\"#ddd\"/>\n";
    out << text(across(at), top + side + 20, "middle", label.str());
    out << text(left - 8, down(at) + 4, "end", label.str());
  }
  return out.str();
}

/// The line, without points that lie within a fifth of a pixel of the one before.
std::string path_of(const ChartLine& line) {
  std::ostringstream out;
  out << std::setprecision(5);
  double last_x = -1, last_y = -1;
  for (size_t i = 0; i < line.points.size(); ++i) {
    const double x = across(line.points[i].first), y = down(line.points[i].second);
    const bool near = std::fabs(x - last_x) < 0.2 && std::fabs(y - last_y) < 0.2;
    if (near && i + 1 < line.points.size()) continue;
    out << (i == 0 ? "M" : "L") << x << "," << y;
    last_x = x;
    last_y = y;
  }
  return out.str();
}

}  // namespace

std::string line_chart(const std::string& title, const std::string& x_label,
                       const std::string& y_label, const std::vector<ChartLine>& lines,
                       bool diagonal) {
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 500\" "
         "font-family=\"sans-serif\""
      << " font-size=\"13\">\n<rect width=\"720\" height=\"500\" fill=\"white\"/>\n"
      << text(left + side / 2, 24, "middle", title, " font-size=\"16\"") << grid()
      << text(left + side / 2, top + side + 42, "middle", x_label)
      << text(22, top + side / 2, "middle", y_label, " transform=\"rotate(-90 22 240)\"");
  if (diagonal)
    out << "<path d=\"M" << across(0) << "," << down(0) << "L" << across(1) << "," << down(1)
        << "\" stroke=\"#888\" stroke-dasharray=\"5 5\"/>\n";
  for (size_t i = 0; i < lines.size(); ++i) {
    const double y = top + 14 + 22 * static_cast<double>(i);
    out << "<path d=\"" << path_of(lines[i]) << "\" fill=\"none\" stroke-width=\"2\" stroke=\""
        << colour(i) << "\"/>\n<rect x=\"" << legend_x << "\" y=\"" << y - 10
        << "\" width=\"12\" height=\"12\" fill=\"" << colour(i) << "\"/>\n"
        << text(legend_x + 20, y, "start", lines[i].name);
  }
  out << "</svg>\n";
  return out.str();
}

}  // namespace fettle
