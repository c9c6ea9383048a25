#include "io/overlay.h"

#include <stb_easy_font.h>

#include <algorithm>

#include "engine/error.h"

namespace fettle {
namespace {

constexpr Colour background{40, 44, 52}, bright{240, 240, 240}, dim{176, 176, 176};

// Lengths of the legend in pixels of the font, which are `scale` pixels of the canvas.
constexpr int64_t margin = 6, line_height = 14, swatch = 9, gap = 6, narrowest_room = 320;
constexpr int64_t names_x = margin + swatch + gap;

// Lengths as above.
struct Legend {
  struct Line {
    std::string name, note;
    Colour colour;
  };
  std::string title;
  std::vector<Line> lines;
  int64_t notes_x = 0, width = 0, height = 0;
};

uint8_t* pixel_at(Picture& picture, int64_t x, int64_t y) {
  return &picture.pixels[static_cast<size_t>((y * picture.width + x) * 3)];
}

void fill(Picture& canvas, int64_t x, int64_t y, int64_t width, int64_t height, Colour colour) {
  for (int64_t row = y; row < y + height; ++row) {
    for (int64_t column = x; column < x + width; ++column) {
      std::copy(colour.begin(), colour.end(), pixel_at(canvas, column, row));
    }
  }
}

void blend(Picture& canvas, const Mask& mask, Colour colour) {
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (!mask.at(y, x)) continue;
      uint8_t* pixel = pixel_at(canvas, x, y);
      for (size_t c = 0; c < 3; ++c) {
        pixel[c] = static_cast<uint8_t>((3 * pixel[c] + 2 * colour[c] + 2) / 5);
      }
    }
  }
}

void draw_contour(Picture& canvas, const Mask& mask, int64_t thickness, Colour colour) {
  const auto is_inner = [&](int64_t y, int64_t x) {
    return (y == 0 || mask.at(y - 1, x)) && (y + 1 == mask.height || mask.at(y + 1, x)) &&
           (x == 0 || mask.at(y, x - 1)) && (x + 1 == mask.width || mask.at(y, x + 1));
  };
  for (int64_t y = 0; y < mask.height; ++y) {
    for (int64_t x = 0; x < mask.width; ++x) {
      if (!mask.at(y, x) || is_inner(y, x)) continue;
      const int64_t bottom = std::min(y + thickness, mask.height - 1);
      const int64_t right = std::min(x + thickness, mask.width - 1);
      for (int64_t row = std::max(y - thickness, int64_t{0}); row <= bottom; ++row) {
        for (int64_t column = std::max(x - thickness, int64_t{0}); column <= right; ++column) {
          if (!mask.at(row, column)) fill(canvas, column, row, 1, 1, colour);
        }
      }
    }
  }
}

std::string printable(const std::string& text) {
  std::string ascii;
  for (const char c : text) {
    const bool continues = (static_cast<uint8_t>(c) & 0xc0) == 0x80;  // a character of UTF-8
    if (!continues) ascii += c >= ' ' && c <= '~' ? c : '?';
  }
  return ascii;
}

int64_t text_width(std::string text) {
  return stb_easy_font_width(text.data());
}

std::string shortened(std::string text, int64_t width) {
  if (text_width(text) <= width) return text;
  while (!text.empty() && text_width(text + "...") > width) text.pop_back();
  return text + "...";
}

void draw_text(Picture& canvas, std::string text, int64_t x, int64_t y, int64_t scale,
               Colour colour) {
  constexpr size_t floats = 16, most_rectangles = 16;  // of a rectangle; of a character
  std::vector<float> corners(text.size() * most_rectangles * floats);
  const int count = stb_easy_font_print(0, 0, text.data(), nullptr, corners.data(),
                                        static_cast<int>(corners.size() * sizeof(float)));
  for (int i = 0; i < count; ++i) {
    // Four corners of x, y, z and a colour; the first and the third lie opposite.
    const float* corner = corners.data() + static_cast<size_t>(i) * floats;
    const auto left = static_cast<int64_t>(corner[0]), top = static_cast<int64_t>(corner[1]);
    const auto right = static_cast<int64_t>(corner[8]), bottom = static_cast<int64_t>(corner[9]);
    fill(canvas, x + left * scale, y + top * scale, (right - left) * scale, (bottom - top) * scale,
         colour);
  }
}

// The legend's texts, shortened so that it is at most `room` wide.
Legend lay_out(const std::vector<OverlayKind>& kinds, const std::string& title, int64_t room) {
  Legend legend;
  legend.title = shortened(printable(title), room - 2 * margin);
  int64_t names = 0, notes = 0;  // the widest
  for (size_t i = 0; i < kinds.size(); ++i) {
    const std::vector<uint8_t>& pixels = kinds[i].mask.pixels;
    if (std::none_of(pixels.begin(), pixels.end(), [](uint8_t pixel) { return pixel != 0; }))
      continue;
    legend.lines.push_back({printable(kinds[i].name), printable(kinds[i].note), overlay_colour(i)});
    names = std::max(names, text_width(legend.lines.back().name));
    notes = std::max(notes, text_width(legend.lines.back().note));
  }
  // Names may take half of the line, or more where the notes leave it to them.
  const int64_t columns = room - names_x - 2 * gap - margin;
  names = std::min(names, std::max(columns / 2, columns - notes));
  notes = std::min(notes, columns - names);
  for (Legend::Line& line : legend.lines) {
    line.name = shortened(line.name, names);
    line.note = shortened(line.note, notes);
  }
  legend.notes_x = names_x + names + 2 * gap;
  if (!legend.title.empty()) legend.width = 2 * margin + text_width(legend.title);
  if (!legend.lines.empty()) {
    legend.width = std::max(legend.width, legend.notes_x + notes + margin);
  }
  const int64_t lines = std::ssize(legend.lines) + (legend.title.empty() ? 0 : 1);
  if (lines > 0) legend.height = lines * line_height + 2 * margin - (line_height - swatch);
  return legend;
}

void draw_legend(Picture& canvas, const Legend& legend, int64_t top, int64_t scale) {
  int64_t y = top + margin * scale;
  if (!legend.title.empty()) {
    draw_text(canvas, legend.title, margin * scale, y, scale, bright);
    y += line_height * scale;
  }
  for (const Legend::Line& line : legend.lines) {
    fill(canvas, margin * scale, y, swatch * scale, swatch * scale, line.colour);
    draw_text(canvas, line.name, names_x * scale, y, scale, bright);
    draw_text(canvas, line.note, legend.notes_x * scale, y, scale, dim);
    y += line_height * scale;
  }
}

// The picture as RGB in the upper left corner of a larger one.
Picture on_canvas(const Picture& picture, int64_t height, int64_t width) {
  Picture canvas{static_cast<int>(height), static_cast<int>(width), 3, {}};
  canvas.pixels.resize(static_cast<size_t>(height * width * 3));
  fill(canvas, 0, 0, width, height, background);
  const uint8_t* in = picture.pixels.data();
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x, in += picture.channels) {
      const bool grey = picture.channels == 1;
      fill(canvas, x, y, 1, 1, {in[0], in[grey ? 0 : 1], in[grey ? 0 : 2]});
    }
  }
  return canvas;
}

}  // namespace

Colour overlay_colour(size_t kind) {
  constexpr std::array<Colour, 7> palette{{{213, 94, 0},     // vermilion
                                           {86, 180, 233},   // sky blue
                                           {240, 228, 66},   // yellow
                                           {0, 158, 115},    // bluish green
                                           {204, 121, 167},  // reddish purple
                                           {230, 159, 0},    // orange
                                           {0, 114, 178}}};  // blue
  return palette[kind % palette.size()];
}

Picture draw_overlay(const Picture& picture, const std::vector<OverlayKind>& kinds,
                     const std::string& title) {
  require(picture.channels == 1 || picture.channels == 3, "an overlay needs a picture of 1 or 3 ",
          "channels, not of ", picture.channels);
  for (const auto& [name, mask, note] : kinds) {
    require(mask.height == picture.height && mask.width == picture.width, "the mask of '", name,
            "' has ", mask.height, "x", mask.width, " pixels, but its picture ", picture.height,
            "x", picture.width);
  }
  const int64_t longest = std::max(picture.height, picture.width);
  const int64_t scale = std::max(int64_t{1}, (longest + 350) / 700);
  const Legend legend = lay_out(kinds, title, std::max(picture.width / scale, narrowest_room));
  const int64_t height = picture.height + legend.height * scale;
  const int64_t width = std::max(int64_t{picture.width}, legend.width * scale);
  require(height * width <= 2 * max_picture_pixels, "a picture of ", picture.height, "x",
          picture.width, " pixels is too long and thin for a legend: cut it up");

  Picture canvas = on_canvas(picture, height, width);
  for (size_t i = 0; i < kinds.size(); ++i) blend(canvas, kinds[i].mask, overlay_colour(i));
  for (size_t i = 0; i < kinds.size(); ++i) {
    draw_contour(canvas, kinds[i].mask, longest > 1000 ? 2 : 1, overlay_colour(i));
  }
  draw_legend(canvas, legend, picture.height, scale);
  return canvas;
}

}  // namespace fettle
