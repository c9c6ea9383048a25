// The timing behind set_conv2d_tuning().
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "kernels/conv2d/plan.h"
#include "kernels/cu.h"

#if !defined(__CUDACC__)
#include <cuda_runtime_api.h>  // the executor's
#endif

namespace fettle {

/// The plan with which run(plan) takes the shortest time on the device's stream: each runs once to
/// warm up, then three times by itself. Throws CudaError.
template <class Run>
Conv2dPlan quickest_plan(const std::vector<Conv2dPlan>& plans, Cuda device, const Run& run) {
  if (plans.size() == 1) return plans[0];
  const auto check = [](cudaError_t error) {
    if (error != cudaSuccess)
      throw CudaError(std::string("timing a convolution failed: ") + cudaGetErrorString(error));
  };
  struct Event {
    ~Event() { cudaEventDestroy(event); }
    cudaEvent_t event = nullptr;
  } begin, end;
  check(cudaEventCreateWithFlags(&begin.event, cudaEventDefault));
  check(cudaEventCreateWithFlags(&end.event, cudaEventDefault));
  const auto stream = static_cast<cudaStream_t>(device.stream);
  Conv2dPlan best = plans[0];
  float least = std::numeric_limits<float>::infinity();
  for (const Conv2dPlan& plan : plans) {
    run(plan);
    for (int i = 0; i < 3; ++i) {
      float milliseconds = 0;
      check(cudaEventRecord(begin.event, stream));
      run(plan);
      check(cudaEventRecord(end.event, stream));
      check(cudaEventSynchronize(end.event));
      check(cudaEventElapsedTime(&milliseconds, begin.event, end.event));
      if (milliseconds < least) {
        least = milliseconds;
        best = plan;
      }
    }
  }
  return best;
}

}  // namespace fettle
