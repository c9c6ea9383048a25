#include <algorithm>
#include <cstdlib>
#include <new>

#include "engine/inference/plan.h"
#include "kernels/concatenate/concatenate.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/softmax/softmax.h"

namespace fettle::inference {
namespace {

constexpr Cpu cpu;

/// One step of a planned network on its block of memory.
class Runner {
 public:
  Runner(const Network& network, const Plan& plan, float* block, size_t i)
      : network_(network), plan_(plan), block_(block), step_(network.steps[i]), i_(i) {}

  void run() const {
    const BoundStep& bound = plan_.steps[i_];
    const int64_t size = bound.output.size();
    float* y = activation(i_ + 1);
    switch (step_.operation) {
      case Operation::conv2d:
        return conv2d_forward(cpu, std::get<Conv2dShape>(bound.shape), input(0), constant(0),
                              constant(1), step_.epilogue, y);
      case Operation::conv2d_transpose: {
        const auto& s = std::get<Conv2dShape>(bound.shape);
        conv2d_backward_input(cpu, s, input(0), constant(0), y);
        return epilogue_forward(cpu, s.H * s.W, s.C, step_.epilogue, y, constant(1), y);
      }
      case Operation::dense:
        return dense_forward(cpu, std::get<DenseShape>(bound.shape), input(0), constant(0),
                             constant(1), step_.epilogue, y);
      case Operation::batch_norm:
        return batch_norm(std::get<BatchNormShape>(bound.shape), y);
      case Operation::unary:
        return unary_forward(cpu, step_.function, size, input(0), y);
      case Operation::softmax:
        return softmax_forward(cpu, size / bound.output[-1], bound.output[-1], input(0), y);
      case Operation::rescale:
        return scale_offset(cpu, size, step_.scale, step_.offset, input(0), y);
      case Operation::add:
        return fettle::add(cpu, size, input(0), input(1), y);
      case Operation::multiply:
        return fettle::multiply(cpu, size, input(0), input(1), y);
      case Operation::max_pool2d:
        return max_pool2d_forward(cpu, std::get<Pool2dShape>(bound.shape), input(0), y);
      case Operation::average_pool2d:
        return average_pool2d_forward(cpu, std::get<Pool2dShape>(bound.shape), input(0), y);
      case Operation::upsample2d:
        return upsample2d_forward(cpu, std::get<Upsample2dShape>(bound.shape), step_.interpolation,
                                  input(0), y);
      case Operation::concatenate:
        return concatenate(bound.output, y);
      case Operation::reshape:
        return;  // the same numbers at the same place
    }
  }

 private:
  float* activation(size_t i) const { return block_ + plan_.offsets[i]; }
  const float* input(size_t i) const { return activation(static_cast<size_t>(step_.inputs[i])); }
  const float* constant(size_t i) const {
    const int index = step_.constants[i];
    return index == absent ? nullptr : network_.constants[static_cast<size_t>(index)].values;
  }

  void batch_norm(const BatchNormShape& s, float* y) const {
    std::vector<float> of_picture;
    const float *mean = constant(2), *variance = constant(3);
    if (!mean) {
      of_picture.resize(static_cast<size_t>(2 * s.C));
      batch_norm_statistics(cpu, s, input(0), of_picture.data(), of_picture.data() + s.C);
      mean = of_picture.data(), variance = mean + s.C;
    }
    const BatchNormTerm term = {input(0), constant(0), constant(1), mean, variance, step_.scale};
    batch_norm_apply(cpu, s, {{term, {}}}, y);
  }

  void concatenate(const Shape& output, float* y) const {
    const int64_t total = output[-1], rows = output.size() / total;
    for (size_t i = 0; i < step_.inputs.size(); ++i) {
      const Shape part =
          activation_shape(network_, plan_.steps, plan_.height, plan_.width, step_.inputs[i]);
      copy_columns(cpu, rows, part[-1], input(i), part[-1], y, total);
      y += part[-1];
    }
  }

  const Network& network_;
  const Plan& plan_;
  float* block_;
  const Step& step_;
  size_t i_;
};

}  // namespace

void Session::Free::operator()(float* p) const {
  std::free(p);
}

Session::Session(const Network& network, Plan plan)
    : network_(network),
      plan_(std::move(plan)),
      block_(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(plan_.floats) * 4))) {
  if (!block_) throw std::bad_alloc();
}

float* Session::input() {
  return block_.get() + plan_.offsets[0];
}

const float* Session::run() {
  for (size_t i = 0; i < network_.steps.size(); ++i) Runner(network_, plan_, block_.get(), i).run();
  return block_.get() + plan_.offsets.back();
}

}  // namespace fettle::inference
