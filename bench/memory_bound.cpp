// Operations that move more than they compute, in bytes/s beside a measured triad: of each, the
// bytes that it must move, each array once a pass. Every result is compared with the definition
// before it is timed.
//
//   bench_memory_bound --out memory_bound.json && python3 bench/ratios.py memory_bound.json
//
// Shapes are those of ResNet50 (224x224) and Res-UNet (256x256x1) with 16 pictures, so that the
// arrays are larger than the caches.
#include <cmath>

#include "bench/turns.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/dropout/dropout.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/losses/losses.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/softmax/softmax.h"
#include "kernels/upsample2d/upsample2d.h"

namespace {

using namespace fettle;
using Array = std::vector<float>;

constexpr int64_t pictures = 16;

Array zeros(int64_t count) {
  return Array(static_cast<size_t>(count));
}

/// Ends the program unless run(Cpu{}) gives the outputs that run(Reference{}) gives. What it reads
/// and writes at the same place (`in_place`) is the same before both.
template <class Run>
void check(const std::string& name, const std::vector<Array*>& outputs, const Run& run,
           bool in_place = false) {
  std::vector<Array> before, expected;
  for (const Array* output : outputs) before.push_back(*output);
  run(Reference{});
  for (size_t i = 0; i < outputs.size(); ++i) {
    expected.push_back(*outputs[i]);
    *outputs[i] = before[i];
    if (!in_place) std::fill(outputs[i]->begin(), outputs[i]->end(), NAN);
  }
  run(Cpu{});
  // A sum within rounding of ReLU's bend falls on either side of it: a few of millions of gradients
  // are whole or zero.
  for (size_t i = 0; i < outputs.size(); ++i) require_equal(name, *outputs[i], expected[i], 1e-3);
}

template <class Run>
void time_only(Report& report, const std::string& group, const std::string& name,
               int64_t floats_moved, const Run& run) {
  const Contestant contestants[] = {{"fettle", [&] { run(Cpu{}); }}};
  report.add(group, name, 4.0 * static_cast<double>(floats_moved), contestants);
}

template <class Run>
void measure(Report& report, const std::string& group, const std::string& name,
             int64_t floats_moved, const std::vector<Array*>& outputs, const Run& run,
             bool in_place = false) {
  check(name, outputs, run, in_place);
  time_only(report, group, name, floats_moved, run);
}

/// Batch-norm and what follows it in one pass, with the statistics of the batch.
void batch_norm(Report& report, const std::string& network, const BatchNormShape& s) {
  const std::string forward = network + "/batch_norm_relu",
                    with_sum = network + "/batch_norm_add_relu";
  if (!report.wants(forward + " " + with_sum, network == "res_unet")) return;
  const int64_t n = s.rows * s.C;
  const Array x = random_values(n), other = random_values(n), dy = random_values(n, -0.9f, 1.1f);
  const Array gamma = random_values(s.C, 0.5f, 1.5f), beta = random_values(s.C);
  Array mean = zeros(s.C), variance = zeros(s.C), y = zeros(n), dx = zeros(n), dother = zeros(n);
  Array dgamma = zeros(s.C), dbeta = zeros(s.C);
  const BatchNormTerm<> normal = {.x = x.data(),
                                  .gamma = gamma.data(),
                                  .beta = beta.data(),
                                  .mean = mean.data(),
                                  .variance = variance.data(),
                                  .epsilon = 1e-3f,
                                  .of_batch = true};
  for (const bool two : {false, true}) {
    const std::string& name = two ? with_sum : forward;
    const BatchNormSum<> sum = {{normal, {.x = two ? other.data() : nullptr}}, Epilogue::relu};
    // The statistics must be known before anything is written: x is read twice, in both directions.
    measure(report, "batch_norm", name + "/forward", n * (two ? 4 : 3), {&mean, &variance, &y},
            [&](auto device) {
              batch_norm_statistics(device, s, x.data(), mean.data(), variance.data());
              batch_norm_apply(device, s, sum, y.data());
            });
    const BatchNormGradients gradients = {{dgamma.data()}, dbeta.data()};
    std::vector<Array*> outputs = {&dgamma, &dbeta, &dx};
    if (two) outputs.push_back(&dother);
    measure(report, "batch_norm", name + "/backward", n * (two ? 8 : 5), outputs, [&](auto device) {
      batch_norm_backward_parameters(device, s, sum, dy.data(), gradients);
      batch_norm_backward_input(device, s, sum, dy.data(), gradients, dx.data(),
                                two ? dother.data() : nullptr);
    });
  }
}

void elementwise(Report& report) {
  if (!report.wants("res_unet/relu res_unet/add res_unet/dropout", true)) return;
  const int64_t n = pictures * 256 * 256 * 16;
  const Array x = random_values(n), dy = random_values(n);
  Array y = zeros(n);
  measure(report, "elementwise", "res_unet/add", 3 * n, {&y},
          [&](auto device) { add(device, n, x.data(), dy.data(), y.data()); });
  measure(report, "elementwise", "res_unet/relu/forward", 2 * n, {&y},
          [&](auto device) { unary_forward(device, Unary::relu, n, x.data(), y.data()); });
  measure(report, "elementwise", "res_unet/relu/backward", 3 * n, {&y}, [&](auto device) {
    unary_backward(device, Unary::relu, n, x.data(), dy.data(), y.data());
  });
  measure(report, "dropout", "res_unet/dropout", 2 * n, {&y}, [&](auto device) {
    dropout(device, n, 0.2f, {.seed = 29, .step = 1}, x.data(), y.data());
  });
}

void pooling(Report& report, const std::string& name, bool maximum, const Pool2dShape& s) {
  if (!report.wants(name, name == "res_unet/max_pool_2x2")) return;
  const int64_t in = s.N * s.H * s.W * s.C, out = s.N * s.P * s.Q * s.C;
  const Array x = random_values(in), dy = random_values(out);
  Array y = zeros(out), dx = zeros(in);
  measure(report, "pooling", name + "/forward", in + out, {&y}, [&](auto device) {
    if (maximum) return max_pool2d_forward(device, s, x.data(), y.data());
    average_pool2d_forward(device, s, x.data(), y.data());
  });
  measure(report, "pooling", name + "/backward", (maximum ? 2 : 1) * in + out, {&dx},
          [&](auto device) {
            if (maximum) return max_pool2d_backward(device, s, x.data(), dy.data(), dx.data());
            average_pool2d_backward(device, s, dy.data(), dx.data());
          });
}

void upsampling(Report& report, const std::string& name, Upsampling how) {
  if (!report.wants(name, how == Upsampling::nearest)) return;
  // The definition takes each pixel with each other: it is compared with on small pictures.
  for (const int64_t extent : {16, 128}) {
    const Upsample2dShape s = {.N = pictures, .H = extent, .W = extent, .C = 32};
    const int64_t in = s.N * s.H * s.W * s.C, out = 4 * in;
    const Array x = random_values(in), dy = random_values(out);
    Array y = zeros(out), dx = zeros(in);
    const auto forward = [&](auto device) {
      upsample2d_forward(device, s, how, x.data(), y.data());
    };
    const auto backward = [&](auto device) {
      upsample2d_backward(device, s, how, dy.data(), dx.data());
    };
    if (extent == 16) {
      check(name, {&y}, forward);
      check(name, {&dx}, backward);
    } else {
      time_only(report, "upsampling", name + "/forward", in + out, forward);
      time_only(report, "upsampling", name + "/backward", in + out, backward);
    }
  }
}

/// Of 1000 classes, with more rows than any batch has.
void softmax(Report& report) {
  if (!report.wants("resnet50/softmax", false)) return;
  const int64_t N = 1 << 14, K = 1000, n = N * K;
  const Array x = random_values(n, -4, 4), dy = random_values(n);
  Array y = zeros(n), dx = zeros(n);
  measure(report, "softmax", "resnet50/softmax/forward", 2 * n, {&y},
          [&](auto device) { softmax_forward(device, N, K, x.data(), y.data()); });
  measure(report, "softmax", "resnet50/softmax/backward", 3 * n, {&dx},
          [&](auto device) { softmax_backward(device, N, K, y.data(), dy.data(), dx.data()); });
}

void cross_entropy(Report& report) {
  const std::string name = "resnet50/categorical_cross_entropy";
  if (!report.wants(name, false)) return;
  // The definition takes each class with each other: it is compared with on few rows.
  for (const int64_t N : {64, 1 << 14}) {
    const int64_t K = 1000, n = N * K;
    const Array x = random_values(n, -4, 4), one = {1};
    Array loss = zeros(N), dx = zeros(n);
    std::vector<int32_t> labels(static_cast<size_t>(N));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(i * 37 % K);
    const CategoricalShape s = {.N = N, .K = K};
    const auto forward = [&](auto device) {
      categorical_cross_entropy_forward(device, s, x.data(), labels.data(), nullptr, loss.data());
    };
    const auto backward = [&](auto device) {
      categorical_cross_entropy_backward(device, s, x.data(), labels.data(), nullptr, one.data(),
                                         dx.data());
    };
    if (N == 64) {
      check(name, {&loss}, forward);
      check(name, {&dx}, backward);
    } else {
      time_only(report, "losses", name + "/forward", n + 2 * N, forward);
      time_only(report, "losses", name + "/backward", 2 * n + N, backward);
    }
  }
}

void mask_losses(Report& report) {
  if (!report.wants("res_unet/binary_cross_entropy res_unet/tversky", false)) return;
  const TverskyShape tversky = {.N = pictures, .pixels = 256 * 256, .C = 4, .exponent = 0.75f};
  const int64_t n = tversky.N * tversky.pixels * tversky.C;
  const BinaryShape binary = {.n = n};
  const Array z = random_values(n, -4, 4), t = random_values(n, 0, 1), one = {1};
  Array p = random_values(n, 0, 1), loss = zeros(n), dz = zeros(n), mean = zeros(1);
  Array sums = zeros(3 * tversky.groups());
  measure(report, "losses", "res_unet/binary_cross_entropy/forward", 3 * n, {&loss},
          [&](auto device) {
            binary_cross_entropy_forward(device, binary, z.data(), t.data(), nullptr, loss.data());
          });
  measure(report, "losses", "res_unet/binary_cross_entropy/backward", 3 * n, {&dz},
          [&](auto device) {
            binary_cross_entropy_backward(device, binary, z.data(), t.data(), nullptr, one.data(),
                                          dz.data());
          });
  measure(report, "losses", "res_unet/focal_tversky/forward", 2 * n, {&sums, &mean},
          [&](auto device) {
            tversky_forward(device, tversky, p.data(), t.data(), sums.data(), mean.data());
          });
  measure(report, "losses", "res_unet/focal_tversky/backward", 2 * n, {&dz}, [&](auto device) {
    tversky_backward(device, tversky, t.data(), sums.data(), one.data(), dz.data());
  });
}

/// On as many parameters as ResNet50 has, in tensors of equal length.
void optimizers(Report& report) {
  if (!report.wants("resnet50/sgd resnet50/adam", true)) return;
  const int64_t tensors = 161, each = 158'740, n = tensors * each;
  const Array g = random_values(n);
  Array w = random_values(n), m = random_values(n), v = random_values(n, 0, 1);
  std::vector<OptimizerTensor> all;
  for (int64_t i = 0; i < n; i += each)
    all.push_back({each, g.data() + i, w.data() + i, m.data() + i, v.data() + i});
  measure(
      report, "optimizers", "resnet50/sgd_momentum", 5 * n, {&w, &m},
      [&](auto device) { sgd_step(device, all, {.learning_rate = 1e-3f, .momentum = 0.9f}); },
      true);
  measure(
      report, "optimizers", "resnet50/adam", 7 * n, {&w, &m, &v},
      [&](auto device) { adam_step(device, all, {.m_scale = 1e-3f}); }, true);
}

}  // namespace

int main(int argc, char** argv) {
  const BenchOptions options = bench_options(
      "Times operations that are bound by memory beside a measured triad", argc, argv);
  Report report("bench_memory_bound", "bytes", options);
  report.for_threads([&](int) {
    batch_norm(report, "resnet50", {pictures * 56 * 56, 256});
    batch_norm(report, "res_unet", {pictures * 256 * 256, 16});
    elementwise(report);
    const auto pool = [](int64_t extent, int64_t C, int64_t window, int64_t stride, int64_t pad) {
      const int64_t out = (extent + 2 * pad - window) / stride + 1;
      return Pool2dShape{.N = pictures,
                         .H = extent,
                         .W = extent,
                         .C = C,
                         .R = window,
                         .S = window,
                         .P = out,
                         .Q = out,
                         .stride_h = stride,
                         .stride_w = stride,
                         .pad_top = pad,
                         .pad_left = pad};
    };
    pooling(report, "resnet50/max_pool_3x3", true, pool(112, 64, 3, 2, 1));
    pooling(report, "res_unet/max_pool_2x2", true, pool(256, 16, 2, 2, 0));
    pooling(report, "resnet50/global_average_pool", false, pool(56, 256, 56, 56, 0));
    upsampling(report, "res_unet/upsample_nearest", Upsampling::nearest);
    upsampling(report, "res_unet/upsample_bilinear", Upsampling::bilinear);
    softmax(report);
    cross_entropy(report);
    mask_losses(report);
    optimizers(report);
  });
  return report.finish();
}
