// Prints what each line of a kernel asks of memory, counted by the executor: how many 32-byte
// sectors of global memory a warp's request touches, and how many passes over the banks of shared
// memory it takes, beside the fewest that its bytes allow.
//   coalescing [rung ...]     direct, tiled, implicit_gemm, tensor_core, multistage, wgmma, patch,
//                             depthwise; by default all. Bulk copies are not requests of warps.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/conv2d/plan.h"
#include "tests/random_values.h"
#include "tests/simt/executor.h"

namespace fettle {
namespace {

/// Whole tiles, so that the figures are those of the inside of a picture.
constexpr Conv2dShape dense = {.N = 2,
                               .H = 8,
                               .W = 16,
                               .C = 32,
                               .K = 64,
                               .R = 3,
                               .S = 3,
                               .P = 8,
                               .Q = 16,
                               .pad_top = 1,
                               .pad_left = 1};
constexpr Conv2dShape depthwise = {.N = 2,
                                   .H = 32,
                                   .W = 32,
                                   .C = 64,
                                   .K = 64,
                                   .R = 3,
                                   .S = 3,
                                   .P = 32,
                                   .Q = 32,
                                   .pad_top = 1,
                                   .pad_left = 1,
                                   .groups = 64};

void print_table(const std::string& title) {
  std::printf("\n%s\n%-46s %-13s %9s %8s %8s\n", title.c_str(), "line", "access", "requests",
              "each", "fewest");
  for (const simt::LineCounts& line : simt::take_counts()) {
    const auto requests = static_cast<double>(line.requests);
    std::printf("%-46s %-13s %9lld %8.2f %8.2f\n", line.place.c_str(),
                (std::string(line.shared ? "shared " : "global ") + (line.write ? "write" : "read"))
                    .c_str(),
                static_cast<long long>(line.requests),
                static_cast<double>(line.shared ? line.wavefronts : line.sectors) / requests,
                static_cast<double>(line.ideal) / requests);
  }
}

void run(const Conv2dShape& s, const std::vector<std::string>& rungs) {
  const Array<> x = random_values(s.N * s.H * s.W * s.C, 1),
                w = random_values(s.K * 9 * (s.C / s.groups), 2),
                dy = random_values(s.N * s.P * s.Q * s.K, 3);
  const Array<bf16> x16 = converted<bf16>(x), w16 = converted<bf16>(w), dy16 = converted<bf16>(dy);
  Array<> y(dy.size()), dx(x.size()), dw(w.size());
  Array<bf16> y16(dy.size()), dx16(x.size());
  std::printf(
      "\nconv2d of [%lld,%lld,%lld,%lld] with 3x3 kernels to %lld channels in %lld groups. For a "
      "request of a warp:\nglobal: sectors of 32 bytes; shared: passes over the 32 banks.\n",
      static_cast<long long>(s.N), static_cast<long long>(s.H), static_cast<long long>(s.W),
      static_cast<long long>(s.C), static_cast<long long>(s.K), static_cast<long long>(s.groups));
  simt::options().count = true;
  simt::options().check_memory = false;
  const auto each_plan = [&](const char* name, Conv2dDirection direction, const auto& compute) {
    for (const Conv2dPlan& plan : all_conv2d_plans(direction, s, 90)) {
      const std::string text = to_string(plan);
      if (plan.splits > 1) continue;
      if (!rungs.empty() && std::none_of(rungs.begin(), rungs.end(), [&](const auto& rung) {
            return text.starts_with(rung);
          })) {
        continue;
      }
      compute(plan);
      print_table(std::string(name) + ", " + text);
    }
  };
  each_plan("forward", Conv2dDirection::forward, [&](const Conv2dPlan& plan) {
    const auto forward = [&](const auto& in, const auto& weights, auto& out) {
      conv2d_forward(Cuda{}, plan, s, in.data(), weights.data(), nullptr, Epilogue::linear,
                     out.data());
    };
    plan.precision == Precision::bf16 ? forward(x16, w16, y16) : forward(x, w, y);
  });
  each_plan("backward input", Conv2dDirection::backward_input, [&](const Conv2dPlan& plan) {
    const auto backward = [&](const auto& in, const auto& weights, auto& out) {
      conv2d_backward_input(Cuda{}, plan, s, in.data(), weights.data(), out.data());
    };
    plan.precision == Precision::bf16 ? backward(dy16, w16, dx16) : backward(dy, w, dx);
  });
  each_plan("backward weight", Conv2dDirection::backward_weight, [&](const Conv2dPlan& plan) {
    const auto backward = [&](const auto& out, const auto& in) {
      conv2d_backward_weight(Cuda{}, plan, s, out.data(), in.data(), dw.data());
    };
    plan.precision == Precision::bf16 ? backward(dy16, x16) : backward(dy, x);
  });
}

}  // namespace
}  // namespace fettle

int main(int argc, char** argv) {
  const std::vector<std::string> rungs(argv + 1, argv + argc);
  fettle::run(fettle::dense, rungs);
  fettle::run(fettle::depthwise, rungs.empty() ? std::vector<std::string>{"depthwise"} : rungs);
}
