// Optimisers with Keras's rules and defaults.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/named_tensor.h"
#include "kernels/optimizer/optimizer.h"

namespace fettle {

struct OptimizerOptions {
  std::string name = "adam";                ///< sgd, adam, adamw or nadam
  std::optional<float> learning_rate = {};  ///< default 0.01 for sgd, 0.001 for the others
  float momentum = 0;                       ///< sgd
  bool nesterov = false;                    ///< sgd
  float beta_1 = 0.9f, beta_2 = 0.999f;     ///< the Adam family
  float epsilon = 1e-7f;                    ///< the Adam family
  float weight_decay = 0.004f;              ///< adamw: w -= learning_rate * weight_decay * w
};

/// Changes parameters by their gradients.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// One step with the gradients that backward() left, which are cleared. A parameter without a
  /// gradient stays as it is.
  void step();

  float learning_rate() const { return learning_rate_; }
  void set_learning_rate(float learning_rate) { learning_rate_ = learning_rate; }

  /// How many steps were made.
  int64_t steps() const { return steps_; }
  /// Takes up a run again: the number of steps; the slots are written through slots().
  virtual void set_steps(int64_t steps) { steps_ = steps; }

  /// Begins anew: no step made, every slot zero.
  void restart();
  /// Takes the same parameters by new handles, for example after a layer was frozen and freed.
  void rebind(const NamedTensors& tensors);
  /// How often that was: a step that was captured before trains other tensors.
  int64_t rebindings() const { return rebindings_; }

  /// The state of each parameter, for example "conv2d.weight/m".
  const NamedTensors& slots() const { return slots_; }

 protected:
  /// Takes the trainable ones of a model's tensors, which must be on one device, with up to two
  /// slots each.
  Optimizer(const NamedTensors& tensors, float learning_rate,
            const std::vector<std::string>& slots);

  /// Called once a step, before any parameter: finds the step's numbers.
  virtual void begin_step() = 0;
  /// Changes parameters, all on one device; m and v are their slots in the order of the
  /// constructor.
  virtual void update(Device device, OptimizerTensors tensors) = 0;
  /// What update() gives to the kernel: the numbers that begin_step() leaves in `step`. While a
  /// CUDA graph is being captured, begin_step() is called by each launch, which finds them in
  /// `memory`.
  template <class Step>
  Step numbers(const Step& step, Device device, Tensor& memory);

 private:
  void begin();

  NamedTensors parameters_, slots_;
  int64_t rebindings_ = 0;
  size_t slots_each_;
  float learning_rate_;
  int64_t steps_ = 0;
};

/// Throws Error listing the names when there is no such optimiser.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const NamedTensors& tensors);

}  // namespace fettle
