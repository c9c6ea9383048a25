#include "engine/inference/network.h"

#include <algorithm>
#include <array>
#include <functional>

#include "kernels/host_memory.h"
#include "kernels/padding.h"

namespace fettle::inference {
namespace {

constexpr int64_t most_elements = int64_t{1} << 32, most_extent = int64_t{1} << 30;
constexpr int64_t most_step = 1 << 20;  // of kernels, strides, dilations and borders

const char* name_of(Operation operation) {
  constexpr std::array<const char*, operations> names = {
      "conv2d",         "conv2d_transpose", "dense",       "batch_norm", "unary",
      "softmax",        "rescale",          "add",         "multiply",   "max_pool2d",
      "average_pool2d", "upsample2d",       "concatenate", "reshape"};
  return names[static_cast<size_t>(operation)];
}

/// Positive extents whose product is no more than memory could hold.
bool is_sane(const Shape& shape) {
  int64_t size = 1;
  for (const int64_t extent : shape) {
    if (extent < 1 || extent > most_extent) return false;
    if (__builtin_mul_overflow(size, extent, &size) || size > most_elements) return false;
  }
  return true;
}

bool is_sane(const Axis& a) {
  const auto within = [](int64_t value, int64_t least) {
    return value >= least && value <= most_step;
  };
  return within(a.extent, 1) && within(a.stride, 1) && within(a.dilation, 1) &&
         within(a.before, 0) && within(a.after, 0);
}

/// Binds one step, whose inputs have their shapes.
class Binder {
 public:
  Binder(const Network& network, const Step& step, std::vector<Shape> inputs)
      : network_(network), step_(step), inputs_(std::move(inputs)) {}

  BoundStep bind() const {
    switch (step_.operation) {
      case Operation::conv2d:
        return conv2d();
      case Operation::conv2d_transpose:
        return conv2d_transpose();
      case Operation::dense:
        return dense();
      case Operation::batch_norm:
        return batch_norm();
      case Operation::unary:
      case Operation::rescale:
        takes(1, 0);
        return {{}, inputs_[0]};
      case Operation::softmax:
        takes(1, 0);
        check(inputs_[0].rank() >= 1, "it has no last axis");
        return {{}, inputs_[0]};
      case Operation::add:
      case Operation::multiply:
        takes(2, 0);
        check(inputs_[0] == inputs_[1], "its inputs have different shapes");
        return {{}, inputs_[0]};
      case Operation::max_pool2d:
      case Operation::average_pool2d:
        return pool2d();
      case Operation::upsample2d:
        return upsample2d();
      case Operation::concatenate:
        return concatenate();
      case Operation::reshape:
        return reshape();
    }
    throw Error("its operation is unknown");
  }

 private:
  static void check(bool fits, const char* why) {
    if (!fits) throw Error(why);
  }
  void takes(size_t inputs, size_t constants) const {
    check(inputs_.size() == inputs && step_.constants.size() == constants,
          "it has another number of inputs or constants");
  }
  bool has(size_t constant) const { return step_.constants[constant] != absent; }
  Shape constant(size_t i) const {
    check(has(i), "a constant is missing");
    return network_.constants[static_cast<size_t>(step_.constants[i])].shape;
  }
  const Shape& picture() const {
    check(inputs_[0].rank() == 4, "its input is not a picture");
    return inputs_[0];
  }
  void check_bias(size_t i, int64_t channels) const {
    check(!has(i) || constant(i) == Shape{channels}, "its bias does not fit");
  }

  /// The border of an axis of n pixels under a kernel, and how many times that fits.
  Pads pads(const Axis& axis, int64_t n, int64_t& outputs) const {
    const int64_t reach = (axis.extent - 1) * axis.dilation + 1;
    const Pads pads = axis.border == Border::same    ? same_pads(n, reach, axis.stride)
                      : axis.border == Border::zeros ? Pads{axis.before, axis.after}
                                                     : Pads{};
    check(n + pads.before + pads.after >= reach, "its window is larger than the picture");
    outputs = output_extent(n, pads, reach, axis.stride);
    return pads;
  }

  BoundStep conv2d() const {
    const bool adds = inputs_.size() == 2;
    takes(adds ? 2 : 1, 2);
    const Shape x = picture(), w = constant(0);
    check(w.rank() == 4 && w[1] == step_.rows.extent && w[2] == step_.columns.extent,
          "its weight does not fit");
    Conv2dShape s;
    s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3];
    s.K = w[0], s.R = w[1], s.S = w[2];
    s.stride_h = step_.rows.stride, s.stride_w = step_.columns.stride;
    s.dilation_h = step_.rows.dilation, s.dilation_w = step_.columns.dilation;
    s.groups = step_.groups;
    check(s.groups > 0 && s.C % s.groups == 0 && s.K % s.groups == 0 && w[3] * s.groups == s.C,
          "its weight does not fit the channels of its input");
    check_bias(1, s.K);
    s.pad_top = pads(step_.rows, s.H, s.P).before;
    s.pad_left = pads(step_.columns, s.W, s.Q).before;
    const Shape y = {s.N, s.P, s.Q, s.K};
    check(!adds || (inputs_[1] == y && s.groups == 1), "what it is added to does not fit");
    return {s, y};
  }

  BoundStep conv2d_transpose() const {
    takes(1, 2);
    const Shape x = picture(), w = constant(0);
    check(w.rank() == 4 && w[0] == x[3] && w[1] == step_.rows.extent &&
              w[2] == step_.columns.extent && has(1),
          "its weight does not fit");
    Conv2dShape s;
    s.N = x[0], s.P = x[1], s.Q = x[2], s.K = x[3];
    s.R = w[1], s.S = w[2], s.C = w[3];
    check_bias(1, s.C);
    const auto extent = [](const Axis& axis, int64_t n, int64_t& pad) {
      const bool same = axis.border == Border::same;
      const int64_t extent =
          same ? n * axis.stride : axis.stride * (n - 1) + std::max(axis.extent, axis.stride);
      pad = same ? same_pads(extent, axis.extent, axis.stride).before : 0;
      return extent;
    };
    s.stride_h = step_.rows.stride, s.stride_w = step_.columns.stride;
    s.H = extent(step_.rows, s.P, s.pad_top);
    s.W = extent(step_.columns, s.Q, s.pad_left);
    return {s, {s.N, s.H, s.W, s.C}};
  }

  BoundStep dense() const {
    takes(1, 2);
    const Shape x = inputs_[0], w = constant(0);
    check(x.rank() == 2 && w.rank() == 2 && w[1] == x[1],
          "its weight does not fit a picture of this size");
    check_bias(1, w[0]);
    return {DenseShape{x[0], w[1], w[0]}, {x[0], w[0]}};
  }

  BoundStep batch_norm() const {
    takes(1, 4);
    const Shape x = inputs_[0];
    check(x.rank() >= 2 && has(2) == has(3), "its constants do not fit");
    for (size_t i = 0; i < 4; ++i)
      check((i >= 2 && !has(i)) || constant(i) == Shape{x[-1]}, "its constants do not fit");
    check(has(2) || x[0] == 1, "its statistics are those of one picture, not of several");
    return {BatchNormShape{x.size() / x[-1], x[-1]}, x};
  }

  BoundStep pool2d() const {
    takes(1, 0);
    const Shape x = picture();
    Pool2dShape s;
    s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3];
    const auto axis = [&](Axis axis, int64_t n, int64_t& extent, int64_t& stride, int64_t& pad) {
      if (axis.border == Border::whole) axis.extent = axis.stride = n;
      axis.dilation = 1;
      int64_t outputs = 0;
      const Pads border = pads(axis, n, outputs);
      check(border.before < axis.extent && border.after < axis.extent,
            "its window is smaller than its border");
      extent = axis.extent, stride = axis.stride, pad = border.before;
      return outputs;
    };
    s.P = axis(step_.rows, s.H, s.R, s.stride_h, s.pad_top);
    s.Q = axis(step_.columns, s.W, s.S, s.stride_w, s.pad_left);
    return {s, {s.N, s.P, s.Q, s.C}};
  }

  BoundStep upsample2d() const {
    takes(1, 0);
    const Shape x = picture();
    const Upsample2dShape s{x[0], x[1], x[2], x[3], step_.rows.extent, step_.columns.extent};
    return {s, {s.N, s.H * s.factor_h, s.W * s.factor_w, s.C}};
  }

  BoundStep concatenate() const {
    check(!inputs_.empty() && step_.constants.empty() && inputs_[0].rank() >= 1,
          "it has nothing to join");
    Shape output = inputs_[0];
    output[-1] = 0;
    for (const Shape& input : inputs_) {
      Shape without = output;
      check(input.rank() == output.rank(), "its inputs have different ranks");
      without[-1] = input[-1];
      check(input == without, "its inputs differ in more than the last axis");
      output[-1] += input[-1];
    }
    return {{}, output};
  }

  BoundStep reshape() const {
    takes(1, 0);
    check(inputs_[0].rank() >= 1, "it has nothing to reshape");
    Shape output = {inputs_[0][0]};
    check(step_.target.rank() < Shape::max_rank, "it has too many axes");
    for (const int64_t extent : step_.target) output.push_back(extent);
    if (step_.target.rank() == 1) output[1] = inputs_[0].size() / output[0];  // flatten
    check(is_sane(output) && output.size() == inputs_[0].size(), "its input has another size");
    return {{}, output};
  }

  const Network& network_;
  const Step& step_;
  std::vector<Shape> inputs_;
};

void check_references(const Network& network, size_t i) {
  const Step& step = network.steps[i];
  for (const int input : step.inputs)
    require(input >= 0 && input <= static_cast<int>(i), "it reads what is not computed yet");
  for (const int constant : step.constants)
    require(constant >= absent && constant < std::ssize(network.constants),
            "it has a constant that is not there");
  require(is_sane(step.rows) && is_sane(step.columns), "its window is out of range");
}

}  // namespace

void Network::give_back(const Constant& constant) const {
  const auto* first = reinterpret_cast<const std::byte*>(constant.values);
  const std::less<> before;  // of addresses of any two objects
  if (file.empty() || before(first, file.data()) || !before(first, file.data() + file.size()))
    return;
  give_back_file_pages(first, static_cast<size_t>(constant.shape.size()) * sizeof(float));
}

int64_t Network::parameters() const {
  int64_t count = 0;
  for (const Constant& constant : constants) count += constant.shape.size();
  return count;
}

std::vector<BoundStep> bind(const Network& network, int64_t height, int64_t width,
                            int64_t pictures) {
  const Shape picture = {pictures, height, width, network.channels};
  require(is_sane(picture), "a picture of ", height, "x", width, "x", network.channels,
          " is empty or too large");
  require(!network.steps.empty(), "the network has no steps");
  for (const Constant& constant : network.constants)
    require(is_sane(constant.shape), "a constant of the network is empty or too large");
  std::vector<BoundStep> bound;
  for (size_t i = 0; i < network.steps.size(); ++i) {
    const Step& step = network.steps[i];
    try {
      check_references(network, i);
      std::vector<Shape> inputs;
      for (const int input : step.inputs)
        inputs.push_back(input == 0 ? picture : bound[static_cast<size_t>(input) - 1].output);
      bound.push_back(Binder(network, step, std::move(inputs)).bind());
      require(is_sane(bound.back().output), "its output is empty or too large");
    } catch (const Error& error) {
      throw Error("step ", i + 1, " of the network, ", name_of(step.operation),
                  ", does not fit a picture of ", height, "x", width, ": ", error.what());
    }
  }
  return bound;
}

}  // namespace fettle::inference
