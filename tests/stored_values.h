// Values made by other frameworks, stored under tests/values with the scripts that made them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/autograd.h"
#include "tests/random_values.h"

namespace fettle {

inline nlohmann::json stored_values(const std::string& file) {
  std::ifstream in(std::string(FETTLE_TEST_DATA) + "/" + file);
  require(in.good(), "tests/values/", file, " is missing");
  return nlohmann::json::parse(in);
}

/// What `file` holds under `key`, by value: a loop over a part of a temporary would outlive it.
inline nlohmann::json stored_values(const std::string& file, const std::string& key) {
  return stored_values(file).at(key);
}

inline Shape stored_shape(const nlohmann::json& extents) {
  Shape shape;
  for (const auto& extent : extents) shape.push_back(extent.get<int64_t>());
  return shape;
}

inline Tensor stored_tensor(const nlohmann::json& extents, const nlohmann::json& values) {
  return Tensor::from(stored_shape(extents), values.get<std::vector<float>>(), test_device());
}

/// A parameter that collects a gradient.
inline Tensor leaf(Tensor tensor) {
  tensor.set_requires_grad(true);
  return tensor;
}

/// Runs the backward of y with dy as its gradient.
inline void backward_with(const Tensor& y, const Tensor& dy) {
  const Tensor loss = Tensor::zeros({1}, DType::f32, dy.device());
  backward(record(loss, {y}, [dy](const Tensor&, Grads& grads) { grads.pass(0, dy); }));
}

/// Expects ||ours - theirs|| / ||theirs|| below the tolerance.
inline void expect_equal(const Tensor& ours, const nlohmann::json& theirs, const std::string& what,
                         double tolerance = 1e-6) {
  EXPECT_LT(relative_error(ours.to_vector(), theirs.get<std::vector<float>>()), tolerance) << what;
}

/// The message of the Error that f throws.
inline std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace fettle
