#include "engine/train/step_graph.h"

namespace fettle {
namespace {

Tensor place_for(const Tensor& like, Device device) {
  return Tensor::empty(like.shape(), like.dtype(),
                       like.dtype() == DType::i32 ? like.device() : device);
}

}  // namespace

StepGraph::StepGraph(Device device, const Batch& like, const Step& step)
    : batch_{place_for(like.x, device), place_for(like.y, device)}, graph_(device) {
  try {
    graph_.capture([&] { result_ = step(batch_); });
  } catch (const Error& error) {
    throw Error("the training step cannot be captured as a CUDA graph: ", error.what(),
                "; train without --cuda-graph");
  }
  for (Tensor* t : {&result_.logits, &result_.targets, &result_.loss}) *t = t->detach();
}

bool StepGraph::fits(const Batch& batch) const {
  return batch.x.shape() == batch_.x.shape() && batch.y.shape() == batch_.y.shape() &&
         batch.y.dtype() == batch_.y.dtype();
}

const StepResult& StepGraph::run(const Batch& batch) {
  batch_.x.copy_from(batch.x);
  batch_.y.copy_from(batch.y);
  graph_.launch();
  return result_;
}

}  // namespace fettle
