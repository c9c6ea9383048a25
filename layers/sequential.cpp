#include "layers/sequential.h"

#include <cctype>
#include <map>

namespace fettle {
namespace {

/// "MaxPooling2D" becomes "max_pooling2d".
std::string snake_case(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto letter = static_cast<unsigned char>(name[i]);
    if (i > 0 && std::isupper(letter) && std::islower(static_cast<unsigned char>(name[i - 1]))) {
      out += '_';
    }
    out += static_cast<char>(std::tolower(letter));
  }
  return out;
}

}  // namespace

void Sequential::members(Members& members) {
  std::map<std::string, int> seen;
  for (const auto& layer : layers_) {
    std::string name = snake_case(layer->kind());
    const int before = seen[name]++;
    if (before > 0) name += cat('_', before);
    members.layer(std::move(name), *layer);
  }
}

Tensor Sequential::call(const Tensor& x) {
  Tensor y = x;
  for (const auto& layer : layers_) y = (*layer)(y);
  return y;
}

}  // namespace fettle
