#include "io/tyre_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "io/drawing_noise.h"

namespace fettle {
namespace {

// Positions in the picture run from -0.5 to 0.5.
using namespace drawing;
using drawing::mix;  // beside that of colours

constexpr float pi = std::numbers::pi_v<float>;

float fraction(float value) {
  return value - std::floor(value);
}
// The distance to the nearest multiple of the period.
float to_multiple(float value, float period) {
  return std::abs(value - period * std::round(value / period));
}

// The tyre at one point of the picture.
struct Sample {
  float height = 1;  // 0 the bottom of a groove, 1 the top of a block
  float lift = 0;    // how far the tread as a whole is pressed out
  float albedo = 1;  // of what the rubber is
  float dust = 0;    // share of dust on it
  float metal = 0;   // share of bare metal
  float gloss = 0.15f;
};

// 0 within half_width of a groove's middle, 1 outside.
float groove(float distance, float half_width) {
  return smooth_step(0.7f * half_width, 1.3f * half_width, distance);
}

// The pattern of blocks and grooves. u runs across the tread from -1 to 1, v along it.
class Tread {
 public:
  explicit Tread(Dice& dice)
      : style_(dice.below(4)),
        ribs_(static_cast<float>(4 + dice.below(3))),
        pitch_(dice.between(0.34f, 0.52f)),
        slope_(dice.either_sign(0.25f, 0.6f)),
        width_(dice.between(0.035f, 0.055f)),
        phase_(dice.between(0, 1)),
        sipes_(dice.chance(0.75f) ? 0.45f : 0.0f) {}

  float height(float u, float v) const {
    v += phase_;
    switch (style_) {
      case 0:
        return zigzag_ribs(u, v);
      case 1:
        return staggered_blocks(u, v);
      case 2:
        return chevrons(u, v);
      default:
        return lugs(u, v);
    }
  }

 private:
  // Thin cuts in the rubber that every road tyre has; they do not go all the way down.
  float sipes(float distance) const { return 1 - sipes_ * (1 - groove(distance, 0.011f)); }

  float zigzag_ribs(float u, float v) const {
    const float wave = 0.12f * (std::abs(fraction(v / pitch_) - 0.5f) - 0.25f);
    const float across = (u + wave + 1) * ribs_ / 2;
    const float along = to_multiple(v + 0.2f * slope_ * fraction(across), pitch_ / 3);
    return groove(to_multiple(across, 1) * 2 / ribs_, width_) * sipes(along);
  }

  float staggered_blocks(float u, float v) const {
    const float across = (u + 1) * ribs_ / 2, rib = std::floor(across);
    const float along = v + 0.37f * rib * pitch_ + 0.3f * slope_ * (across - rib);
    const bool centre = std::abs(rib - (ribs_ - 1) / 2) < 0.6f;
    const float blocks = groove(to_multiple(along, pitch_), centre ? 0.5f * width_ : width_);
    return std::min(groove(to_multiple(across, 1) * 2 / ribs_, width_), blocks) *
           sipes(to_multiple(along + pitch_ / 6, pitch_ / 3));
  }

  float chevrons(float u, float v) const {
    const float along = v + 1.3f * slope_ * std::abs(u);
    const float side = smooth_step(0.12f, 0.2f, std::abs(u));
    const float diagonal = mix(1, groove(to_multiple(along, 0.6f * pitch_), 0.9f * width_), side);
    const float rings = std::min(groove(std::abs(std::abs(u) - 0.14f), 0.7f * width_),
                                 groove(std::abs(std::abs(u) - 0.62f), width_));
    return std::min(diagonal, rings) * sipes(to_multiple(along + 0.2f * pitch_, 0.2f * pitch_));
  }

  float lugs(float u, float v) const {
    const float along = v + slope_ * std::abs(u) + (u > 0 ? pitch_ / 2 : 0);
    const float shoulder = groove(to_multiple(along, pitch_), 2.4f * width_);
    const float waist = groove(std::abs(std::abs(u) - 0.38f - 0.06f * std::sin(9 * v)), width_);
    const float centre = groove(to_multiple(v - 0.8f * slope_ * u, 0.7f * pitch_), 1.5f * width_);
    return std::min(waist, std::abs(u) > 0.38f ? shoulder : centre);
  }

  int style_;
  float ribs_, pitch_, slope_, width_, phase_, sipes_;
};

// What a defect does to the tyre: where a point of the picture shows what used to be elsewhere,
// and how the surface changes there.
struct DefectShape {
  const char* kind = "";
  Point low = {}, high = {};  // the box around it
  std::function<Point(Point)> warp = [](Point p) { return p; };
  std::function<void(Point, Sample&)> change = [](Point, Sample&) {};
};

void surround(DefectShape& shape, Point centre, float radius) {
  shape.low = centre - Point{radius, radius};
  shape.high = centre + Point{radius, radius};
}

// A line that tapers from its first to its last point.
struct Line {
  std::vector<Point> points;
  float thickness;

  // The distance of p from the line in units of the line's half thickness there.
  float distance(Point p) const {
    float nearest = 1e9f;
    for (size_t i = 0; i + 1 < points.size(); ++i) {
      const Point step = points[i + 1] - points[i];
      const float t = std::clamp(dot(p - points[i], step) / dot(step, step), 0.0f, 1.0f);
      const float along = (static_cast<float>(i) + t) / static_cast<float>(points.size() - 1);
      const float half = thickness * (1 - 0.65f * along);
      nearest = std::min(nearest, length(p - points[i] - t * step) / half);
    }
    return nearest;
  }
};

Line wander(Dice& dice, Point start, float angle, float total, float thickness) {
  constexpr int steps = 14;
  Line line{{start}, thickness};
  for (int i = 0; i < steps; ++i) {
    angle += dice.between(-0.55f, 0.55f);
    line.points.push_back(line.points.back() + total / steps * direction(angle));
  }
  return line;
}

// A dark line that branches, torn open across blocks and grooves alike.
DefectShape crack(Dice& dice, const Noise&, Point centre) {
  const float angle = dice.between(0, 2 * pi), total = dice.between(0.42f, 0.62f);
  const Point start = centre - total / 2 * direction(angle);
  std::vector<Line> lines = {wander(dice, start, angle, total, dice.between(0.009f, 0.013f))};
  const int branches = 2 + dice.below(3);
  for (int i = 0; i < branches; ++i) {
    const Point fork = lines[0].points[3 + dice.below(8)];
    const float turn = dice.either_sign(0.5f, 1.1f);
    lines.push_back(wander(dice, fork, angle + turn, dice.between(0.12f, 0.25f), 0.007f));
  }
  DefectShape shape{.kind = "crack", .low = start, .high = start};
  for (const Line& line : lines) {
    for (Point p : line.points) {
      shape.low = {std::min(shape.low.x, p.x), std::min(shape.low.y, p.y)};
      shape.high = {std::max(shape.high.x, p.x), std::max(shape.high.y, p.y)};
    }
  }
  shape.change = [lines](Point p, Sample& s) {
    float nearest = 1e9f;
    for (const Line& line : lines) nearest = std::min(nearest, line.distance(p));
    const float open = 1 - smooth_step(0.6f, 1.3f, nearest);
    const float lip = std::exp(-(nearest - 2) * (nearest - 2));  // raised, paler edges
    s.height = mix(s.height, -0.8f, open) + 0.15f * lip;
    s.albedo *= (1 - 0.75f * open) * (1 + 0.5f * lip);
  };
  return shape;
}

// A gash by something sharp: nearly straight, wide in the middle, with pale inner rubber.
DefectShape cut(Dice& dice, const Noise& noise, Point centre) {
  const float half = dice.between(0.16f, 0.24f), width = dice.between(0.022f, 0.034f);
  const Point along = direction(dice.between(0, pi)), across{-along.y, along.x};
  const float bend = dice.between(-0.6f, 0.6f);
  DefectShape shape{.kind = "cut"};
  const Point reach{half * std::abs(along.x) + 1.5f * width,
                    half * std::abs(along.y) + 1.5f * width};
  shape.low = centre - reach;
  shape.high = centre + reach;
  shape.change = [=, &noise](Point p, Sample& s) {
    const float a = dot(p - centre, along) / half;
    if (std::abs(a) >= 1) return;
    const float lens = width * std::sqrt(1 - a * a) * (0.7f + 0.6f * noise.at(50 * p));
    const float b = std::abs(dot(p - centre, across) - bend * half * (a * a - 0.5f) * 0.3f);
    const float open = 1 - smooth_step(0.75f * lens, 1.05f * lens, b);
    const float lip = std::exp(-std::pow((b - 1.3f * lens) / (0.3f * width), 2.0f));
    s.height = mix(s.height, -1.1f, open) + 0.5f * lip;
    s.albedo = mix(s.albedo, 0.22f, open) + 0.55f * lip;
    s.dust *= 1 - open;
  };
  return shape;
}

// A blister: the carcass has broken and air presses the tread out.
DefectShape bulge(Dice& dice, const Noise&, Point centre) {
  const float radius = dice.between(0.19f, 0.26f), lift = dice.between(6, 8);
  DefectShape shape{.kind = "bulge"};
  surround(shape, centre, radius);
  const auto inside = [=](Point p) { return 1 - smooth_step(0, 1, length(p - centre) / radius); };
  shape.warp = [=](Point p) { return centre + (1 - 0.45f * inside(p)) * (p - centre); };
  shape.change = [=](Point p, Sample& s) {
    const float share = inside(p);
    s.height = mix(s.height, 0.4f + 0.6f * s.height, share);  // stretched: grooves are shallow
    s.lift = lift * share;
    s.gloss += 0.1f * share;
  };
  return shape;
}

// A piece of the tread torn off: a ragged hollow with rough, paler rubber at its bottom.
DefectShape chunk(Dice& dice, const Noise& noise, Point centre) {
  const float radius = dice.between(0.13f, 0.2f), offset = dice.between(0, 50);
  DefectShape shape{.kind = "chunk"};
  surround(shape, centre, 1.1f * radius);
  shape.change = [=, &noise](Point p, Sample& s) {
    const Point d = p - centre;
    const float angle = std::atan2(d.y, d.x);
    const Point around{offset + 2.5f * std::cos(angle), offset + 2.5f * std::sin(angle)};
    const float edge = radius * (0.65f + 0.45f * noise.fractal(around, 3));
    const float torn = 1 - smooth_step(0.9f * edge, 1.04f * edge, length(d));
    const float rough = noise.fractal(38 * p, 3);
    s.height = mix(s.height, 1.8f * rough - 1.0f, torn);
    s.albedo = mix(s.albedo, 0.7f + 0.9f * rough, torn);
    s.dust = mix(s.dust, 0.35f, torn);
    s.gloss *= 1 - torn;
  };
  return shape;
}

// A bald patch: grooves and sipes are gone, scuffed along the tread, with cords showing through.
DefectShape worn(Dice& dice, const Noise& noise, Point centre) {
  const float wide = dice.between(0.15f, 0.21f), tall = dice.between(0.2f, 0.28f);
  const float offset = dice.between(0, 50);
  DefectShape shape{
      .kind = "worn", .low = centre - Point{wide, tall}, .high = centre + Point{wide, tall}};
  shape.change = [=, &noise](Point p, Sample& s) {
    const Point d{(p.x - centre.x) / wide, (p.y - centre.y) / tall};
    const float ragged = length(d) + 0.3f * (noise.fractal(7 * p, 2) - 0.5f);
    const float bald = 1 - smooth_step(0.75f, 0.95f, ragged);
    const float cords = 1 - smooth_step(0.25f, 0.5f, ragged);
    const float scuff = noise.fractal({90 * p.x + offset, 5 * p.y}, 2);
    const float weave = std::abs(std::sin(110 * (p.x + p.y)) * std::sin(110 * (p.x - p.y)));
    s.height = mix(s.height, 0.9f + 0.12f * scuff + 0.25f * cords * weave, bald);
    s.albedo = mix(s.albedo, 0.75f + 0.6f * scuff + 0.8f * cords * weave, bald);
    s.gloss += 0.2f * bald;
  };
  return shape;
}

// The head of a nail or screw that sits in the tread, and its shadow.
DefectShape nail(Dice& dice, const Noise&, Point centre) {
  const float radius = dice.between(0.035f, 0.052f), rust = dice.between(0, 0.4f);
  const Point slot = direction(dice.between(0, pi)), shadow = direction(dice.between(0, 2 * pi));
  const bool screw = dice.chance(0.5f);
  DefectShape shape{.kind = "nail"};
  surround(shape, centre, 1.2f * radius);
  shape.change = [=](Point p, Sample& s) {
    const float r = length(p - centre) / radius;
    const float shade =
        1 - smooth_step(0.8f, 1.5f, length(p - centre - 0.4f * radius * shadow) / radius);
    const float head = 1 - smooth_step(0.92f, 1.05f, r);
    const bool cross = std::abs(dot(p - centre, slot)) < 0.16f * radius ||
                       std::abs(dot(p - centre, {-slot.y, slot.x})) < 0.16f * radius;
    const float notch = screw && cross && r < 0.7f ? 0.75f : 0.0f;
    s.albedo *= 1 - 0.7f * shade;
    s.height =
        mix(s.height, 1.2f + 0.5f * std::sqrt(std::max(0.0f, 1 - 0.8f * r * r)) - notch, head);
    s.metal = head * (1 - rust) * (1 - notch);
    s.albedo = mix(s.albedo, 1.2f * (1 - notch), head);
    s.dust = mix(s.dust, rust, head);
    s.gloss = mix(s.gloss, 1.2f, head);
  };
  return shape;
}

// A colour of light or of a surface.
struct Colour {
  float r = 0, g = 0, b = 0;
};
Colour mix(const Colour& a, const Colour& b, float share) {
  return {mix(a.r, b.r, share), mix(a.g, b.g, share), mix(a.b, b.b, share)};
}

// How the tyre lies in the picture and under which light it was taken.
struct Scene {
  explicit Scene(Dice& dice)
      : turn(dice.between(-0.35f, 0.35f)),
        half_width(dice.between(0.36f, 0.52f)),
        shift(dice.between(-0.06f, 0.06f)),
        radius(dice.between(0.62f, 1.1f)),
        light(0.7f * direction(dice.between(0, 2 * pi))),
        exposure(dice.between(0.75f, 1.5f)),
        warmth(dice.between(-0.07f, 0.09f)),
        dirt(dice.between(0, 0.5f)),
        shadow_angle(dice.between(0, 2 * pi)),
        shadow_place(dice.between(-0.3f, 0.9f)),
        grain(dice.between(0.008f, 0.025f)),
        ground{dice.between(0.15f, 0.75f), dice.between(0.15f, 0.75f), dice.between(0.15f, 0.75f)} {
    const float grey = (ground.r + ground.g + ground.b) / 3;
    ground = mix({grey, grey, grey}, ground, 0.2f);
  }

  // From the picture to the tyre: x across in units of half_width, y along its curve.
  Point to_tyre(Point p) const {
    const float c = std::cos(turn), s = std::sin(turn);
    const Point q{c * p.x + s * p.y - shift, -s * p.x + c * p.y};
    return {q.x / half_width, radius * std::asin(std::clamp(q.y / radius, -1.0f, 1.0f)) / 0.4f};
  }

  float turn, half_width, shift, radius;
  Point light;
  float exposure, warmth, dirt, shadow_angle, shadow_place, grain;
  Colour ground;
};

using DefectMaker = DefectShape (*)(Dice&, const Noise&, Point);
constexpr std::array<DefectMaker, 6> defect_makers = {crack, cut, bulge, chunk, worn, nail};

class Drawing {
 public:
  Drawing(RandomKey key, int size, bool defective)
      : dice_(key), noise_(dice_), scene_(dice_), tread_(dice_), size_(size) {
    if (defective) {
      const Point centre{dice_.between(-0.2f, 0.2f), dice_.between(-0.24f, 0.24f)};
      const DefectMaker make = defect_makers[key.step % defect_makers.size()];
      defect_ = make(dice_, noise_, centre);
    }
  }

  Picture draw() {
    std::vector<Sample> samples(size_t{1} * size_ * size_);
    for (int y = 0; y < size_; ++y)
      for (int x = 0; x < size_; ++x) samples[index(x, y)] = sample(place(x, y));
    Picture picture{size_, size_, 3, {}};
    for (int y = 0; y < size_; ++y) {
      for (int x = 0; x < size_; ++x) {
        // Blocks are about as high as an eighth of the tread is wide.
        const float steepness = 0.03f * static_cast<float>(size_) / 2;
        const auto height = [&](int i, int j) {
          const Sample& s =
              samples[index(std::clamp(i, 0, size_ - 1), std::clamp(j, 0, size_ - 1))];
          return s.height + s.lift;
        };
        const Point slope{steepness * (height(x + 1, y) - height(x - 1, y)),
                          steepness * (height(x, y + 1) - height(x, y - 1))};
        put(picture, colour(place(x, y), samples[index(x, y)], slope));
      }
    }
    return picture;
  }

  const std::optional<DefectShape>& defect() const { return defect_; }

 private:
  size_t index(int x, int y) const { return size_t{1} * y * size_ + x; }
  Point place(int x, int y) const {
    const auto size = static_cast<float>(size_);
    return {(static_cast<float>(x) + 0.5f) / size - 0.5f,
            (static_cast<float>(y) + 0.5f) / size - 0.5f};
  }

  Sample sample(Point p) const {
    const Point t = scene_.to_tyre(defect_ ? defect_->warp(p) : p);
    const float out = std::abs(t.x);
    Sample s;
    s.height = tread_.height(t.x, t.y) * (1 - smooth_step(0.97f, 1.03f, out));
    s.height += 0.10f * (noise_.fractal(60 * p, 2) - 0.5f);
    s.albedo = 0.85f + 0.5f * (noise_.fractal(25 * p, 3) - 0.5f);
    s.dust = scene_.dirt * smooth_step(0.35f, 0.75f, noise_.fractal(4.5f * p + Point{7, 3}, 4));
    if (defect_ && out < 1.05f) defect_->change(p, s);
    return s;
  }

  // Lambert's diffuse and Blinn's specular reflection of one light, and darkness in the depth.
  Colour colour(Point p, const Sample& s, Point slope) {
    const Point t = scene_.to_tyre(p);
    const float out = std::abs(t.x);
    if (out > 1.16f) return developed(p, background(p, out));
    const float bend = 0.5f * t.x * t.x * t.x + (out > 1 ? 4 * (out - 1) * t.x : 0);
    const Point tilt = slope - Point{bend, 0.5f * p.y / scene_.radius};
    const float norm = 1 / std::sqrt(1 + dot(tilt, tilt)),
                light_norm = 1 / std::sqrt(1 + dot(scene_.light, scene_.light));
    const float facing = std::max(0.0f, (1 - dot(tilt, scene_.light)) * norm * light_norm);
    const float shine = std::pow(facing, 24.0f) * s.gloss;
    const float depth = 0.22f + 0.78f * smooth_step(-0.6f, 1, s.height);
    const float grey = 0.48f * s.albedo;
    Colour base = mix({grey, grey, 1.02f * grey}, {0.52f, 0.45f, 0.37f}, s.dust);
    base = mix(base, {0.85f, 0.84f, 0.8f}, s.metal);
    const float lit = (0.28f + 0.95f * facing) * depth;
    Colour c{base.r * lit + 0.5f * shine, base.g * lit + 0.5f * shine, base.b * lit + 0.5f * shine};
    if (out > 1.1f) c = mix(c, background(p, out), smooth_step(1.1f, 1.16f, out));
    return developed(p, c);
  }

  // The ground beside the tyre, darker where the tyre shades it.
  Colour background(Point p, float out) const {
    const float light = (0.7f + 0.5f * noise_.fractal(9 * p, 4)) * smooth_step(1.0f, 1.3f, out);
    return {scene_.ground.r * light, scene_.ground.g * light, scene_.ground.b * light};
  }

  // Exposure, a soft shadow over part of the picture, colour of the light, grain of the sensor.
  Colour developed(Point p, Colour c) {
    const float along = dot(p, direction(scene_.shadow_angle));
    const float shadow = 0.55f + 0.45f * smooth_step(-0.12f, 0.12f, scene_.shadow_place - along);
    const float gain = scene_.exposure * shadow * (1 - 0.5f * dot(p, p));
    const float grain = scene_.grain * 2 * (dice_.between(-1, 1) + dice_.between(-1, 1));
    return {c.r * gain * (1 + scene_.warmth) + grain, c.g * gain + grain,
            c.b * gain * (1 - scene_.warmth) + grain};
  }

  static void put(Picture& picture, const Colour& c) {
    for (float value : {c.r, c.g, c.b})
      picture.pixels.push_back(static_cast<uint8_t>(255 * std::clamp(value, 0.0f, 1.0f) + 0.5f));
  }

  Dice dice_;
  Noise noise_;
  Scene scene_;
  Tread tread_;
  int size_;
  std::optional<DefectShape> defect_;
};

// From positions to whole pixels inside the picture.
TyreDefect in_pixels(const DefectShape& shape, int size) {
  const auto pixel = [&](float position) {
    return std::clamp(static_cast<int>(std::floor((position + 0.5f) * static_cast<float>(size))), 0,
                      size - 1);
  };
  const int x = pixel(shape.low.x), y = pixel(shape.low.y);
  return {shape.kind, x, y, pixel(shape.high.x) - x + 1, pixel(shape.high.y) - y + 1};
}

}  // namespace

TyrePicture draw_tyre(RandomKey key, int size, bool defective) {
  Drawing drawing(key, 2 * size, defective);  // twice the size, so that edges come out smooth
  TyrePicture tyre{resize(drawing.draw(), size, size), std::nullopt};
  if (drawing.defect()) tyre.defect = in_pixels(*drawing.defect(), size);
  return tyre;
}

}  // namespace fettle
