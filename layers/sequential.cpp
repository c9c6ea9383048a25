#include "layers/sequential.h"

namespace fettle {

void Sequential::members(Members& members) {
  for (const auto& layer : layers_) members.layer(*layer);
}

Tensor Sequential::call(const Tensor& x) {
  Tensor y = x;
  for (const auto& layer : layers_) y = (*layer)(y);
  return y;
}

}  // namespace fettle
