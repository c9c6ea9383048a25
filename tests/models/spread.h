// The numbers that the scripts make_res_unet.py, make_unet_xception.py, make_resnet.py and
// make_keras_resnet.py give to weights and inputs, so that only results are stored.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/named_tensor.h"

namespace fettle {

/// offset + scale * u for `count` numbers u in [0, 1) that the golden ratio spreads.
inline std::vector<float> spread(size_t index, int64_t count, double scale, double offset) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    const double x = static_cast<double>(i) * 0.6180339887498949 +
                     static_cast<double>(index) * 0.7548776662466927;
    const double u = static_cast<float>(x - std::floor(x));
    values.push_back(static_cast<float>(scale * u + offset));
  }
  return values;
}

/// Gives every tensor its numbers; fan(tensor) is the number of terms of a 4-axes weight's sums.
template <class Fan>
void set_spread_weights(const NamedTensors& tensors, const Fan& fan) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    Tensor tensor = tensors[i].tensor;
    const std::string& name = tensors[i].name;
    const bool around_one =
        name.ends_with("running_var") || (name.ends_with("weight") && tensor.shape().rank() == 1);
    double scale = 1, offset = around_one ? 0.5 : -0.5;
    if (tensor.shape().rank() == 4) {
      const double limit = std::sqrt(3.0 / static_cast<double>(fan(tensors[i])));
      scale = 2 * limit;
      offset = -limit;
    }
    tensor.copy_from(Tensor::from(tensor.shape(), spread(i, tensor.size(), scale, offset)));
  }
}

/// Compares each parameter's gradient with its length and its product with another vector of
/// numbers, stored under its name. The tolerance is the sum of a part of that length and of a part
/// of the largest one: a bias before batch-norm has no gradient but rounding.
inline void expect_equal_gradients(const NamedTensors& tensors, const nlohmann::json& stored,
                                   double of_length, double of_largest) {
  double largest = 0;
  for (const auto& [name, figures] : stored.items())
    largest = std::max(largest, figures[0].get<double>());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].parameter) continue;
    const std::vector<float> ours = tensors[i].tensor.grad().to_vector();
    const std::vector<float> probe = spread(2000 + i, tensors[i].tensor.size(), 1, -0.5);
    double squares = 0, product = 0;
    for (size_t k = 0; k < ours.size(); ++k) {
      squares += double{ours[k]} * ours[k];
      product += double{ours[k]} * probe[k];
    }
    const auto& theirs = stored[tensors[i].name];
    const double length = theirs[0].get<double>();
    const double tolerance = of_length * length + of_largest * largest;
    EXPECT_NEAR(std::sqrt(squares), length, tolerance) << tensors[i].name;
    EXPECT_NEAR(product, theirs[1].get<double>(), tolerance) << tensors[i].name;
  }
}

}  // namespace fettle
