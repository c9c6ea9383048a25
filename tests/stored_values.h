// Values made by other frameworks, stored under tests/values with the scripts that made them.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/tensor.h"

namespace fettle {

inline nlohmann::json stored_values(const std::string& file) {
  std::ifstream in(std::string(FETTLE_TEST_DATA) + "/" + file);
  require(in.good(), "tests/values/", file, " is missing");
  return nlohmann::json::parse(in);
}

inline Shape stored_shape(const nlohmann::json& extents) {
  Shape shape;
  for (const auto& extent : extents) shape.push_back(extent.get<int64_t>());
  return shape;
}

inline Tensor stored_tensor(const nlohmann::json& extents, const nlohmann::json& values) {
  return Tensor::from(stored_shape(extents), values.get<std::vector<float>>());
}

}  // namespace fettle
