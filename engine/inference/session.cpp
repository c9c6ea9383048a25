#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "engine/inference/plan.h"
#include "kernels/concatenate/concatenate.h"
#include "kernels/conv2d/cpu_packed.h"
#include "kernels/epilogue/epilogue.h"
#include "kernels/host_memory.h"
#include "kernels/softmax/softmax.h"

namespace fettle::inference {
namespace {

/// One step of a planned network on its block of memory, by the kernels of device D.
template <class D>
class Runner {
 public:
  Runner(D device, const PlannedNetwork& planned, float* block, size_t i)
      : device_(device),
        planned_(planned),
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
        conv2d_backward_input(device_, s, input(0), constant(0), y);
        return epilogue_forward(device_, s.N * s.H * s.W, s.C, step_.epilogue, y, constant(1), y);
      }
      case Operation::dense:
        return dense_forward(device_, std::get<DenseShape>(bound.shape), input(0), constant(0),
                             constant(1), step_.epilogue, y);
      case Operation::batch_norm:
        return batch_norm(std::get<BatchNormShape>(bound.shape), y);
      case Operation::unary:
        return unary_forward(device_, step_.function, size, input(0), y);
      case Operation::softmax:
        return softmax_forward(device_, size / bound.output[-1], bound.output[-1], input(0), y);
      case Operation::rescale:
        return scale_offset(device_, size, step_.scale, step_.offset, input(0), y);
      case Operation::add:
        return fettle::add(device_, size, input(0), input(1), y);
      case Operation::multiply:
        return fettle::multiply(device_, size, input(0), input(1), y);
      case Operation::max_pool2d:
        return max_pool2d_forward(device_, std::get<Pool2dShape>(bound.shape), input(0), y);
      case Operation::average_pool2d:
        return average_pool2d_forward(device_, std::get<Pool2dShape>(bound.shape), input(0), y);
      case Operation::upsample2d:
        return upsample2d_forward(device_, std::get<Upsample2dShape>(bound.shape),
                                  step_.interpolation, input(0), y);
      case Operation::concatenate:
        return concatenate(bound.output, y);
      case Operation::reshape:
        return;  // the same numbers at the same place
    }
  }

 private:
  float* activation(size_t i) const { return block_ + plan_.offsets[i]; }
  const float* input(size_t i) const { return activation(static_cast<size_t>(step_.inputs[i])); }
  const float* constant(size_t i) const { return planned_.constant(step_.constants[i]); }

  void conv2d(const Conv2dShape& s, float* y) const {
    const float* addend = step_.inputs.size() == 2 ? input(1) : nullptr;
    if (const float* packed = planned_.packed(i_))
      return conv2d_forward_packed(s, plan_.options.precision, input(0), packed, constant(1),
                                   addend, step_.epilogue, y);
    conv2d_forward(device_, s, input(0), constant(0), constant(1), step_.epilogue, y, addend);
  }

  void batch_norm(const BatchNormShape& s, float* y) const {
    const float *mean = constant(2), *variance = constant(3);
    if (!mean) {
      float* const of_picture = block_ + plan_.statistics;
      batch_norm_statistics(device_, s, input(0), of_picture, of_picture + s.C);
      mean = of_picture, variance = mean + s.C;
    }
    const BatchNormTerm<> term = {input(0), constant(0), constant(1), mean, variance, step_.scale};
    batch_norm_apply(device_, s, {{term, {}}}, y);
  }

  void concatenate(const Shape& output, float* y) const {
    const int64_t total = output[-1], rows = output.size() / total;
    for (size_t i = 0; i < step_.inputs.size(); ++i) {
      const int input_index = step_.inputs[i];
      const int64_t part = input_index == 0
                               ? network_.channels
                               : plan_.steps[static_cast<size_t>(input_index) - 1].output[-1];
      copy_columns(device_, rows, part, input(i), part, y, total);
      y += part;
    }
  }

  D device_;
  const PlannedNetwork& planned_;
  const Network& network_;
  const Plan& plan_;
  float* block_;
  const Step& step_;
  size_t i_;
};

Floats aligned_floats(int64_t count, const Device& device = Device::cpu()) {
  const auto bytes = static_cast<size_t>(count) * 4;
  void* p = device.is_cuda() ? cuda::allocate(device.index, bytes) : host_memory(bytes);
  if (!p) throw std::bad_alloc();
  return Floats(static_cast<float*>(p), Free{device});
}

void upload(const Device& device, float* to, const float* from, int64_t count) {
  if (!device.is_cuda()) return void(std::copy_n(from, count, to));
  cuda::copy_to_gpu(device.index, reinterpret_cast<std::byte*>(to),
                    reinterpret_cast<const std::byte*>(from), static_cast<size_t>(count) * 4);
}

void download(const Device& device, float* to, const float* from, int64_t count) {
  if (!device.is_cuda()) return void(std::copy_n(from, count, to));
  cuda::copy_to_host(device.index, reinterpret_cast<std::byte*>(to),
                     reinterpret_cast<const std::byte*>(from), static_cast<size_t>(count) * 4);
}

}  // namespace

void Free::operator()(float* p) const {
  if (!device.is_cuda()) return std::free(p);
  try {
    cuda::release(device.index, reinterpret_cast<std::byte*>(p));
  } catch (const Error&) {
    // A kernel failed before: whoever waited for its result was told.
  }
}

PlannedNetwork::PlannedNetwork(const Network& network, Plan plan)
    : network_(network), plan_(std::move(plan)) {
  if (plan_.constant_floats > 0) {
    constants_ = aligned_floats(plan_.constant_floats, plan_.options.device);
    for (size_t i = 0; i < network.constants.size(); ++i) {
      const Constant& constant = network.constants[i];
      upload(plan_.options.device, constants_.get() + plan_.constants[i], constant.values,
             constant.shape.size());
      network.give_back(constant);
    }
  }
  if (plan_.packed_floats > 0) packed_ = aligned_floats(plan_.packed_floats);
}

void PlannedNetwork::pack(size_t step, float* to) const {
  const auto weight = static_cast<size_t>(network_.steps[step].constants[0]);
  conv2d_pack(std::get<Conv2dShape>(plan_.steps[step].shape), plan_.options.precision,
              network_.constants[weight].values, to);
}

std::unique_lock<std::mutex> PlannedNetwork::begin_steps() const {
  if (!packed_ || all_packed_) return {};
  std::unique_lock lock(mutex_);
  if (!std::exchange(first_has_begun_, true)) return lock;
  if (all_packed_) return {};
  for (size_t i = 0; i < plan_.steps.size(); ++i) {
    if (plan_.packed[i] == absent) continue;
    pack(i, packed_.get() + plan_.packed[i]);
    network_.give_back(network_.constants[static_cast<size_t>(network_.steps[i].constants[0])]);
  }
  all_packed_ = true;
  return {};
}

const float* PlannedNetwork::packed(size_t step) const {
  if (plan_.packed[step] == absent) return nullptr;
  if (all_packed_) return packed_.get() + plan_.packed[step];
  pack(step, packed_.get());
  return packed_.get();
}

const float* PlannedNetwork::constant(int index) const {
  if (index == absent) return nullptr;
  const auto i = static_cast<size_t>(index);
  return constants_ ? constants_.get() + plan_.constants[i] : network_.constants[i].values;
}

Session::Session(std::shared_ptr<const PlannedNetwork> network)
    : network_(std::move(network)),
      block_(aligned_floats(plan().floats, plan().options.device)),
      host_(plan().host_floats > 0 ? aligned_floats(plan().host_floats) : nullptr) {}

float* Session::input() {
  return host_ ? host_.get() : block_.get() + plan().offsets[0];
}

void Session::run_steps() {
  const auto run_on = [&](auto device) {
    for (size_t i = 0; i < network_->network().steps.size(); ++i)
      Runner(device, *network_, block_.get(), i).run();
  };
  if (plan().options.device.is_cuda()) return on(plan().options.device, run_on);
  const auto turn = network_->begin_steps();
  run_on(Cpu{});
}

const float* Session::run() {
  const Plan& p = plan();
  const Device device = p.options.device;
  // All kernels of a GPU share its queue and their working memory.
  static std::mutex mutex;
  const std::unique_lock lock =
      device.is_cuda() ? std::unique_lock(mutex) : std::unique_lock<std::mutex>();
  float* const pictures = block_.get() + p.offsets.front();
  const float* const result = block_.get() + p.offsets.back();
  if (!host_) {
    run_steps();
    return result;
  }
  const int64_t input = p.height * p.width * network_->network().channels;
  const int64_t output = p.output().size() / p.options.pictures;
  float* const results = host_.get() + p.options.pictures * input;
  for (int64_t group = 0; group < p.groups(); ++group) {
    const int64_t first = std::min(group * p.together, p.options.pictures - p.together);
    upload(device, pictures, host_.get() + first * input, p.together * input);
    run_steps();
    download(device, results + first * output, result, p.together * output);
  }
  return results;
}

}  // namespace fettle::inference
