// A network that only predicts: a list of steps over constants, without tensors, tape or layers. It
// is what a single-file model holds and what the embedded library runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "engine/shape.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/dense/dense.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle::inference {

enum class Operation : uint8_t {
  conv2d,            ///< of weight [K,R,S,C/groups] and bias [K] or none; to a second input, if any
                     ///< (without groups), its sums are added before the epilogue
  conv2d_transpose,  ///< of weight [C,R,S,K] and bias [K]
  dense,             ///< of weight [K,C] and bias [K] or none
  batch_norm,        ///< of gamma, beta, mean, variance; the last two absent: of this picture
  unary,
  softmax,
  rescale,
  add,
  multiply,
  max_pool2d,
  average_pool2d,
  upsample2d,
  concatenate,
  reshape,
};
constexpr int operations = static_cast<int>(Operation::reshape) + 1;

/// What lies around an axis of a picture before a kernel or a window moves along it.
enum class Border : uint8_t {
  zeros,  ///< `before` and `after`
  same,   ///< as many as give ceil(n / stride) outputs; of a transposed one, n * stride
  whole,  ///< nothing, and the window is as long as the axis
};
constexpr int borders = static_cast<int>(Border::whole) + 1;

/// How a kernel or a window moves along one axis.
struct Axis {
  int64_t extent = 1, stride = 1, dilation = 1, before = 0, after = 0;
  Border border = Border::zeros;
};

struct Step {
  Operation operation = Operation::unary;
  std::vector<int> inputs;     ///< 0 is the picture, i + 1 what step i computed
  std::vector<int> constants;  ///< indices, or `absent`
  Axis rows, columns;          ///< of convolutions and pooling; the extents of upsample2d: factors
  int64_t groups = 1;          ///< of a convolution
  Epilogue epilogue = Epilogue::linear;
  Unary function = Unary::relu;
  Upsampling interpolation = Upsampling::nearest;
  float scale = 1, offset = 0;  ///< of rescale; batch_norm's epsilon is its scale
  Shape target;                 ///< of a reshape, without the axis of pictures
};
constexpr int absent = -1;

/// fp32 numbers that `memory` keeps.
struct Constant {
  Shape shape;
  const float* values = nullptr;
};

struct Network {
  int64_t channels = 3;  ///< of the picture
  std::vector<Constant> constants;
  std::vector<Step> steps;  ///< the last one computes the result
  std::vector<std::shared_ptr<const void>> memory;
  /// The part of it that is a mapped file, whose pages come again by themselves.
  std::span<const std::byte> file = {};

  int64_t parameters() const;
  /// Gives the pages of a constant back to the system if they are of the file: for whoever has a
  /// copy, and does not read it again soon.
  void give_back(const Constant& constant) const;
};

/// A step with the extents that it has for pictures of one size.
struct BoundStep {
  std::variant<std::monostate, Conv2dShape, DenseShape, BatchNormShape, Pool2dShape,
               Upsample2dShape>
      shape;
  Shape output;
};

/// The extents of each step for pictures [pictures,height,width,channels]. Checks everything that
/// the kernels rely on, so that a network from a damaged or hostile file does no harm: throws Error
/// naming the step that does not fit.
std::vector<BoundStep> bind(const Network& network, int64_t height, int64_t width,
                            int64_t pictures = 1);

}  // namespace fettle::inference
