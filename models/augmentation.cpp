#include "models/augmentation.h"

#include <charconv>
#include <map>
#include <sstream>

#include "engine/argument_error.h"

namespace fettle {
namespace {

float factor_of(const std::string& part, const std::string& value) {
  float factor = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), factor);
  require_argument(
      error == std::errc() && end == value.data() + value.size() && factor >= 0 && factor <= 1,
      "--augment: '", part, "' needs a number from 0 to 1 after the '='");
  return factor;
}

FlipMode mode_of(const std::string& part, const std::string& value) {
  static const std::map<std::string, FlipMode> modes = {
      {"horizontal", FlipMode::horizontal},
      {"vertical", FlipMode::vertical},
      {"both", FlipMode::horizontal_and_vertical}};
  const auto found = modes.find(value);
  require_argument(found != modes.end(), "--augment: '", part,
                   "' needs horizontal, vertical or both");
  return found->second;
}

void add_part(const std::string& part, Augmentation& layers) {
  const size_t equals = part.find('=');
  const std::string name = part.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
  if (name == "flip") {
    layers.add(RandomFlip(mode_of(part, value)));
  } else if (name == "rotation") {
    layers.add(RandomRotation(factor_of(part, value)));
  } else if (name == "zoom") {
    layers.add(RandomZoom(factor_of(part, value)));
  } else if (name == "contrast") {
    layers.add(RandomContrast(factor_of(part, value)));
  } else if (name == "brightness") {
    layers.add(RandomBrightness(factor_of(part, value)));
  } else {
    throw ArgumentError(
        "--augment: '", part,
        "' is not known; write none, default or a list of flip=..., rotation=..., zoom=..., "
        "contrast=..., brightness=...");
  }
}

}  // namespace

Augmentation augmentation(const std::string& text, const std::string& usual) {
  Augmentation layers;
  if (text == "none") return layers;
  std::istringstream parts(text == "default" ? usual : text);
  for (std::string part; std::getline(parts, part, ',');) add_part(part, layers);
  return layers;
}

}  // namespace fettle
