// fettle devices: what this build can compute on.
#include <hwy/targets.h>

#include <iostream>

#include "apps/commands.h"
#include "engine/cuda_runtime.h"
#include "engine/error.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

/// A GPU that others have taken for themselves is still listed, with the reason.
std::string free_memory(const cuda::Gpu& gpu) {
  try {
    const cuda::MemoryInfo memory = cuda::memory_info(gpu.index);
    return cat(memory.free >> 20, " of ", memory.total >> 20, " MiB of memory free");
  } catch (const Error& error) {
    return cat(gpu.total_bytes >> 20, " MiB of memory; ", error.what());
  }
}

/// What processors' makers call a target of Highway.
std::string instructions(int64_t target) {
  const std::string name = hwy::TargetName(target);
  return name.starts_with("AVX3") ? "AVX-512" : name;
}

}  // namespace

void add_devices(CLI::App& program) {
  CLI::App* command = program.add_subcommand("devices", "List what fettle can compute on");
  command->callback([] {
#if defined(HWY_COMPILE_ONLY_STATIC)
    const int64_t best = HWY_STATIC_TARGET;
#else
    const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
    const int64_t best = targets & -targets;
#endif
    std::cout << "cpu   " << threads() << " threads, " << instructions(best) << " kernels\n";
    const std::vector<cuda::Gpu> gpus = cuda::gpus();
    if (gpus.empty()) std::cout << "cuda  none: " << cuda::why_no_gpu() << "\n";
    for (const cuda::Gpu& gpu : gpus) {
      std::cout << "cuda:" << gpu.index << "  " << gpu.name << ", compute capability "
                << gpu.compute_capability / 10 << "." << gpu.compute_capability % 10 << ", "
                << free_memory(gpu) << "\n";
    }
  });
}

}  // namespace fettle
