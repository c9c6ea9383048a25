// Convolutions of ResNet50 and Res-UNet on a GPU: every rung of the ladder that can compute them,
// in the three directions of training. Every result is compared with rung 1 before it is timed.
//
//   cmake --preset gpu-machine && cmake --build --preset gpu-machine
//   build/gpu-machine/bench/bench_conv2d_cuda --batch 32 --out conv2d_cuda.json
//
// Times are those of CUDA events around some launches, up to 21 times: median, minimum and maximum.
// Buffers rotate, so that no launch finds its operands in the second-level cache. A multiply and an
// add count as two operations. The plan that plan_conv2d() chooses for each precision is marked.
// Backward-weight is tried with several numbers of splits. bench/conv2d_torch.py times cuDNN on the
// same shapes. No library of benchmarks: Debian has none to link statically.
#include <cuda_runtime_api.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "bench/problems.h"
#include "kernels/conv2d/plan.h"
#include "kernels/cuda_error.h"

namespace fettle {
namespace {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "bench_conv2d_cuda: %s failed: %s\n", call, cudaGetErrorString(error));
  std::exit(1);
}
#define CHECK(call) check(call, #call)

using GpuArray = std::shared_ptr<float>;

GpuArray gpu_array(int64_t count) {
  void* p = nullptr;
  CHECK(cudaMalloc(&p, static_cast<size_t>(count) * sizeof(float)));
  return {static_cast<float*>(p), [](float* q) { cudaFree(q); }};
}

/// Random numbers, made once and copied on the GPU: the host would need longer than all kernels.
GpuArray random_array(int64_t count) {
  constexpr int64_t pool_size = int64_t{1} << 24;
  static const GpuArray pool = [] {
    std::mt19937 engine(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(pool_size);
    for (float& value : values) value = uniform(engine);
    GpuArray array = gpu_array(pool_size);
    CHECK(cudaMemcpy(array.get(), values.data(), values.size() * sizeof(float),
                     cudaMemcpyHostToDevice));
    return array;
  }();
  GpuArray array = gpu_array(count);
  for (int64_t i = 0; i < count; i += pool_size - 4099) {  // no period that a kernel would share
    const auto bytes = static_cast<size_t>(std::min(pool_size - 4099, count - i)) * sizeof(float);
    CHECK(cudaMemcpy(array.get() + i, pool.get() + i % 4093, bytes, cudaMemcpyDeviceToDevice));
  }
  return array;
}

struct Buffers {
  explicit Buffers(const Conv2dShape& s)
      : sizes{s.N * s.H * s.W * s.C, s.K * s.R * s.S * s.C, s.N * s.P * s.Q * s.K},
        x(random_array(sizes[0])),
        w(random_array(sizes[1])),
        dy(random_array(sizes[2])),
        out(gpu_array(std::max({sizes[0], sizes[1], sizes[2]}))) {}
  int64_t sizes[3];
  GpuArray x, w, dy, out;
};

void compute(Conv2dDirection direction, const Conv2dPlan& plan, const Conv2dShape& s,
             const Buffers& b) {
  switch (direction) {
    case Conv2dDirection::forward:
      return conv2d_forward(Cuda{}, plan, s, b.x.get(), b.w.get(), nullptr, Epilogue::linear,
                            b.out.get());
    case Conv2dDirection::backward_input:
      return conv2d_backward_input(Cuda{}, plan, s, b.dy.get(), b.w.get(), b.out.get());
    case Conv2dDirection::backward_weight:
      return conv2d_backward_weight(Cuda{}, plan, s, b.dy.get(), b.x.get(), b.out.get());
  }
}

int64_t output_size(Conv2dDirection direction, const Buffers& b) {
  return b.sizes[direction == Conv2dDirection::forward          ? 2
                 : direction == Conv2dDirection::backward_input ? 0
                                                                : 1];
}

/// Of a large result the beginning and the end, which are enough to see whether a plan is right.
std::vector<float> result(Conv2dDirection direction, const Conv2dPlan& plan, const Conv2dShape& s,
                          const Buffers& b) {
  constexpr int64_t most = 4 << 20;
  const int64_t size = output_size(direction, b), head = std::min(size, most);
  const int64_t tail = std::min(size - head, most);
  std::vector<float> values(static_cast<size_t>(head + tail));
  CHECK(cudaMemset(b.out.get(), 0xFF, static_cast<size_t>(size) * sizeof(float)));  // NaN
  compute(direction, plan, s, b);
  const auto copy = [&](int64_t to, int64_t from, int64_t count) {
    CHECK(cudaMemcpy(values.data() + to, b.out.get() + from,
                     static_cast<size_t>(count) * sizeof(float), cudaMemcpyDeviceToHost));
  };
  copy(0, 0, head);
  copy(head, size - tail, tail);
  return values;
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

/// Buffers of one shape, enough of them to exceed any second-level cache.
std::vector<Buffers> rotating(const Conv2dShape& s) {
  constexpr int64_t more_than_cache = int64_t{256} << 20;
  std::vector<Buffers> all;
  int64_t bytes = 0;
  do {
    all.emplace_back(s);
    bytes += 4 * (all[0].sizes[0] + all[0].sizes[1] + all[0].sizes[2]);
  } while (bytes < more_than_cache && all.size() < 64);
  return all;
}

/// Seconds a launch: median, minimum, maximum.
struct Times {
  double median, least, most;
};

Times time_plan(Conv2dDirection direction, const Conv2dPlan& plan, const Conv2dShape& s,
                const std::vector<Buffers>& buffers) {
  compute(direction, plan, s, buffers[0]);
  CHECK(cudaDeviceSynchronize());
  const auto one = [&] {  // a launch, to choose how many there will be
    const auto begin = std::chrono::steady_clock::now();
    compute(direction, plan, s, buffers[0]);
    CHECK(cudaDeviceSynchronize());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }();
  constexpr double budget = 0.03;
  const int launches = std::clamp(static_cast<int>(0.001 / one), 1, 8);
  const int repeats = std::clamp(static_cast<int>(budget / (one * launches)), 3, 21);
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<double> seconds;
  size_t next = 0;
  for (int repeat = -2; repeat < repeats; ++repeat) {  // two to warm up
    CHECK(cudaEventRecord(begin));
    for (int i = 0; i < launches; ++i) {
      compute(direction, plan, s, buffers[next++ % buffers.size()]);
    }
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
    if (repeat >= 0) seconds.push_back(milliseconds / 1000 / launches);
  }
  CHECK(cudaEventDestroy(begin));
  CHECK(cudaEventDestroy(end));
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

double tolerance(Precision precision) {
  return precision == Precision::fp32 ? 1e-5 : precision == Precision::tf32 ? 1e-3 : 1e-2;
}

/// The plans to time: those of the rungs asked for, backward-weight in several splits.
std::vector<Conv2dPlan> plans_of(Conv2dDirection direction, const Conv2dShape& s,
                                 const std::vector<Conv2dPlan>& chosen, int least_rung,
                                 int compute_capability) {
  std::vector<Conv2dPlan> plans = chosen;
  for (Conv2dPlan plan : all_conv2d_plans(direction, s, compute_capability)) {
    if (plan.splits > 1 || static_cast<int>(plan.rung) + 1 < least_rung) continue;
    const bool split = direction == Conv2dDirection::backward_weight &&
                       plan.rung != Conv2dRung::direct && plan.rung != Conv2dRung::tiled;
    for (const int splits : split ? std::vector{4, 16, 64, 256} : std::vector{1}) {
      plan.splits = splits;
      plans.push_back(plan);
    }
  }
  std::vector<Conv2dPlan> distinct;
  for (const Conv2dPlan& plan : plans) {
    const auto same = [&](const Conv2dPlan& other) { return to_string(other) == to_string(plan); };
    if (std::none_of(distinct.begin(), distinct.end(), same)) distinct.push_back(plan);
  }
  return distinct;
}

/// Times every plan of every problem whose name holds `filter`.
nlohmann::ordered_json run_all(int64_t batch, const std::string& filter, int least_rung,
                               int compute_capability, int multiprocessors) {
  constexpr const char* words[] = {"fp32", "tf32", "bf16"};
  constexpr const char* directions[] = {"forward", "backward_input", "backward_weight"};
  auto all = nlohmann::ordered_json::array();
  std::printf("%-58s %-34s %10s %10s %10s %9s\n", "convolution", "plan", "median us", "min", "max",
              "TFLOP/s");
  for (const Problem& problem : problems(batch)) {
    const Conv2dShape& s = problem.shape;
    for (const auto direction : {Conv2dDirection::forward, Conv2dDirection::backward_input,
                                 Conv2dDirection::backward_weight}) {
      const std::string name = std::string(problem.network) + "/" +
                               directions[static_cast<int>(direction)] + "/" + std::to_string(s.H) +
                               "x" + std::to_string(s.C) + "_" + std::to_string(s.K) + "_" +
                               std::to_string(s.R) + "_stride" + std::to_string(s.stride_h);
      if (name.find(filter) == std::string::npos) continue;
      const std::vector<Buffers> buffers = rotating(s);
      const std::vector<float> expected = result(direction, Conv2dPlan{}, s, buffers[0]);
      std::vector<Conv2dPlan> chosen;
      for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
        chosen.push_back(plan_conv2d(direction, s, compute_capability, multiprocessors, precision));
      for (const Conv2dPlan& plan :
           plans_of(direction, s, chosen, least_rung, compute_capability)) {
        const double error = relative_error(result(direction, plan, s, buffers[0]), expected);
        nlohmann::ordered_json row = {{"convolution", name},
                                      {"network", problem.network},
                                      {"direction", directions[static_cast<int>(direction)]},
                                      {"N", s.N},
                                      {"H", s.H},
                                      {"C", s.C},
                                      {"K", s.K},
                                      {"R", s.R},
                                      {"stride", s.stride_h},
                                      {"precision", words[static_cast<int>(plan.precision)]},
                                      {"plan", to_string(plan)},
                                      {"error", error}};
        for (const Conv2dPlan& choice : chosen)
          if (to_string(choice) == to_string(plan)) row["chosen"] = true;
        if (!(error < tolerance(plan.precision))) {
          std::printf("%-58s %-34s wrong: error %g\n", name.c_str(), to_string(plan).c_str(),
                      error);
          row["wrong"] = true;
          all.push_back(row);
          continue;
        }
        const Times times = time_plan(direction, plan, s, buffers);
        const double flops = 2.0 * static_cast<double>(s.N * s.P * s.Q * s.K) *
                             static_cast<double>(s.R * s.S * s.C / s.groups);
        row["median_seconds"] = times.median;
        row["min_seconds"] = times.least;
        row["max_seconds"] = times.most;
        row["flops_per_second"] = flops / times.median;
        std::printf("%-58s %-34s %10.1f %10.1f %10.1f %9.2f\n", name.c_str(),
                    to_string(plan).c_str(), times.median * 1e6, times.least * 1e6,
                    times.most * 1e6, flops / times.median / 1e12);
        all.push_back(row);
      }
    }
  }
  return all;
}

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  int64_t batch = 32;
  std::string out, filter;
  int least_rung = 3;
  CLI::App program("Times every rung of the convolutions on a GPU");
  program.add_option("--batch", batch, "Pictures")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  program.add_option("--filter", filter, "Only convolutions whose name holds this text");
  program.add_option("--least-rung", least_rung, "The lowest rung of the ladder that is timed")
      ->check(CLI::Range(1, 6))
      ->capture_default_str();
  program.add_option("--out", out, "JSON file to write");
  CLI11_PARSE(program, argc, argv);
  cudaDeviceProp properties;
  int count = 0, driver = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
    std::fprintf(stderr, "bench_conv2d_cuda: there is no GPU here, so there is nothing to time\n");
    return 1;
  }
  fettle::check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  cudaDriverGetVersion(&driver);
  try {
    nlohmann::ordered_json report = {{"gpu", properties.name},
                                     {"cuda_driver", driver},
                                     {"multiprocessors", properties.multiProcessorCount},
                                     {"batch", batch}};
    report["convolutions"] =
        fettle::run_all(batch, filter, least_rung, properties.major * 10 + properties.minor,
                        properties.multiProcessorCount);
    if (!out.empty() && !(std::ofstream(out) << report.dump(1) << "\n")) {
      std::fprintf(stderr, "bench_conv2d_cuda: '%s' cannot be written\n", out.c_str());
      return 1;
    }
  } catch (const fettle::CudaError& error) {
    std::fprintf(stderr, "bench_conv2d_cuda: %s\n", error.what());
    return 1;
  }
}
