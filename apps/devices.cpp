// fettle devices: what this build can compute on.
#include <hwy/targets.h>

#include <iostream>

#include "apps/commands.h"
#include "engine/cuda_runtime.h"
#include "kernels/parallel.h"

namespace fettle {

void add_devices(CLI::App& program) {
  CLI::App* command = program.add_subcommand("devices", "List what fettle can compute on");
  command->callback([] {
#if defined(HWY_COMPILE_ONLY_STATIC)
    const int64_t best = HWY_STATIC_TARGET;
#else
    const int64_t best = hwy::SupportedTargets() & -hwy::SupportedTargets();
#endif
    std::cout << "cpu   " << threads() << " threads, " << hwy::TargetName(best) << " kernels\n";
    const std::vector<cuda::Gpu> gpus = cuda::gpus();
    if (gpus.empty()) std::cout << "cuda  none: " << cuda::why_no_gpu() << "\n";
    for (const cuda::Gpu& gpu : gpus) {
      std::cout << "cuda:" << gpu.index << "  " << gpu.name << ", compute capability "
                << gpu.compute_capability / 10 << "." << gpu.compute_capability % 10 << ", "
                << (gpu.free_bytes >> 20) << " of " << (gpu.total_bytes >> 20)
                << " MiB of memory free\n";
    }
  });
}

}  // namespace fettle
