// Convolutions of ResNet50 and Res-UNet, and depthwise ones, on a GPU: every rung of the ladder
// that can compute them, in the three directions of training. Every result is compared with rung 1
// before it is timed.
//
//   cmake --preset gpu-machine && cmake --build --preset gpu-machine
//   build/gpu-machine/bench/bench_conv2d_cuda --batch 32 --out conv2d_cuda.json
//
// Times are those of CUDA events around some launches, up to 21 times: median, minimum and maximum;
// with --graph around the replay of a CUDA graph, for batches so small that starting a kernel would
// count. Buffers rotate, so that no launch finds its operands in the second-level cache. A multiply
// and an add count as two operations. Plans of bf16 take activations and weights in bf16. The plan
// that plan_conv2d() chooses for each precision is marked; others are tried with as many splits as
// fill the GPU. bench/conv2d_torch.py times cuDNN on the same shapes. No library of benchmarks:
// Debian has none to link statically.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <string>

#include "bench/gpu.h"
#include "bench/problems.h"
#include "bench/turns.h"
#include "kernels/conv2d/plan.h"
#include "kernels/cuda_error.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/half.h"

namespace fettle {
namespace {

/// Random numbers, made once and copied on the GPU: the host would need longer than all kernels.
GpuArray random_array(int64_t count) {
  constexpr int64_t pool_size = more_than_cache / 16;
  static const GpuArray pool = [] {
    const Floats values = random_values(pool_size);
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

/// Activations and weights lie there as fp32 and as bf16; gradients of weights are fp32 in every
/// plan.
struct Buffers {
  explicit Buffers(const Conv2dShape& s)
      : sizes{s.N * s.H * s.W * s.C, weight_floats(s), s.N * s.P * s.Q * s.K},
        x(random_array(sizes[0])),
        w(random_array(sizes[1])),
        dy(random_array(sizes[2])),
        x_bf16(rounded(x, sizes[0])),
        w_bf16(rounded(w, sizes[1])),
        dy_bf16(rounded(dy, sizes[2])),
        out(gpu_array(std::max({sizes[0], sizes[1], sizes[2]}))) {}

  static GpuArray rounded(const GpuArray& array, int64_t count) {
    GpuArray result = gpu_array((count + 1) / 2);
    convert(gpu(), count, array.get(), reinterpret_cast<bf16*>(result.get()));
    return result;
  }
  template <class T>
  const T* operand(const GpuArray& fp32, const GpuArray& in_bf16) const {
    if constexpr (std::is_same_v<T, float>) return fp32.get();
    return reinterpret_cast<const T*>(in_bf16.get());
  }

  int64_t sizes[3];
  GpuArray x, w, dy, x_bf16, w_bf16, dy_bf16, out;
};

template <class T>
void compute_on(Cuda device, Conv2dDirection direction, const Conv2dPlan& plan,
                const Conv2dShape& s, const Buffers& b) {
  const T *x = b.operand<T>(b.x, b.x_bf16), *dy = b.operand<T>(b.dy, b.dy_bf16);
  const T* w = b.operand<T>(b.w, b.w_bf16);
  T* out = reinterpret_cast<T*>(b.out.get());
  switch (direction) {
    case Conv2dDirection::forward:
      return conv2d_forward(device, plan, s, x, w, nullptr, Epilogue::linear, out);
    case Conv2dDirection::backward_input:
      return conv2d_backward_input(device, plan, s, dy, w, out);
    case Conv2dDirection::backward_weight:
      return conv2d_backward_weight(device, plan, s, dy, x, b.out.get());
  }
}

void compute(Cuda device, Conv2dDirection direction, const Conv2dPlan& plan, const Conv2dShape& s,
             const Buffers& b) {
  if (plan.precision == Precision::bf16) return compute_on<bf16>(device, direction, plan, s, b);
  compute_on<float>(device, direction, plan, s, b);
}

int64_t output_size(Conv2dDirection direction, const Buffers& b) {
  return b.sizes[direction == Conv2dDirection::forward          ? 2
                 : direction == Conv2dDirection::backward_input ? 0
                                                                : 1];
}

/// `count` results from `first` on, of floats or bf16.
template <class T>
void append(std::vector<float>& values, const Buffers& b, int64_t first, int64_t count) {
  std::vector<T> part(static_cast<size_t>(count));
  CHECK(cudaMemcpy(part.data(), reinterpret_cast<const T*>(b.out.get()) + first,
                   part.size() * sizeof(T), cudaMemcpyDeviceToHost));
  for (const T& value : part) {
    if constexpr (std::is_same_v<T, float>)
      values.push_back(value);
    else
      values.push_back(std::bit_cast<float>(uint32_t{value.bits} << 16));
  }
}

/// Of a large result the beginning and the end, which are enough to see whether a plan is right.
std::vector<float> result(Conv2dDirection direction, const Conv2dPlan& plan, const Conv2dShape& s,
                          const Buffers& b) {
  constexpr int64_t most = 1 << 20;
  const int64_t size = output_size(direction, b), head = std::min(size, most);
  const int64_t tail = std::min(size - head, most);
  const bool in_bf16 =
      plan.precision == Precision::bf16 && direction != Conv2dDirection::backward_weight;
  CHECK(cudaMemsetAsync(b.out.get(), 0xFF, static_cast<size_t>(size) * sizeof(float)));  // NaN
  compute(gpu(), direction, plan, s, b);
  std::vector<float> values;
  for (const auto& [first, count] : {std::pair{int64_t{0}, head}, std::pair{size - tail, tail}}) {
    if (in_bf16)
      append<bf16>(values, b, first, count);
    else
      append<float>(values, b, first, count);
  }
  return values;
}

/// Buffers of one shape, enough of them to exceed any second-level cache.
std::vector<Buffers> rotating(const Conv2dShape& s) {
  std::vector<Buffers> all;
  int64_t bytes = 0;
  do {
    all.emplace_back(s);
    bytes += 4 * (all[0].sizes[0] + all[0].sizes[1] + all[0].sizes[2]);
  } while (bytes < more_than_cache && all.size() < 512);
  return all;
}

/// Rung 1 adds fp32 one after another, and rounds the more the longer the sum is.
double tolerance(Precision precision, int64_t summands) {
  const double multiplying = precision == Precision::fp32   ? 1e-5
                             : precision == Precision::tf32 ? 1e-3
                                                            : 1e-2;
  return std::max(multiplying, 3e-8 * std::sqrt(static_cast<double>(summands)));
}

struct Options {
  std::vector<int64_t> batches = {32};
  std::string filter, precision, out;
  int least_rung = 3;
  bool quick = false, graph = false;
};

/// The plans to time: those of the rungs and the precision asked for, in several numbers of splits.
std::vector<Conv2dPlan> plans_of(Conv2dDirection direction, const Conv2dShape& s,
                                 const std::vector<Conv2dPlan>& chosen, const Options& options,
                                 int compute_capability, int multiprocessors) {
  std::vector<Conv2dPlan> plans = chosen;
  for (Conv2dPlan plan : all_conv2d_plans(direction, s, compute_capability)) {
    if (options.quick || plan.splits > 1 || static_cast<int>(plan.rung) + 1 < options.least_rung)
      continue;
    if (plan.rung < Conv2dRung::implicit_gemm) {
      plans.push_back(plan);
      continue;
    }
    // As many splits as fill the GPU some times; of a sum over channels only to fill it once.
    const int64_t tiles = std::max<int64_t>(conv2d_tiles(direction, s, plan), 1);
    for (const int times : {0, 1, 2, 4}) {
      if (direction != Conv2dDirection::backward_weight && times > 1) continue;
      plan.splits = static_cast<int>(
          std::clamp<int64_t>(times * multiprocessors / tiles, 1, s.N * s.P * s.Q / 64 + 1));
      plans.push_back(plan);
    }
  }
  std::vector<Conv2dPlan> distinct;
  for (const Conv2dPlan& plan : plans) {
    if (!options.precision.empty() && options.precision != name_of(plan.precision)) continue;
    const auto same = [&](const Conv2dPlan& other) { return to_string(other) == to_string(plan); };
    if (std::none_of(distinct.begin(), distinct.end(), same)) distinct.push_back(plan);
  }
  return distinct;
}

/// Whether the buffers fit, with a tenth left for scratch memory.
bool fits_memory(const Conv2dShape& s) {
  size_t free = 0, total = 0;
  CHECK(cudaMemGetInfo(&free, &total));
  const int64_t x = s.N * s.H * s.W * s.C, y = s.N * s.P * s.Q * s.K;
  return 4 * (x + y + std::max(x, y)) + 2 * (x + y) < static_cast<int64_t>(total / 10 * 9);
}

/// Times every plan of the direction and appends a row for each.
void run_direction(const Problem& problem, Conv2dDirection direction, const Options& options,
                   int compute_capability, int multiprocessors, nlohmann::ordered_json& rows) {
  constexpr const char* directions[] = {"forward", "backward_input", "backward_weight"};
  const Conv2dShape& s = problem.shape;
  const std::string extent = std::to_string(s.H) + (s.W == s.H ? "" : "x" + std::to_string(s.W));
  const std::string name = std::string(problem.network) + "/" +
                           directions[static_cast<int>(direction)] + "/" + extent + "x" +
                           std::to_string(s.C) + "_" + std::to_string(s.K) + "_" +
                           std::to_string(s.R) + "_stride" + std::to_string(s.stride_h);
  if (name.find(options.filter) == std::string::npos) return;
  if (!fits_memory(s)) {
    std::printf("%4ld %-54s needs more memory than the GPU has\n", s.N, name.c_str());
    return;
  }
  const std::vector<Buffers> buffers = rotating(s);
  const std::vector<float> expected = result(direction, Conv2dPlan{}, s, buffers[0]);
  std::vector<Conv2dPlan> chosen;
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16})
    chosen.push_back(plan_conv2d(direction, s, compute_capability, multiprocessors, precision));
  const bool weight = direction == Conv2dDirection::backward_weight;
  const int64_t summands = weight ? s.N * s.P * s.Q : s.R * s.S * std::max(s.C, s.K) / s.groups;
  for (const Conv2dPlan& plan :
       plans_of(direction, s, chosen, options, compute_capability, multiprocessors)) {
    const double error = relative_error(result(direction, plan, s, buffers[0]), expected);
    nlohmann::ordered_json row = {{"convolution", name},
                                  {"network", problem.network},
                                  {"direction", directions[static_cast<int>(direction)]},
                                  {"N", s.N},
                                  {"H", s.H},
                                  {"W", s.W},
                                  {"C", s.C},
                                  {"K", s.K},
                                  {"R", s.R},
                                  {"groups", s.groups},
                                  {"stride", s.stride_h},
                                  {"precision", name_of(plan.precision)},
                                  {"plan", to_string(plan)},
                                  {"error", error}};
    for (const Conv2dPlan& choice : chosen)
      if (to_string(choice) == to_string(plan)) row["chosen"] = true;
    std::printf("%4ld %-54s %-34s", s.N, name.c_str(), to_string(plan).c_str());
    if (error < tolerance(plan.precision, summands)) {
      const Times times = time_launches(
          buffers.size(),
          [&](Cuda device, size_t turn) { compute(device, direction, plan, s, buffers[turn]); },
          options.graph);
      row["median_seconds"] = times.median;
      row["min_seconds"] = times.least;
      row["max_seconds"] = times.most;
      row["flops_per_second"] = flops_of(s) / times.median;
      std::printf(" %10.1f %10.1f %10.1f %9.2f\n", times.median * 1e6, times.least * 1e6,
                  times.most * 1e6, flops_of(s) / times.median / 1e12);
    } else {
      row["wrong"] = true;
      std::printf(" wrong: error %g\n", error);
    }
    rows.push_back(row);
  }
}

/// Times every plan of every problem whose name holds the filter.
nlohmann::ordered_json run_all(const Options& options, int compute_capability,
                               int multiprocessors) {
  auto rows = nlohmann::ordered_json::array();
  std::printf("%4s %-54s %-34s %10s %10s %10s %9s\n", "N", "convolution", "plan", "median us",
              "min", "max", "TFLOP/s");
  for (const int64_t batch : options.batches) {
    std::vector<Problem> all = problems(batch);
    if (!options.quick) add_res_unet(all, "res_unet_256x1600", batch, 1600);
    for (const Problem& problem : all)
      for (const auto direction : {Conv2dDirection::forward, Conv2dDirection::backward_input,
                                   Conv2dDirection::backward_weight})
        run_direction(problem, direction, options, compute_capability, multiprocessors, rows);
  }
  return rows;
}

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  fettle::Options options;
  CLI::App program("Times every rung of the convolutions on a GPU");
  program.add_option("--batch", options.batches, "Pictures; several batches one after another")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  program.add_option("--filter", options.filter, "Only convolutions whose name holds this text");
  program
      .add_option("--least-rung", options.least_rung, "The lowest rung of the ladder that is timed")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  program.add_option("--precision", options.precision, "Only plans that multiply in this one")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}));
  program.add_flag("--quick", options.quick,
                   "Only square pictures, and the plans that plan_conv2d() chooses");
  program.add_flag("--graph", options.graph, "Time the replay of CUDA graphs");
  program.add_option("--out", options.out, "JSON file to write");
  CLI11_PARSE(program, argc, argv);
  try {
    nlohmann::ordered_json report = fettle::gpu_report("bench_conv2d_cuda");
    report["graph"] = options.graph;
    report["convolutions"] =
        fettle::run_all(options, report["compute_capability"], report["multiprocessors"]);
    if (!options.out.empty() && !fettle::write_report("bench_conv2d_cuda", options.out, report))
      return 1;
  } catch (const fettle::CudaError& error) {
    std::fprintf(stderr, "bench_conv2d_cuda: %s\n", error.what());
    return 1;
  }
}
