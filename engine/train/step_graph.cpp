#include "engine/train/step_graph.h"

namespace fettle {
namespace {

Tensor place_for(const Tensor& like, Device device) {
  if (!like.defined()) return {};
  return Tensor::empty(like.shape(), like.dtype(),
                       like.dtype() == DType::i32 ? like.device() : device);
}

}  // namespace

StepGraph::StepGraph(Device device, const Batch& like, const Step& step)
    : batch_{place_for(like.x, device), place_for(like.y, device), place_for(like.scaling, device)},
      graph_(device) {
  try {
    graph_.capture([&] {
      result_ = step(batch_);
      for (const Tensor* t : {&result_.logits, &result_.targets, &result_.loss}) t->compute();
    });
  } catch (const Error& error) {
    throw Error("the training step cannot be captured as a CUDA graph: ", error.what(),
                "; train without --cuda-graph");
  }
  for (Tensor* t : {&result_.logits, &result_.targets, &result_.loss}) *t = t->detach();
}

bool StepGraph::fits(const Batch& batch) const {
  return batch.x.shape() == batch_.x.shape() && batch.y.shape() == batch_.y.shape();
}

const StepResult& StepGraph::run(const Batch& batch) {
  batch_.x.copy_from(batch.x);
  batch_.y.copy_from(batch.y);
  if (batch_.scaling.defined()) batch_.scaling.copy_from(batch.scaling);
  graph_.launch();
  return result_;
}

}  // namespace fettle
