#include "engine/train/optimizer.h"

#include <cmath>
#include <map>

#include "engine/cuda_graph.h"
#include "kernels/recycling.h"

namespace fettle {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const NamedTensors& tensors, const OptimizerOptions& o)
      : Optimizer(tensors, o.learning_rate.value_or(0.01f), slots_of(o)),
        step_{.momentum = o.momentum, .nesterov = o.nesterov} {}

 private:
  static std::vector<std::string> slots_of(const OptimizerOptions& o) {
    return o.momentum > 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{};
  }
  void begin_step() override { step_.learning_rate = learning_rate(); }
  void update(Device where, OptimizerTensors tensors) override {
    Tensor memory;
    const SgdStep step = numbers(step_, where, memory);
    on(where, [&](auto device) { sgd_step(device, tensors, step); });
  }

  SgdStep step_;
};

/// Adam, AdamW and Nadam differ in the numbers of a step alone.
class Adam : public Optimizer {
 public:
  Adam(const NamedTensors& tensors, const OptimizerOptions& o)
      : Optimizer(tensors, o.learning_rate.value_or(0.001f), {"m", "v"}),
        nesterov_(o.name == "nadam"),
        decay_(o.name == "adamw" ? o.weight_decay : 0) {
    step_.beta_1 = o.beta_1;
    step_.beta_2 = o.beta_2;
    step_.epsilon = o.epsilon;
  }

  void set_steps(int64_t steps) override {
    Optimizer::set_steps(steps);
    product_ = 1;
    for (int64_t t = 1; t <= steps; ++t) product_ *= nadam_beta(t);
  }

 private:
  /// Nadam's momentum schedule.
  double nadam_beta(int64_t t) const {
    return step_.beta_1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(t)));
  }

  void begin_step() override {
    const auto t = static_cast<double>(steps());
    const double rate = learning_rate();
    const double square_correction = std::sqrt(1 - std::pow(step_.beta_2, t));
    step_.keep = static_cast<float>(1 - rate * decay_);
    if (nesterov_) {
      const double now = nadam_beta(steps()), next = nadam_beta(steps() + 1);
      product_ *= now;
      step_.m_scale = static_cast<float>(rate * next / (1 - product_ * next));
      step_.g_scale = static_cast<float>(rate * (1 - now) / (1 - product_));
      step_.v_scale = static_cast<float>(1 / square_correction);
    } else {
      step_.m_scale =
          static_cast<float>(rate * square_correction / (1 - std::pow(step_.beta_1, t)));
    }
  }

  void update(Device where, OptimizerTensors tensors) override {
    Tensor memory;
    const AdamStep step = numbers(step_, where, memory);
    on(where, [&](auto device) { adam_step(device, tensors, step); });
  }

  bool nesterov_;
  double decay_;
  double product_ = 1;  // of nadam_beta over the steps made
  AdamStep step_;
};

}  // namespace

Optimizer::Optimizer(const NamedTensors& tensors, float learning_rate,
                     const std::vector<std::string>& slots)
    : slots_each_(slots.size()), learning_rate_(learning_rate) {
  for (const NamedTensor& tensor : tensors) {
    if (!tensor.parameter || !tensor.trainable) continue;
    parameters_.push_back(tensor);
    for (const std::string& slot : slots) {
      slots_.push_back({tensor.name + "/" + slot,
                        Tensor::zeros(tensor.tensor.shape(), DType::f32, tensor.tensor.device())});
    }
    check_devices("optimizer", {parameters_[0].tensor, tensor.tensor});
  }
}

void Optimizer::begin() {
  ++steps_;
  begin_step();
}

template <class Step>
Step Optimizer::numbers(const Step& step, Device device, Tensor& memory) {
  if (!is_capturing()) return step;
  memory = host_made<uint8_t>({sizeof(Step)}, device, [this, &step] {
    begin();
    std::vector<uint8_t> bytes(sizeof(Step));
    std::memcpy(bytes.data(), &step, sizeof(Step));
    return bytes;
  });
  Step there = step;
  there.now = reinterpret_cast<const Step*>(memory.raw());
  return there;
}

void Optimizer::step() {
  if (!is_capturing()) begin();
  RecycledVector<OptimizerTensor> tensors;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& w = parameters_[i].tensor;
    const Tensor gradient = w.grad();
    if (!gradient.defined()) continue;
    const auto slot = [&](size_t k) {
      return k < slots_each_ ? slots_[i * slots_each_ + k].tensor.data() : nullptr;
    };
    float* const elements = w.data();
    tensors.push_back(
        {w.size(), gradient.data(), elements, slot(0), slot(1), w.rounded_to_write()});
  }
  if (tensors.empty()) return;
  update(parameters_[0].tensor.device(), tensors);
  for (NamedTensor& parameter : parameters_) parameter.tensor.clear_grad();
}

void Optimizer::restart() {
  set_steps(0);
  for (NamedTensor& slot : slots_) slot.tensor.fill(0);
}

void Optimizer::rebind(const NamedTensors& tensors) {
  ++rebindings_;
  std::map<std::string, Tensor> by_name;
  for (const NamedTensor& named : tensors) by_name[named.name] = named.tensor;
  for (NamedTensor& parameter : parameters_) {
    const auto found = by_name.find(parameter.name);
    require(found != by_name.end(), "the model has no longer a parameter ", parameter.name);
    parameter.tensor = found->second;
  }
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const NamedTensors& tensors) {
  if (options.name == "sgd") return std::make_unique<Sgd>(tensors, options);
  if (options.name == "adam" || options.name == "adamw" || options.name == "nadam") {
    return std::make_unique<Adam>(tensors, options);
  }
  throw Error("there is no optimizer called '", options.name,
              "'; choose sgd, adam, adamw or nadam");
}

}  // namespace fettle
