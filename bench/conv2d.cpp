// Convolutions of ResNet50 (224x224) and Res-UNet (256x256x1), and depthwise ones, beside oneDNN,
// in the three directions of training. Every result is compared before it is timed; a multiply and
// an add count as two.
//
//   bench_conv2d --out conv2d.json && python3 bench/ratios.py conv2d.json
//
// Ours packs the weights in each call (fettle), as a training step must, and forward also
// beforehand (fettle_packed), as the engine for prediction does; the quicker counts. So does the
// quickest of four ways of oneDNN:
//   onednn_nhwc      on the same buffers; since for weights [K,R,S,C] it has but a slow reference,
//                    each call brings them into its own layout
//   onednn_packed    the same, weights in its layout beforehand
//   onednn_own       activations in its own layout, too: as a network would keep them
//   onednn_winograd  in its own layouts, by Winograd's algorithm, where it has that
#include <omp.h>

#include <cstdio>
#include <memory>

#include "bench/onednn.h"
#include "bench/problems.h"
#include "bench/turns.h"
#include "kernels/conv2d/cpu_packed.h"
#include "kernels/parallel.h"

namespace {

using namespace fettle;

const std::vector<OneDnnWay> ways = {
    {.name = "onednn_nhwc", .activations = dnnl::memory::format_tag::nhwc, .reorder_weights = true},
    {.name = "onednn_packed", .activations = dnnl::memory::format_tag::nhwc},
    {.name = "onednn_own"},
    {.name = "onednn_winograd", .algorithm = dnnl::algorithm::convolution_winograd}};

struct Case {
  Conv2dShape s;
  Conv2dDirection direction;
  Floats x = random_values(s.N * s.H * s.W * s.C);
  Floats w = random_values(weight_floats(s));
  Floats y = random_values(s.N * s.P * s.Q * s.K);

  void run() {
    switch (direction) {
      case Conv2dDirection::forward:
        return conv2d_forward(Cpu{}, s, x.data(), w.data(), nullptr, Epilogue::linear, y.data());
      case Conv2dDirection::backward_input:
        return conv2d_backward_input(Cpu{}, s, y.data(), w.data(), x.data());
      case Conv2dDirection::backward_weight:
        return conv2d_backward_weight(Cpu{}, s, y.data(), x.data(), w.data());
    }
  }
  Floats& result() {
    return direction == Conv2dDirection::forward          ? y
           : direction == Conv2dDirection::backward_input ? x
                                                          : w;
  }
};

void measure(Report& report, const std::string& group, const std::string& name,
             Conv2dDirection direction, const Conv2dShape& s) {
  Case ours{s, direction};
  std::vector<Contestant> contestants = {{"fettle", [&] { ours.run(); }}};
  ours.run();
  const Floats expected = ours.result();
  Floats packed;
  if (direction == Conv2dDirection::forward && conv2d_packed_floats(s, Precision::fp32) > 0) {
    packed.resize(static_cast<size_t>(conv2d_packed_floats(s, Precision::fp32)));
    conv2d_pack(s, Precision::fp32, ours.w.data(), packed.data());
    contestants.push_back({"fettle_packed", [&] {
                             conv2d_forward_packed(s, Precision::fp32, ours.x.data(), packed.data(),
                                                   nullptr, nullptr, Epilogue::linear,
                                                   ours.y.data());
                           }});
    contestants.back().run();
    require_equal(name + " packed", ours.result(), expected, 1e-6);
  }
  for (const OneDnnWay& way : ways) {
    try {
      std::fill(ours.result().begin(), ours.result().end(), NAN);
      const auto theirs = std::make_shared<OneDnnConv2d>(
          way, direction, s, ConvBuffers{ours.x.data(), ours.w.data(), ours.y.data()});
      theirs->run();
      theirs->fetch();
      // Winograd's algorithm rounds more, and so does a sum over half a million pixels.
      const bool rough = way.algorithm == dnnl::algorithm::convolution_winograd ||
                         direction == Conv2dDirection::backward_weight;
      require_equal(name + " " + way.name, expected, ours.result(), rough ? 1e-3 : 1e-4);
      contestants.push_back({way.name, [theirs] { theirs->run(); }});
    } catch (const dnnl::error& error) {
      if (error.status != dnnl_unimplemented) throw;
    }
  }
  report.add(group, name, flops_of(s), contestants);
}

}  // namespace

int main(int argc, char** argv) {
  const BenchOptions options = bench_options(
      "Times the convolutions of ResNet50 and Res-UNet, and depthwise ones, beside oneDNN", argc,
      argv);
  Report report("bench_conv2d", "FLOP", options);
  report.for_threads([&](int threads) {
    omp_set_num_threads(threads);
    for (const int64_t batch : {1, 8}) {
      int number = 0;
      for (const Problem& problem : problems(batch)) {
        const bool in_quick = number++ % 8 == 2;
        const Conv2dShape& s = problem.shape;
        for (const auto& [direction, word] :
             {std::pair{Conv2dDirection::forward, "forward"},
              std::pair{Conv2dDirection::backward_input, "backward_input"},
              std::pair{Conv2dDirection::backward_weight, "backward_weight"}}) {
          char name[128];
          std::snprintf(name, sizeof name, "%s/N%ld_H%ld_C%ld_K%ld_R%ld_stride%ld/%s",
                        problem.network, s.N, s.H, s.C, s.K, s.R, s.stride_h, word);
          if (report.wants(name, in_quick))
            measure(report,
                    std::string(problem.network) + " N" + std::to_string(batch) + " " + word, name,
                    direction, s);
        }
      }
    }
  });
  return report.finish();
}
