#include "io/outline.h"

#include <array>
#include <utility>

#include "engine/error.h"

namespace fettle {
namespace {

// Ways along an edge, clockwise.
enum Way : uint8_t { right, down, left, up };

/// The edges of a mask that are not followed yet. From each corner of pixels they lead such that
/// the mask is on their right hand.
class Edges {
 public:
  explicit Edges(const Mask& mask);
  bool takes(int64_t y, int64_t x, Way way) const { return ways_[at(y, x)] >> way & 1; }
  /// The closed line that begins with the edge to the right of a corner; its edges are gone then.
  std::string follow(int64_t y, int64_t x);

 private:
  size_t at(int64_t y, int64_t x) const { return static_cast<size_t>(y * width_ + x); }
  void add(int64_t y, int64_t x, Way way) { ways_[at(y, x)] |= static_cast<uint8_t>(1 << way); }

  int64_t width_;              // corners of a row
  std::vector<uint8_t> ways_;  // of each corner, a bit each
};

Edges::Edges(const Mask& mask)
    : width_(mask.width + 1), ways_(static_cast<size_t>((mask.height + 1) * (mask.width + 1))) {
  const auto is_set = [&](int64_t y, int64_t x) {
    return y >= 0 && x >= 0 && y < mask.height && x < mask.width && mask.at(y, x) != 0;
  };
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (!is_set(y, x)) continue;
      if (!is_set(y - 1, x)) add(y, x, right);
      if (!is_set(y, x + 1)) add(y, x + 1, down);
      if (!is_set(y + 1, x)) add(y + 1, x + 1, left);
      if (!is_set(y, x - 1)) add(y + 1, x, up);
    }
  }
}

std::string Edges::follow(int64_t y, int64_t x) {
  constexpr std::array<std::pair<int, int>, 4> steps{{{0, 1}, {1, 0}, {0, -1}, {-1, 0}}};
  const std::pair begin{y, x};
  std::string path = cat("M", x, ",", y);
  Way way = right;
  int64_t length = 0;
  const auto end_line = [&] {
    path +=
        cat(way == left || way == right ? "h" : "v", way == left || way == up ? "-" : "", length);
    length = 0;
  };
  for (;;) {
    ways_[at(y, x)] &= static_cast<uint8_t>(~(1 << way));
    ++length;
    y += steps[way].first;
    x += steps[way].second;
    if (takes(y, x, way)) continue;
    end_line();
    // Where two pixels touch at a corner, the line turns right and stays with its own pixel.
    const auto turn = [&](int by) { return static_cast<Way>((way + by) % 4); };
    const bool to_the_right = takes(y, x, turn(1));
    if (!to_the_right && std::pair(y, x) == begin) return path + "z";
    way = to_the_right ? turn(1) : turn(3);
  }
}

}  // namespace

Mask shrunk(const Mask& mask, int64_t height, int64_t width) {
  require(height > 0 && width > 0 && height <= mask.height && width <= mask.width, "a mask of ",
          mask.height, "x", mask.width, " cannot be shrunk to ", height, "x", width);
  Mask small(height, width);
  for (int64_t y = 0; y < mask.height; ++y)
    for (int64_t x = 0; x < mask.width; ++x)
      if (mask.at(y, x)) small.at(y * height / mask.height, x * width / mask.width) = 1;
  return small;
}

std::string outline_path(const Mask& mask) {
  Edges edges(mask);
  std::string path;
  // Every closed line has an edge to the right: the top of its region, or the bottom of a hole.
  for (int64_t y = 0; y <= mask.height; ++y)
    for (int64_t x = 0; x < mask.width; ++x)
      if (edges.takes(y, x, right)) path += edges.follow(y, x);
  return path;
}

}  // namespace fettle
