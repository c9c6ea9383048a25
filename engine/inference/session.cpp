#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

#include "engine/inference/plan.h"
#include "kernels/concatenate/concatenate.h"
#include "kernels/conv2d/cpu_packed.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/softmax/softmax.h"

namespace fettle::inference {
namespace {

constexpr Cpu cpu;

/// One step of a planned network on its block of memory.
class Runner {
 public:
  Runner(const PlannedNetwork& planned, float* block, size_t i)
      : planned_(planned),
        network_(planned.network()),
        plan_(planned.plan()),
        block_(block),
        step_(network_.steps[i]),
        i_(i) {}

  void run() const {
    const BoundStep& bound = plan_.steps[i_];
    const int64_t size = bound.output.size();
    float* y = activation(i_ + 1);
    switch (step_.operation) {
      case Operation::conv2d:
        return conv2d(std::get<Conv2dShape>(bound.shape), y);
      case Operation::conv2d_transpose: {
        const auto& s = std::get<Conv2dShape>(bound.shape);
        conv2d_backward_input(cpu, s, input(0), constant(0), y);
        return epilogue_forward(cpu, s.N * s.H * s.W, s.C, step_.epilogue, y, constant(1), y);
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

  void conv2d(const Conv2dShape& s, float* y) const {
    const float* addend = step_.inputs.size() == 2 ? input(1) : nullptr;
    if (const float* packed = planned_.packed(i_))
      return conv2d_forward_packed(s, plan_.options.precision, input(0), packed, constant(1),
                                   addend, step_.epilogue, y);
    if (!addend)
      return conv2d_forward(cpu, s, input(0), constant(0), constant(1), step_.epilogue, y);
    conv2d_forward_adding(s, input(0), constant(0), constant(1), addend, step_.epilogue, y);
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
      const int input_index = step_.inputs[i];
      const int64_t part = input_index == 0
                               ? network_.channels
                               : plan_.steps[static_cast<size_t>(input_index) - 1].output[-1];
      copy_columns(cpu, rows, part, input(i), part, y, total);
      y += part;
    }
  }

  const PlannedNetwork& planned_;
  const Network& network_;
  const Plan& plan_;
  float* block_;
  const Step& step_;
  size_t i_;
};

Floats aligned_floats(int64_t count) {
  const auto bytes = static_cast<size_t>(count) * 4;
  // Large blocks on huge pages, where there are some: a hundred times fewer faults.
  constexpr size_t huge = size_t{2} << 20;
  const bool large = bytes >= 2 * huge;
  const size_t alignment = large ? huge : 64;
  Floats floats(static_cast<float*>(
      std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment)));
  if (!floats) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (large) madvise(floats.get(), bytes, MADV_HUGEPAGE);
#endif
  return floats;
}

}  // namespace

void Free::operator()(float* p) const {
  std::free(p);
}

PlannedNetwork::PlannedNetwork(const Network& network, Plan plan)
    : network_(network), plan_(std::move(plan)) {
  if (plan_.packed_floats == 0) return;
  packed_ = aligned_floats(plan_.packed_floats);
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    if (plan_.packed[i] == absent) continue;
    const int weight = network.steps[i].constants[0];
    conv2d_pack(std::get<Conv2dShape>(plan_.steps[i].shape), plan_.options.precision,
                network.constants[static_cast<size_t>(weight)].values,
                packed_.get() + plan_.packed[i]);
  }
}

const float* PlannedNetwork::packed(size_t step) const {
  return plan_.packed[step] == absent ? nullptr : packed_.get() + plan_.packed[step];
}

Session::Session(std::shared_ptr<const PlannedNetwork> network)
    : network_(std::move(network)), block_(aligned_floats(network_->plan().floats)) {}

float* Session::input() {
  return block_.get() + plan().offsets[0];
}

const float* Session::run() {
  for (size_t i = 0; i < network_->network().steps.size(); ++i)
    Runner(*network_, block_.get(), i).run();
  return block_.get() + plan().offsets.back();
}

}  // namespace fettle::inference
