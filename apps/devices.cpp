// fettle devices: what this build can compute on.
#include <hwy/targets.h>

#include <iostream>

#include "apps/commands.h"
#include "kernels/parallel.h"

namespace fettle {

void add_devices(CLI::App& program) {
  CLI::App* command = program.add_subcommand("devices", "List what fettle can compute on");
  command->callback([] {
    const int64_t best = hwy::SupportedTargets() & -hwy::SupportedTargets();
    std::cout << "cpu   " << threads() << " threads, " << hwy::TargetName(best) << " kernels\n"
              << "cuda  none: this build of fettle has no CUDA kernels\n";
  });
}

}  // namespace fettle
