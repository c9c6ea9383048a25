// Dense layers of the models beside OpenBLAS's sgemm on the same buffers, in the three directions
// of training. Every result is compared before it is timed; a multiply and an add count as two.
//
//   bench_dense --out dense.json && python3 bench/ratios.py dense.json
#include <cblas.h>

#include <cmath>

#include "bench/turns.h"
#include "kernels/dense/dense.h"

namespace {

using namespace fettle;

struct Layer {
  const char* name;
  int64_t C, K;
};
constexpr Layer layers[] = {
    {"resnet50", 2048, 1000},           {"tyre_cnn_1", 64 * 64 * 64, 128},
    {"wreck_cnn_1", 26 * 26 * 64, 100}, {"wreck_cnn_2", 100, 100},
    {"wreck_cnn_3", 100, 50},
};

/// Times one direction; both write to `result`.
void measure(Report& report, const std::string& group, const std::string& name, const DenseShape& s,
             Floats& result, const std::function<void()>& ours,
             const std::function<void()>& theirs) {
  theirs();
  const Floats expected = result;
  std::fill(result.begin(), result.end(), NAN);
  ours();
  require_equal(name, result, expected, 1e-5);
  const Contestant contestants[] = {{"fettle", ours}, {"openblas", theirs}};
  // The idle threads of OpenBLAS spin for about 20 ms.
  report.add(group, name, 2.0 * static_cast<double>(s.N * s.C * s.K), contestants, 30);
}

void measure(Report& report, const Layer& layer, int64_t batch) {
  const DenseShape s{batch, layer.C, layer.K};
  const std::string name = std::string(layer.name) + "/N" + std::to_string(s.N) + "_C" +
                           std::to_string(s.C) + "_K" + std::to_string(s.K);
  const auto wants = [&](const char* direction) {
    return report.wants(name + direction, batch == 8 && layer.K == 1000);
  };
  const bool forward = wants("/forward"), input = wants("/backward_input"),
             weight = wants("/backward_weight");
  if (!forward && !input && !weight) return;
  Floats x = random_values(s.N * s.C), w = random_values(s.K * s.C);
  Floats y(static_cast<size_t>(s.N * s.K)), dy = random_values(s.N * s.K);
  Floats dx(x.size()), dw(w.size());
  const int N = static_cast<int>(s.N), C = static_cast<int>(s.C), K = static_cast<int>(s.K);
  const std::string group = "dense N" + std::to_string(batch) + " ";
  if (forward)
    measure(
        report, group + "forward", name + "/forward", s, y,
        [&] { dense_forward(Cpu{}, s, x.data(), w.data(), nullptr, Epilogue::linear, y.data()); },
        [&] {
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, K, C, 1, x.data(), C, w.data(), C,
                      0, y.data(), K);
        });
  if (input)
    measure(
        report, group + "backward_input", name + "/backward_input", s, dx,
        [&] { dense_backward_input(Cpu{}, s, dy.data(), w.data(), dx.data()); },
        [&] {
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, C, K, 1, dy.data(), K, w.data(),
                      C, 0, dx.data(), C);
        });
  if (weight)
    measure(
        report, group + "backward_weight", name + "/backward_weight", s, dw,
        [&] { dense_backward_weight(Cpu{}, s, dy.data(), x.data(), dw.data()); },
        [&] {
          cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, K, C, N, 1, dy.data(), K, x.data(),
                      C, 0, dw.data(), C);
        });
}

}  // namespace

int main(int argc, char** argv) {
  const BenchOptions options =
      bench_options("Times the dense layers of the models beside OpenBLAS", argc, argv);
  Report report("bench_dense", "FLOP", options);
  report.for_threads([&](int threads) {
    openblas_set_num_threads(threads);
    for (const int64_t batch : {1, 8, 32})
      for (const Layer& layer : layers) measure(report, layer, batch);
  });
  return report.finish();
}
