// Operations that move more than they compute, on a GPU, in bytes/s beside a measured copy. Every
// result is compared with that of the CPU before it is timed.
//
//   build/gpu-machine/bench/bench_memory_bound_cuda --out memory_bound_cuda.json
//
// The list of operations is the CPU's. Buffers rotate, so that no launch finds its operands in the
// second-level cache; times are medians, least and most by CUDA events.
#include "bench/memory_bound.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/gpu.h"
#include "kernels/cuda_error.h"

namespace fettle {
namespace {

class OnGpu {
 public:
  explicit OnGpu(const std::string& filter, bool quick) : filter_(filter), quick_(quick) {}

  bool wants(const std::string& name, bool in_quick) const {
    return (in_quick || !quick_) && name.find(filter_) != std::string::npos;
  }

  /// time() compares with the CPU at any size.
  template <class Run>
  void check(const std::string&, const Operands&, const Run&) const {}

  template <class Run, class Prepare = Nothing>
  void time(const std::string& group, const std::string& name, int64_t floats_moved,
            const Operands& operands, const Run& run, const Prepare& prepare = {}) {
    const std::vector<Buffers> buffers = rotating(name, operands, run, prepare);
    const Times times = time_launches(buffers.size(), [&](Cuda device, size_t turn) {
      run(device, buffers[turn].addresses.data());
    });
    const double bytes = 4.0 * static_cast<double>(floats_moved), rate = bytes / times.median;
    cases.push_back({{"group", group},
                     {"case", name},
                     {"work", bytes},
                     {"median_seconds", times.median},
                     {"min_seconds", times.least},
                     {"max_seconds", times.most},
                     {"bytes_per_second", rate},
                     {"share_of_copy", rate / copy}});
    std::printf("%-48s %8.1f %10.1f %10.1f %10.1f %8.0f %6.0f%%\n", name.c_str(), bytes / 1e6,
                times.median * 1e6, times.least * 1e6, times.most * 1e6, rate / 1e9,
                100 * rate / copy);
  }

  template <class Run, class Prepare = Nothing>
  void measure(const std::string& group, const std::string& name, int64_t floats_moved,
               const Operands& operands, const Run& run, const Prepare& prepare = {}) {
    time(group, name, floats_moved, operands, run, prepare);
  }

  auto integers(const std::vector<int32_t>& values) const {
    const GpuArray on_gpu = gpu_array(static_cast<int64_t>(values.size()));
    CHECK(cudaMemcpy(on_gpu.get(), values.data(), values.size() * sizeof(int32_t),
                     cudaMemcpyHostToDevice));
    return [values, on_gpu](auto device) -> const int32_t* {
      if constexpr (std::is_same_v<decltype(device), Cuda>)
        return static_cast<const int32_t*>(static_cast<const void*>(on_gpu.get()));
      return values.data();
    };
  }

  double copy = 0;  ///< bytes/s
  nlohmann::ordered_json cases = nlohmann::ordered_json::array();

 private:
  struct Buffers {
    std::vector<GpuArray> arrays;
    std::vector<float*> addresses;
  };

  static Buffers on_gpu(const Operands& operands) {
    Buffers b;
    for (const Operand& operand : operands) {
      b.arrays.push_back(gpu_array(operand.count));
      b.addresses.push_back(b.arrays.back().get());
    }
    return b;
  }

  /// Buffers that exceed the cache, all with the same numbers. Ends the program unless the CPU
  /// computes from them what the GPU does.
  template <class Run, class Prepare>
  std::vector<Buffers> rotating(const std::string& name, const Operands& operands, const Run& run,
                                const Prepare& prepare) const {
    std::vector<Buffers> all = {on_gpu(operands)};
    std::vector<Floats> values;
    std::vector<float*> addresses;
    int64_t bytes = 0;
    const auto size = [&](size_t i) { return static_cast<size_t>(operands[i].count) * 4; };
    for (size_t i = 0; i < operands.size(); ++i) {
      values.push_back(operands[i].beginning(i + 1));
      addresses.push_back(values.back().data());
      CHECK(cudaMemcpy(all[0].addresses[i], addresses[i], size(i), cudaMemcpyHostToDevice));
      bytes += operands[i].count * 4;
    }
    prepare(gpu(), all[0].addresses.data());
    prepare(Cpu{}, addresses.data());
    for (int64_t total = bytes; total < more_than_cache; total += bytes) {
      all.push_back(on_gpu(operands));
      for (size_t i = 0; i < operands.size(); ++i)
        CHECK(cudaMemcpy(all.back().addresses[i], all[0].addresses[i], size(i),
                         cudaMemcpyDeviceToDevice));
    }
    run(gpu(), all[0].addresses.data());
    run(Cpu{}, addresses.data());
    for (size_t i = 0; i < operands.size(); ++i) {
      if (!operands[i].is_written) continue;
      std::vector<float> ours(values[i].size());
      CHECK(cudaMemcpy(ours.data(), all[0].addresses[i], size(i), cudaMemcpyDeviceToHost));
      require_equal(name, ours, values[i], 1e-3);  // see memory_bound.cpp
    }
    return all;
  }

  std::string filter_;
  bool quick_;
};

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  int64_t pictures = 32;
  bool quick = false;
  std::string filter, out;
  CLI::App program("Times operations that are bound by memory on a GPU beside a measured copy");
  program.add_option("--batch", pictures, "Pictures")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  program.add_option("--filter", filter, "Only operations whose name holds this text");
  program.add_flag("--quick", quick, "A few operations");
  program.add_option("--out", out, "JSON file to write");
  CLI11_PARSE(program, argc, argv);
  try {
    nlohmann::ordered_json report = fettle::gpu_report("bench_memory_bound_cuda");
    fettle::OnGpu bench(filter, quick);
    bench.copy = fettle::measured_copy();
    report["unit"] = "bytes";
    report["batch"] = pictures;
    report["limits"] = {{"copy_bytes_per_second", bench.copy}};
    std::printf("%s, a copy moves %.0f GB/s\n", report["gpu"].get<std::string>().c_str(),
                bench.copy / 1e9);
    std::printf("%-48s %8s %10s %10s %10s %8s %7s\n", "operation", "MB", "median us", "min", "max",
                "GB/s", "% copy");
    fettle::memory_bound_operations(bench, pictures);
    report["cases"] = bench.cases;
    if (!out.empty() && !fettle::write_report("bench_memory_bound_cuda", out, report)) return 1;
  } catch (const fettle::CudaError& error) {
    std::fprintf(stderr, "bench_memory_bound_cuda: %s\n", error.what());
    return 1;
  }
}
