// A whole training step as one CUDA graph: forward, loss, backward and optimiser.
#pragma once

#include <functional>

#include "engine/cuda_graph.h"
#include "engine/train/batch.h"

namespace fettle {

/// What of a training step is looked at afterwards.
struct StepResult {
  Tensor logits, targets, loss;
};

/// The step for batches of one shape. Each run computes what the step would, to the bit: what is
/// drawn and the optimiser's numbers are those of the run (host_made() in engine/cuda_graph.h), the
/// batch is copied to where the step was captured with it. The memory of a step belongs to the
/// graph as long as it lives, which must not be longer than parameters keep their places and are
/// trained alike.
class StepGraph {
 public:
  using Step = std::function<StepResult(const Batch& batch)>;

  /// Captures `step`, which must work on the device and has run before with such a batch; nothing
  /// is computed. Class numbers stay on the host. Throws Error saying why it cannot be captured.
  StepGraph(Device device, const Batch& like, const Step& step);

  /// Whether the batch has the shape that was captured.
  bool fits(const Batch& batch) const;
  /// The step of `batch`; the result holds until the next run. Within a TrainingScope.
  const StepResult& run(const Batch& batch);

 private:
  Batch batch_;
  StepResult result_;
  CudaGraph graph_;  // is destroyed, and so waits, before what it uses
};

}  // namespace fettle
