// A small model in one file, made by hand, for tests of those who read it.
#pragma once

#include <cmath>

#include "io/single_file.h"

namespace fettle {

/// A constant whose numbers follow a sine.
inline int add_constant(inference::Network& network, const Shape& shape, float scale) {
  auto values = std::make_shared<std::vector<float>>();
  for (int64_t i = 0; i < shape.size(); ++i)
    values->push_back(scale * std::sin(static_cast<float>(3 * i + std::ssize(network.constants))));
  network.constants.push_back({shape, values->data()});
  network.memory.push_back(values);
  return static_cast<int>(network.constants.size()) - 1;
}

inline inference::Step convolution(inference::Network& network, const Shape& weight, int input) {
  inference::Step step;
  step.operation = inference::Operation::conv2d;
  step.inputs = {input};
  step.constants = {add_constant(network, weight, 0.02f), add_constant(network, {weight[0]}, 0.5f)};
  step.rows = {.extent = weight[1], .border = inference::Border::same};
  step.columns = {.extent = weight[2], .border = inference::Border::same};
  return step;
}

/// RGB pictures of any size to masks of two kinds: two convolutions with a skip and a sigmoid.
inline SingleFile small_segmenter() {
  SingleFile model;
  model.model = "small";
  model.segments = model.any_size = model.own_size = true;
  model.height = 12, model.width = 20;
  model.multiple = 2, model.reach = 4;
  model.class_names = {"scratch", "dent, \"deep\""};
  inference::Network& n = model.network;
  n.steps.push_back(convolution(n, {5, 3, 3, 3}, 0));
  n.steps.back().epilogue = Epilogue::relu;
  n.steps.push_back(convolution(n, {5, 3, 3, 5}, 1));
  inference::Step add;
  add.operation = inference::Operation::add;
  add.inputs = {1, 2};
  n.steps.push_back(add);
  n.steps.push_back(convolution(n, {2, 1, 1, 5}, 3));
  inference::Step sigmoid;
  sigmoid.operation = inference::Operation::unary;
  sigmoid.function = Unary::sigmoid;
  sigmoid.inputs = {4};
  n.steps.push_back(sigmoid);
  return model;
}

/// Pictures resized to 8x6 to three classes.
inline SingleFile small_classifier() {
  SingleFile model;
  model.model = "small";
  model.height = 8, model.width = 6;
  model.class_names = {"good", "bad", "ugly"};
  inference::Network& n = model.network;
  n.steps.push_back(convolution(n, {4, 3, 3, 3}, 0));
  inference::Step flatten;
  flatten.operation = inference::Operation::reshape;
  flatten.inputs = {1};
  flatten.target = {8 * 6 * 4};
  n.steps.push_back(flatten);
  inference::Step dense;
  dense.operation = inference::Operation::dense;
  dense.inputs = {2};
  dense.constants = {add_constant(n, {3, 8 * 6 * 4}, 0.01f), inference::absent};
  n.steps.push_back(dense);
  inference::Step softmax;
  softmax.operation = inference::Operation::softmax;
  softmax.inputs = {3};
  n.steps.push_back(softmax);
  return model;
}

/// The same network to three labels, each a sigmoid of its own.
inline SingleFile small_labeller() {
  SingleFile model = small_classifier();
  model.multi_label = true;
  inference::Step& last = model.network.steps.back();
  last.operation = inference::Operation::unary;
  last.function = Unary::sigmoid;
  return model;
}

}  // namespace fettle
