// Work on a GPU that is started as a whole, again and again: one CUDA graph instead of hundreds of
// kernels, each of which the host would have to start.
//
// A launch repeats what was captured with its addresses and its numbers. So tensors that the work
// made stay the graph's (engine/memory.h), tensors from outside must be alive and in their place at
// each launch, and what differs from launch to launch is taken from the host by host_made().
#pragma once

#include <cstring>
#include <functional>
#include <span>

#include "engine/tensor.h"

namespace fettle {

class CudaGraph {
 public:
  explicit CudaGraph(Device device);
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /// Calls `work`, once in the graph's life, and keeps what it queues instead of computing it. Work
  /// that reads a tensor on the host throws Error. After an Error the graph is of no use.
  void capture(const std::function<void()>& work);
  /// While a graph is being captured: `prepare` is called by each launch, before anything of it is
  /// computed, and may itself compute.
  static void before_each_launch(std::function<void()> prepare);
  /// Computes what was captured. Tensors that the work made hold the results of the last launch.
  void launch();

 private:
  template <class T, class Make>
  friend Tensor host_made(const Shape&, Device, Make);
  static Tensor at_each_launch(Tensor t, std::function<void(std::byte*)> fill);

  ReservedMemory memory_;
  std::vector<std::function<void()>> refresh_;
  cuda::Graph graph_;
};

/// Whether this thread's work is being captured.
bool is_capturing();

/// A tensor with the elements that make() gives in a vector, on `device`. While a graph is being
/// captured, make() is called by each launch instead, before anything of it is computed, in the
/// order of the capture.
template <class T, class Make>
Tensor host_made(const Shape& shape, Device device, Make make) {
  if (!is_capturing()) return Tensor::from(shape, std::span<const T>(make()), device);
  Tensor t = Tensor::empty(shape, dtype_of<T>(), device);
  return CudaGraph::at_each_launch(t, [make = std::move(make), n = t.size()](std::byte* to) {
    const auto values = make();
    require(std::ssize(values) == n, "a captured tensor of ", n, " elements was given ",
            values.size());
    std::memcpy(to, values.data(), values.size() * sizeof(T));
  });
}

}  // namespace fettle
