#include "io/steel_picture.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "engine/error.h"
#include "io/drawing_noise.h"

namespace fettle {
namespace {

using namespace drawing;

// Lengths are given in units of 1/256 of the height: pixels of Severstal's pictures.
constexpr float sheet_height = 256;

// Where in the sequence of a key the draws for each part of the picture begin. They are apart, so
// that a defect changes nothing but itself.
constexpr uint64_t sequence(uint64_t part) {
  return part << 32;
}
constexpr uint64_t draws_of_sheet = sequence(0), draws_of_grain = sequence(1),
                   draws_of_layout = sequence(2);
constexpr uint64_t draws_of_kind(int kind) {
  return sequence(3 + static_cast<uint64_t>(kind));
}

// A number for each pixel.
struct Plane {
  int height, width;
  std::vector<float> values;

  Plane(int rows, int columns, float value = 0)
      : height(rows), width(columns), values(size_t{1} * rows * columns, value) {}
  float* row(int y) { return &values[size_t{1} * y * width]; }
  const float* row(int y) const { return &values[size_t{1} * y * width]; }
  float scale() const { return static_cast<float>(height) / sheet_height; }
  Point place(int x, int y) const {
    return {(static_cast<float>(x) + 0.5f) / scale(), (static_cast<float>(y) + 0.5f) / scale()};
  }
  // The first pixel of `count` whose centre is not left of (above) the place.
  int pixel(float place, int count) const {
    return std::clamp(static_cast<int>(std::ceil(place * scale() - 0.5f)), 0, count);
  }
};

// Calls change(place, value) for the pixels of a box.
template <class Change>
void paint(Plane& plane, Point centre, Point reach, const Change& change) {
  const Point low = centre - reach, high = centre + reach;
  const int right = plane.pixel(high.x, plane.width), bottom = plane.pixel(high.y, plane.height);
  for (int y = plane.pixel(low.y, plane.height); y < bottom; ++y)
    for (int x = plane.pixel(low.x, plane.width); x < right; ++x)
      change(plane.place(x, y), plane.row(y)[x]);
}

// Adds value noise from -strength to strength with features of cell.x by cell.y. Interpolates line
// by line, which for a whole sheet is many times faster than Noise.
void add_noise(Plane& plane, Dice& dice, Point cell, float strength) {
  const float across = std::max(1.0f, cell.x * plane.scale()),
              down = std::max(1.0f, cell.y * plane.scale());
  Plane lattice(static_cast<int>(static_cast<float>(plane.height) / down) + 2,
                static_cast<int>(static_cast<float>(plane.width) / across) + 2);
  for (float& value : lattice.values) value = dice.between(-strength, strength);
  const auto cell_and_share = [](int pixel, float size) {
    const float at = static_cast<float>(pixel) / size, whole = std::floor(at);
    return std::pair{static_cast<int>(whole), smooth_step(0, 1, at - whole)};
  };
  std::vector<std::pair<int, float>> columns;
  for (int x = 0; x < plane.width; ++x) columns.push_back(cell_and_share(x, across));
  std::vector<float> line(lattice.width);
  for (int y = 0; y < plane.height; ++y) {
    const auto [j, t] = cell_and_share(y, down);
    for (int i = 0; i < lattice.width; ++i)
      line[i] = mix(lattice.row(j)[i], lattice.row(j + 1)[i], t);
    float* out = plane.row(y);
    for (int x = 0; x < plane.width; ++x) {
      const auto [i, s] = columns[x];
      out[x] += mix(line[i], line[i + 1], s);
    }
  }
}

// A line nearly along one axis, with tapering ends and ragged sides.
struct Stroke {
  bool upright = false;      // along y; otherwise along x
  float start = 0, run = 0;  // along the axis
  float middle = 0;          // across it, halfway along
  float slope = 0, wobble = 0;
  float half_width = 0;
  float variety = 0;  // which part of the noise makes it ragged
};

// Calls change(value, along, off) for the pixels of a stroke: how far along it, and how far off its
// middle line in units of its half width there.
template <class Change>
void paint(Plane& plane, const Noise& noise, const Stroke& stroke, const Change& change) {
  const int length = stroke.upright ? plane.height : plane.width;
  const int breadth = stroke.upright ? plane.width : plane.height;
  const int end = plane.pixel(stroke.start + stroke.run, length);
  for (int i = plane.pixel(stroke.start, length); i < end; ++i) {
    const float along = plane.place(i, i).x - stroke.start, to_end = stroke.run - along;
    const float bend = 2 * noise.fractal({along / 40, stroke.variety}, 3) - 1;
    const float middle = stroke.middle + stroke.slope * (along - to_end) / 2 + stroke.wobble * bend;
    const float taper = std::sqrt(std::clamp(7 * std::min(along, to_end) / stroke.run, 0.0f, 1.0f));
    const auto half = [&](float side) {
      return stroke.half_width * taper *
             mix(0.55f, 1.35f, noise.fractal({along / 12, stroke.variety + side}, 3));
    };
    const float before = half(5), after = half(9);
    const int last = plane.pixel(middle + after, breadth);
    for (int j = plane.pixel(middle - before, breadth); j < last; ++j) {
      const float off = plane.place(j, j).x - middle;
      float& value = stroke.upright ? plane.row(i)[j] : plane.row(j)[i];
      change(value, along, off < 0 ? -off / before : off / after);
    }
  }
}

// 1 well inside an edge, 0 from the edge on.
float inside(float off, float softness) {
  return 1 - smooth_step(1 - softness, 1, off);
}

// Of two defects at one place the stronger shows.
void overlay(float& value, float change) {
  if (std::abs(change) > std::abs(value)) value = change;
}

// The part of the sheet's width that belongs to one kind.
struct Stretch {
  float left, right;
  float width() const { return right - left; }
  // The longest part of `wanted` that fits between margins.
  float fit(float wanted, float margins) const {
    return std::min(wanted, std::max(1.0f, width() - margins));
  }
  // A place for the middle of something that reaches so far to both sides.
  float place(Dice& dice, float reach) const {
    const float slack = std::max(0.0f, width() / 2 - reach);
    return (left + right) / 2 + dice.between(-slack, slack);
  }
};

// The defects below change how much light the steel reflects, of 1, by at least a quarter where
// they are.

// Clusters of small pits in a ground that corrosion has dulled.
void pits(Plane& change, const Noise& noise, Dice& dice, const Stretch& stretch) {
  struct Pit {
    Point centre;
    float radius, depth;
  };
  constexpr float halo = 2.7f, largest = 5.2f;
  for (int clusters = 1 + dice.below(3); clusters > 0; --clusters) {
    const Point reach{stretch.fit(dice.between(40, 120), 2 * halo * largest) / 2,
                      dice.between(14, 36)};
    const Point box = reach + Point{halo * largest, halo * largest};
    const Point centre{stretch.place(dice, box.x), dice.between(30, sheet_height - 30)};
    std::vector<Pit> pits(10 + dice.below(16));
    for (Pit& pit : pits) {
      const float out = dice.between(0, 1);  // denser in the middle
      const Point way = direction(dice.between(0, 2 * std::numbers::pi_v<float>));
      pit = {centre + out * Point{way.x * reach.x, way.y * reach.y}, dice.between(2, largest),
             dice.between(0.42f, 0.65f)};
    }
    paint(change, centre, box, [&](Point p, float& value) {
      const float uneven = noise.fractal(0.13f * p, 2);
      float dull = 0, depth = 0;
      for (const Pit& pit : pits) {
        const Point d = p - pit.centre;
        const float off = dot(d, d) / (pit.radius * pit.radius);
        if (off >= halo * halo) continue;
        const float near = 1 - off / (halo * halo);
        dull += near * near;
        depth = std::max(depth, pit.depth * inside(std::sqrt(off) * mix(0.5f, 1.3f, uneven), 0.5f));
      }
      if (dull == 0) return;
      const float ground = mix(0.25f, 0.38f, noise.at(0.4f * p)) *
                           smooth_step(0.3f, 0.42f, dull * mix(0.4f, 1.6f, uneven));
      overlay(value, -std::max(ground, depth));
    });
  }
}

// Few upright cracks: dark in the middle, less so at their flanks.
void cracks(Plane& change, const Noise& noise, Dice& dice, const Stretch& stretch) {
  for (int cracks = 1 + dice.below(3); cracks > 0; --cracks) {
    Stroke stroke{.upright = true, .run = dice.between(60, 160)};
    stroke.start = dice.between(0, sheet_height - stroke.run);
    stroke.slope = dice.between(-0.08f, 0.08f);
    stroke.wobble = dice.between(1, 5);
    stroke.half_width = dice.between(5, 8);
    stroke.variety = dice.between(0, 50);
    stroke.middle = stretch.place(dice, 22);
    const float depth = dice.between(0.5f, 0.7f);
    paint(change, noise, stroke, [&](float& value, float, float off) {
      overlay(value, -std::max(0.3f * inside(off, 0.2f), depth * inside(1.7f * off, 0.5f)));
    });
  }
}

// Bundles of scratches, light or dark: a few apart, or many that run together to a scuff.
void scratches(Plane& change, const Noise& noise, Dice& dice, const Stretch& stretch) {
  for (int bundles = 1 + dice.below(3); bundles > 0; --bundles) {
    const float longest = stretch.fit(70 * std::pow(10.0f, dice.between(0, 1)), 4);
    const Point centre{stretch.place(dice, longest / 2), dice.between(30, sheet_height - 30)};
    const float sign = dice.chance(0.5f) ? 1.0f : -1.0f;
    const float slope = dice.between(-0.07f, 0.07f);
    const bool scuff = dice.chance(0.5f);
    const float spread = scuff ? dice.between(6, 16) : 26;
    const int count = scuff ? 10 + dice.below(12) : 1 + dice.below(4);
    for (int scratch = 0; scratch < count; ++scratch) {
      Stroke stroke{.run = scratch == 0 ? longest : longest * dice.between(0.3f, 1)};
      const float slack = (longest - stroke.run) / 2, strength = dice.between(0.36f, 0.55f);
      stroke.start = centre.x - stroke.run / 2 + dice.between(-slack, slack);
      stroke.middle = centre.y + (scratch == 0 ? 0 : dice.between(-spread, spread));
      stroke.slope = slope + dice.between(-0.01f, 0.01f);
      stroke.wobble = dice.between(0, 6);
      stroke.half_width = scuff ? dice.between(1.6f, 3.2f) : dice.between(2.8f, 4.8f);
      stroke.variety = dice.between(0, 50);
      paint(change, noise, stroke, [&](float& value, float along, float off) {
        const float pressed = noise.fractal({along / 20, stroke.variety + 13}, 2);
        overlay(value, sign * inside(off, 0.4f) * mix(0.25f, strength, pressed));
      });
    }
  }
}

// Large irregular patches on which the surface is rough with scale.
void scale_patches(Plane& change, const Noise& noise, Dice& dice, const Stretch& stretch) {
  for (int patches = 1 + dice.below(2); patches > 0; --patches) {
    const Point reach{stretch.fit(dice.between(110, 420), 4) / 2, dice.between(45, 110)};
    const Point centre{stretch.place(dice, reach.x), dice.between(50, sheet_height - 50)};
    const Point variety{dice.between(0, 50), dice.between(0, 50)};
    const float sign = dice.chance(0.3f) ? 1.0f : -1.0f;
    const float strength = dice.between(0.42f, 0.6f);
    paint(change, centre, reach, [&](Point p, float& value) {
      const Point d{(p.x - centre.x) / reach.x, (p.y - centre.y) / reach.y};
      const float off = length(d);
      if (off >= 1) return;
      const float ragged = off + 0.75f * (noise.fractal(0.025f * p + variety, 5) - 0.2f);
      const float share = 1 - smooth_step(0.97f, 1, ragged);
      if (share == 0) return;
      const Point flakes{p.x / 12, p.y / 7};
      const float rough = smooth_step(0.3f, 0.75f, noise.fractal(flakes + variety, 4));
      overlay(value, sign * share * mix(0.25f, strength, rough));
    });
  }
}

using DefectPainter = void (*)(Plane&, const Noise&, Dice&, const Stretch&);
constexpr std::array<DefectPainter, steel_kinds> defect_painters = {pits, cracks, scratches,
                                                                    scale_patches};

// The sheet without defects, and the light on it.
class Sheet {
 public:
  Sheet(RandomKey key, int height, int width)
      : dice_(key, draws_of_sheet),
        noise_(dice_),
        steel_{0, static_cast<float>(width) / static_cast<float>(height) * sheet_height},
        reflected_(height, width, 1),
        light_(height, width) {
    lay_border();
    brush();
    roll();
    soil();
    shine();
  }

  const Noise& noise() const { return noise_; }
  // The part of the width that is all steel.
  const Stretch& steel() const { return steel_; }
  // In grey levels; 0 where there is no steel.
  const Plane& light() const { return light_; }
  const Plane& reflected() const { return reflected_; }
  float darkness() const { return darkness_; }
  float grain() const { return grain_; }

 private:
  // On some sheets the picture shows the end of the steel and darkness beyond.
  void lay_border() {
    if (!dice_.chance(0.35f)) return;
    const float size = dice_.between(0.03f, 0.25f) * steel_.width();
    (dice_.chance(0.5f) ? left_ : right_) = size;
    slant_ = dice_.between(-0.03f, 0.03f);
  }

  // Fine lines along the sheet, fainter ones across it, and blotches.
  void brush() {
    const float strength = dice_.between(0.6f, 1.3f);
    add_noise(reflected_, dice_, {110, 1.3f}, 0.050f * strength);
    add_noise(reflected_, dice_, {24, 3.5f}, 0.030f * strength);
    add_noise(reflected_, dice_, {1.6f, 45}, 0.030f * strength);
    add_noise(reflected_, dice_, {70, 50}, 0.050f * strength);
    for (int lines = dice_.below(7); lines > 0; --lines) {
      const Stroke line{.start = -10,
                        .run = steel_.right + 20,
                        .middle = dice_.between(0, sheet_height),
                        .slope = dice_.between(-0.003f, 0.003f),
                        .half_width = dice_.between(0.8f, 2),
                        .variety = dice_.between(0, 50)};
      const float change = dice_.either_sign(0.04f, 0.11f);
      paint(reflected_, noise_, line, [&](float& value, float, float) { value += change; });
    }
  }

  // Marks that a roller leaves at each turn, from edge to edge.
  void roll() {
    if (!dice_.chance(0.6f)) return;
    const float period = dice_.between(90, 280), phase = dice_.between(0, period);
    const float width = dice_.between(2, 14), strength = dice_.either_sign(0.04f, 0.12f);
    std::vector<float> marks(reflected_.width);
    for (int x = 0; x < reflected_.width; ++x) {
      const float turns = (reflected_.place(x, 0).x - phase) / period;
      const float off = period * (turns - std::round(turns)) / width;
      marks[x] = strength * std::exp(-off * off);
    }
    for (int y = 0; y < reflected_.height; ++y)
      for (int x = 0; x < reflected_.width; ++x) reflected_.row(y)[x] += marks[x];
  }

  // Stains with soft edges and single specks, as dark or light as defects are.
  void soil() {
    for (int stains = dice_.below(4); stains > 0; --stains) {
      const Point reach{dice_.between(30, 170), dice_.between(20, 90)};
      const Point centre{dice_.between(0, steel_.right), dice_.between(0, sheet_height)};
      const float change = dice_.either_sign(0.1f, 0.28f);
      paint(reflected_, centre, reach, [&](Point p, float& value) {
        const Point d{(p.x - centre.x) / reach.x, (p.y - centre.y) / reach.y};
        const float off = dot(d, d);
        if (off < 1)
          value += change * (1 - smooth_step(0.1f, 1, off + 0.4f * noise_.at(0.02f * p)));
      });
    }
    for (int specks = 4 + dice_.below(30); specks > 0; --specks) {
      const float radius = dice_.between(1, 2.8f), change = dice_.either_sign(0.15f, 0.45f);
      const Point centre{dice_.between(0, steel_.right), dice_.between(0, sheet_height)};
      paint(reflected_, centre, {radius, radius}, [&](Point p, float& value) {
        value += change * inside(length(p - centre) / radius, 0.6f);
      });
    }
  }

  // The lamps: bright in one place and falling off slowly.
  void shine() {
    const float mean = dice_.between(80, 145), fall = dice_.between(-0.2f, 0.2f),
                bend = dice_.between(-0.2f, 0.1f), down = dice_.between(-0.08f, 0.08f);
    darkness_ = dice_.between(4, 16);
    grain_ = dice_.between(1.8f, 3.6f);
    for (int y = 0; y < light_.height; ++y) {
      for (int x = 0; x < light_.width; ++x) {
        const Point p = light_.place(x, y);
        const float across = 2 * p.x / steel_.right - 1, depth = 2 * p.y / sheet_height - 1;
        light_.row(y)[x] = mean * (1 + across * (fall + bend * across) + down * depth);
      }
    }
    end_steel();
  }

  void end_steel() {
    const float whole = steel_.right, tilt = std::abs(slant_) * sheet_height;
    for (int y = 0; y < light_.height && left_ + right_ > 0; ++y) {
      for (int x = 0; x < light_.width; ++x) {
        const Point p = light_.place(x, y);
        const float shift = slant_ * p.y;
        const float from_left = left_ > 0 ? p.x - left_ - shift : 1e9f;
        const float from_right = right_ > 0 ? whole - p.x - right_ - shift : 1e9f;
        light_.row(y)[x] *= smooth_step(0, 5, std::min(from_left, from_right));
      }
    }
    if (left_ > 0) steel_.left = left_ + tilt + 5;
    if (right_ > 0) steel_.right = whole - right_ - tilt - 5;
  }

  Dice dice_;
  Noise noise_;
  Stretch steel_;
  float left_ = 0, right_ = 0, slant_ = 0;  // widths of the borders, and how they lean
  Plane reflected_, light_;
  float darkness_ = 0, grain_ = 0;
};

// Cuts the sheet's width into one stretch for each kind that it has, in random order.
std::vector<std::pair<int, Stretch>> lay_out(Dice dice, const Stretch& steel,
                                             const std::array<bool, steel_kinds>& kinds) {
  std::vector<std::pair<int, Stretch>> layout;
  for (int kind = 0; kind < steel_kinds; ++kind)
    if (kinds[kind]) layout.insert(layout.begin() + dice.below(std::ssize(layout) + 1), {kind, {}});
  const auto count = static_cast<float>(layout.size());
  float left = steel.left, share = 0;
  for (auto& [kind, stretch] : layout) {
    share += 1;
    const float shift = share < count ? dice.between(-0.15f, 0.15f) : 0.0f;
    const float right = mix(steel.left, steel.right, (share + shift) / count);
    stretch = {left, right};
    left = right;
  }
  return layout;
}

// The camera's noise in four pixels, nearly Gaussian: sums of the four bytes of a random word.
std::array<float, 4> grain_of(RandomKey key, size_t first_pixel, float deviation) {
  const float scale = deviation / std::sqrt(4 * (256.0f * 256.0f - 1) / 12);
  const Philox4 words = philox4x32(key, (draws_of_grain + first_pixel) / 4);
  std::array<float, 4> grain;
  for (size_t i = 0; i < grain.size(); ++i) {
    const uint32_t word = words.v[i];
    const uint32_t sum = (word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24);
    grain[i] = scale * (static_cast<float>(sum) - 510);
  }
  return grain;
}

// What the camera sees.
Picture photograph(RandomKey key, const Sheet& sheet, const Plane& change) {
  const std::vector<float>&light = sheet.light().values, &reflected = sheet.reflected().values;
  Picture picture{change.height, change.width, 1, std::vector<uint8_t>(light.size())};
  std::array<float, 4> grain{};
  for (size_t i = 0; i < light.size(); ++i) {
    if (i % grain.size() == 0) grain = grain_of(key, i, sheet.grain());
    const float grey = sheet.darkness() + light[i] * (reflected[i] + change.values[i]);
    picture.pixels[i] =
        static_cast<uint8_t>(std::clamp(grey + grain[i % grain.size()], 0.0f, 255.0f) + 0.5f);
  }
  return picture;
}

}  // namespace

void check_steel_size(int64_t height, int64_t width) {
  require(
      height >= 32 && width >= height && width <= 8192,
      "a sheet of steel must be at least 32 pixels high, no less wide than high and at most 8192 "
      "wide, not ",
      height, "x", width);
}

SteelPicture draw_steel(RandomKey key, int height, int width,
                        const std::array<bool, steel_kinds>& kinds) {
  check_steel_size(height, width);
  const Sheet sheet(key, height, width);
  Plane change(height, width);  // of the reflected light, by defects
  SteelPicture steel;
  steel.masks.fill(Mask(height, width));
  for (const auto& [kind, stretch] : lay_out(Dice(key, draws_of_layout), sheet.steel(), kinds)) {
    Dice dice(key, draws_of_kind(kind));
    defect_painters[kind](change, sheet.noise(), dice, stretch);
    const int right = change.pixel(stretch.right, width);
    for (int y = 0; y < height; ++y)
      for (int x = change.pixel(stretch.left, width); x < right; ++x)
        steel.masks[kind].at(y, x) =
            std::abs(sheet.light().row(y)[x] * change.row(y)[x]) >= steel_visible_change;
  }
  steel.picture = photograph(key, sheet, change);
  return steel;
}

}  // namespace fettle
