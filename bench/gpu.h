// What the benchmarks of the GPU side share: memory, times by CUDA events, the machine's name.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace fettle {

/// Ends the program with the call and CUDA's reason when it failed.
void check(cudaError_t error, const char* call);
#define CHECK(call) ::fettle::check(call, #call)

using GpuArray = std::shared_ptr<float>;

/// Not initialised; freed with the last owner.
GpuArray gpu_array(int64_t count);

/// Operands rotate through more bytes than any second-level cache holds; the executor has none.
#if defined(FETTLE_SIMT)
constexpr int64_t more_than_cache = 1 << 20;
#else
constexpr int64_t more_than_cache = int64_t{256} << 20;
#endif

/// Seconds of one launch.
struct Times {
  double median, least, most;
};

/// The stream on which everything runs, ordered with the default stream's copies. One for all, as
/// kernels keep scratch memory for each.
Cuda gpu();

/// launch(device, turn) computes on the turn's buffers; turns count from 0 and are taken modulo
/// `buffers`. Times by CUDA events around some launches, up to 21 times. With `graph` they are
/// captured once and replayed, each buffer in turn, so that no time of the host's is within.
Times time_launches(size_t buffers, const std::function<void(Cuda device, size_t turn)>& launch,
                    bool graph = false);

/// Bytes read and written a second by the quickest of some copies of 1 GiB on the GPU.
double measured_copy();

/// What a report begins with: program, date, GPU, driver. Ends the program where there is no GPU.
nlohmann::ordered_json gpu_report(const std::string& program);

}  // namespace fettle
