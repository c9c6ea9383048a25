// Convolutions of ResNet50 and Res-UNet on a GPU: every rung of the ladder that can compute them,
// in the three directions of training. Every result is compared with rung 1 before it is timed.
//
//   cmake --preset gpu-machine && cmake --build --preset gpu-machine
//   build/gpu-machine/bench/bench_conv2d_cuda --batch=32 --benchmark_out=conv2d_cuda.json
//
// Times are those of CUDA events around eight launches; buffers rotate, so that no launch finds its
// operands in the second-level cache. The counter FLOP/s counts a multiply and an add as two.
#include <benchmark/benchmark.h>
#include <cuda_runtime_api.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
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

GpuArray random_array(int64_t count) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(engine);
  GpuArray array = gpu_array(count);
  CHECK(cudaMemcpy(array.get(), values.data(), values.size() * sizeof(float),
                   cudaMemcpyHostToDevice));
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

std::vector<float> result(Conv2dDirection direction, const Conv2dPlan& plan, const Conv2dShape& s,
                          const Buffers& b) {
  std::vector<float> values(static_cast<size_t>(output_size(direction, b)));
  CHECK(cudaMemset(b.out.get(), 0xFF, values.size() * sizeof(float)));  // NaN
  compute(direction, plan, s, b);
  CHECK(cudaMemcpy(values.data(), b.out.get(), values.size() * sizeof(float),
                   cudaMemcpyDeviceToHost));
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

void time_plan(benchmark::State& state, Conv2dDirection direction, const Conv2dPlan& plan,
               const Conv2dShape& s) {
  const std::vector<Buffers> buffers = rotating(s);
  const double error = relative_error(result(direction, plan, s, buffers[0]),
                                      result(direction, Conv2dPlan{}, s, buffers[0]));
  const double allowed = plan.precision == Precision::fp32   ? 1e-5
                         : plan.precision == Precision::tf32 ? 1e-3
                                                             : 1e-2;
  if (!(error < allowed)) {
    state.SkipWithError(("wrong result, error " + std::to_string(error)).c_str());
    return;
  }
  cudaEvent_t begin, end;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  constexpr int launches = 8;
  size_t next = 0;
  for (auto _ : state) {
    CHECK(cudaEventRecord(begin));
    for (int i = 0; i < launches; ++i) {
      compute(direction, plan, s, buffers[next++ % buffers.size()]);
    }
    CHECK(cudaEventRecord(end));
    CHECK(cudaEventSynchronize(end));
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, begin, end));
    state.SetIterationTime(milliseconds / 1000 / launches);
  }
  CHECK(cudaEventDestroy(begin));
  CHECK(cudaEventDestroy(end));
  const double flops = 2.0 * static_cast<double>(s.N * s.P * s.Q * s.K) *
                       static_cast<double>(s.R * s.S * s.C / s.groups);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

void register_all(int64_t batch, int compute_capability) {
  constexpr const char* directions[] = {"forward", "backward_input", "backward_weight"};
  for (const Problem& problem : problems(batch)) {
    for (const auto direction : {Conv2dDirection::forward, Conv2dDirection::backward_input,
                                 Conv2dDirection::backward_weight}) {
      for (Conv2dPlan plan : all_conv2d_plans(direction, problem.shape, compute_capability)) {
        if (plan.splits > 1) continue;
        if (direction == Conv2dDirection::backward_weight && plan.rung != Conv2dRung::direct) {
          plan.splits = 32;  // few outputs, a long sum
        }
        const Conv2dShape& s = problem.shape;
        const std::string name =
            std::string(problem.network) + "/" + directions[static_cast<int>(direction)] + "/" +
            std::to_string(s.H) + "x" + std::to_string(s.C) + "_" + std::to_string(s.K) + "_" +
            std::to_string(s.R) + "_stride" + std::to_string(s.stride_h) + "/" + to_string(plan);
        benchmark::RegisterBenchmark(
            name.c_str(), [=](benchmark::State& state) { time_plan(state, direction, plan, s); })
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  int64_t batch = 32;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--batch=", 8) == 0) {
      batch = std::atoll(argv[i] + 8);
      for (int j = i; j + 1 < argc; ++j) argv[j] = argv[j + 1];
      --argc;
      break;
    }
  }
  if (batch < 1) {
    std::fprintf(stderr, "bench_conv2d_cuda: --batch needs a number of pictures, 1 or more\n");
    return 2;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  cudaDeviceProp properties;
  int count = 0, driver = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
    std::fprintf(stderr, "bench_conv2d_cuda: there is no GPU here, so there is nothing to time\n");
    return 1;
  }
  fettle::check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  cudaDriverGetVersion(&driver);
  benchmark::AddCustomContext("gpu", properties.name);
  benchmark::AddCustomContext("cuda_driver", std::to_string(driver));
  benchmark::AddCustomContext("batch", std::to_string(batch));
  fettle::register_all(batch, properties.major * 10 + properties.minor);
  try {
    benchmark::RunSpecifiedBenchmarks();
  } catch (const fettle::CudaError& error) {
    std::fprintf(stderr, "bench_conv2d_cuda: %s\n", error.what());
    return 1;
  }
}
