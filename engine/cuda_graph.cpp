#include "engine/cuda_graph.h"

#include <utility>

namespace fettle {
namespace {
thread_local CudaGraph* current = nullptr;
}  // namespace

CudaGraph::CudaGraph(Device device) : memory_(device), graph_(device.index) {
  require(device.is_cuda(), "a CUDA graph is for a GPU, not for ", to_string(device));
}

void CudaGraph::capture(const std::function<void()>& work) {
  graph_.begin();
  current = this;
  try {
    const ReservedMemory::Use use(memory_);
    work();
  } catch (...) {
    current = nullptr;
    graph_.cancel();
    throw;
  }
  current = nullptr;
  graph_.end();
}

void CudaGraph::launch() {
  graph_.wait();
  for (const auto& refresh : refresh_) refresh();
  graph_.launch();
}

void CudaGraph::before_each_launch(std::function<void()> prepare) {
  current->refresh_.push_back(std::move(prepare));
}

Tensor CudaGraph::at_each_launch(Tensor t, std::function<void(std::byte*)> fill) {
  std::byte* pinned = current->graph_.copy_at_each_launch(t.raw(), t.bytes());
  current->refresh_.push_back([fill = std::move(fill), pinned] { fill(pinned); });
  return t;
}

bool is_capturing() {
  return current != nullptr;
}

}  // namespace fettle
