// The operations that move more than they compute, in the shapes of ResNet50 (224x224) and Res-UNet
// (256x256x1): one list for every device, with the bytes that each must move, each array once a
// pass.
#pragma once

#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "bench/turns.h"
#include "kernels/batch_norm/batch_norm.h"
#include "kernels/dropout/dropout.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/losses/losses.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/pool2d/pool2d.h"
#include "kernels/softmax/softmax.h"
#include "kernels/upsample2d/upsample2d.h"

namespace fettle {

/// An array of an operation; what it reads begins with random numbers in [low, high), or, where
/// `bytes_below` is given, with random bytes below that, four in the place of a float.
struct Operand {
  bool is_read = true, is_written = false;
  int64_t count = 0;
  float low = -1, high = 1;
  int bytes_below = 0;

  /// What the array begins with: NaN where it is not read.
  Floats beginning(uint64_t seed) const {
    if (!is_read) return Floats(static_cast<size_t>(count), NAN);
    if (!bytes_below) return random_values(count, low, high, seed);
    Floats values(static_cast<size_t>(count));
    std::mt19937 random(static_cast<uint32_t>(seed));
    for (std::byte& byte : std::as_writable_bytes(std::span(values)))
      byte = static_cast<std::byte>(random() % static_cast<uint32_t>(bytes_below));
    return values;
  }
};
inline Operand in(int64_t count, float low = -1, float high = 1) {
  return {true, false, count, low, high};
}
inline Operand out(int64_t count) {
  return {false, true, count};
}
inline Operand in_out(int64_t count, float low = -1, float high = 1) {
  return {true, true, count, low, high};
}
/// Written and read, and of no interest.
inline Operand scratch(int64_t count) {
  return {.is_read = false, .count = count};
}
inline Operand in_bytes(int64_t bytes, int below) {
  return {.count = bytes / 4, .bytes_below = below};
}
using Operands = std::vector<Operand>;

/// What an operation needs to be prepared that needs nothing.
struct Nothing {
  template <class Device>
  void operator()(Device, float* const*) const {}
};

// `Bench` times on one device; of each operation it is told the operands, whose addresses it hands
// to run(device, addresses):
//   bool wants(name, in_quick)                              whether the operation is asked for
//   void check(name, operands, run)                         compares with something else
//   void time(group, name, floats_moved, operands, run)
//   void measure(group, name, floats_moved, operands, run)  both; `prepare`, run first, may follow
//   auto integers(values)                                   a function of the device: where they
//   are

/// Batch-norm and what follows it in one pass, with the statistics of the batch.
template <class Bench>
void batch_norm(Bench& bench, const std::string& network, const BatchNormShape& s) {
  const std::string one = network + "/batch_norm_relu", two = network + "/batch_norm_add_relu";
  if (!bench.wants(one + " " + two, network == "res_unet")) return;
  const int64_t n = s.rows * s.C;
  // x, the other term, gamma, beta, mean, variance
  const auto sum = [](float* const* a, bool with_sum) {
    const BatchNormTerm<> normal = {.x = a[0],
                                    .gamma = a[2],
                                    .beta = a[3],
                                    .mean = a[4],
                                    .variance = a[5],
                                    .epsilon = 1e-3f,
                                    .of_batch = true};
    return BatchNormSum<>{{normal, {.x = with_sum ? a[1] : nullptr}}, Epilogue::relu};
  };
  // Where a sum is activated, a bit an element goes along; rows are whole bytes in these shapes,
  // and floats have four to a byte at most.
  const auto with_mask = [](BatchNormSum<> sum, float* bits) {
    if (needs_mask(sum)) sum.mask = reinterpret_cast<uint8_t*>(bits);
    return sum;
  };
  for (const bool with_sum : {false, true}) {
    const std::string& name = with_sum ? two : one;
    const int64_t others = with_sum ? n : 1, mask = with_sum ? n / 16 + 2 : 1;
    // The statistics must be known before anything is written: x is read twice, in both directions.
    bench.measure("batch_norm", name + "/forward", n * (with_sum ? 4 : 3) + n / 32 * with_sum,
                  {in(n), in(others), in(s.C, 0.5f, 1.5f), in(s.C), out(s.C), out(s.C), out(n),
                   scratch(mask)},
                  [=](auto device, float* const* a) {
                    batch_norm_statistics(device, s, a[0], a[4], a[5]);
                    batch_norm_apply(device, s, with_mask(sum(a, with_sum), a[7]), a[6]);
                  });
    Operands operands = {in(n),
                         in(others),
                         in(s.C, 0.5f, 1.5f),
                         in(s.C),
                         in(s.C, -0.1f, 0.1f),
                         in(s.C, 0.3f, 0.4f),
                         in(n, -0.9f, 1.1f),
                         out(s.C),
                         out(s.C),
                         out(n),
                         scratch(mask)};
    if (with_sum) operands.push_back(out(n));
    const auto terms = [=](float* const* a) { return with_mask(sum(a, with_sum), a[10]); };
    bench.measure(
        "batch_norm", name + "/backward", n * (with_sum ? 6 : 5) + n / 16 * with_sum, operands,
        [=](auto device, float* const* a) {
          const BatchNormGradients gradients = {{a[7]}, a[8]};
          batch_norm_backward_parameters(device, s, terms(a), a[6], gradients);
          batch_norm_backward_input(device, s, terms(a), a[6], gradients, a[9],
                                    with_sum ? a[11] : nullptr);
        },
        [=](auto device, float* const* a) { batch_norm_apply(device, s, terms(a), a[9]); });
  }
}

template <class Bench>
void elementwise(Bench& bench, int64_t pictures) {
  if (!bench.wants("res_unet/relu res_unet/add res_unet/dropout", true)) return;
  const int64_t n = pictures * 256 * 256 * 16;
  bench.measure("elementwise", "res_unet/add", 3 * n, {in(n), in(n), out(n)},
                [=](auto device, float* const* a) { add(device, n, a[0], a[1], a[2]); });
  bench.measure(
      "elementwise", "res_unet/relu/forward", 2 * n, {in(n), out(n)},
      [=](auto device, float* const* a) { unary_forward(device, Unary::relu, n, a[0], a[1]); });
  bench.measure("elementwise", "res_unet/relu/backward", 3 * n, {in(n), in(n), out(n)},
                [=](auto device, float* const* a) {
                  unary_backward(device, Unary::relu, n, a[0], a[1], a[2]);
                });
  bench.measure("dropout", "res_unet/dropout", 2 * n, {in(n), out(n)},
                [=](auto device, float* const* a) {
                  dropout(device, n, 0.2f, {.seed = 29, .step = 1}, a[0], a[1]);
                });
}

template <class Bench>
void pooling(Bench& bench, const std::string& name, bool maximum, const Pool2dShape& s) {
  if (!bench.wants(name, name == "res_unet/max_pool_2x2")) return;
  const int64_t x = s.N * s.H * s.W * s.C, y = s.N * s.P * s.Q * s.C;
  // In training a maximum leaves the byte that says where it stands.
  const int64_t places = maximum ? y / 4 : 0;
  const auto bytes = [](float* p) { return reinterpret_cast<uint8_t*>(p); };
  Operands operands = {in(x), out(y)};
  if (maximum) operands.push_back(out(places));
  bench.measure("pooling", name + "/forward", x + y + places, operands,
                [=](auto device, float* const* a) {
                  if (maximum) return max_pool2d_forward(device, s, a[0], a[1], bytes(a[2]));
                  average_pool2d_forward(device, s, a[0], a[1]);
                });
  bench.measure("pooling", name + "/backward", x + y + places,
                {in_bytes(4 * places, static_cast<int>(s.R * s.S)), in(y), out(x)},
                [=](auto device, float* const* a) {
                  if (maximum) return max_pool2d_backward(device, s, bytes(a[0]), a[1], a[2]);
                  average_pool2d_backward(device, s, a[1], a[2]);
                });
}

template <class Bench>
void pooling(Bench& bench, int64_t pictures) {
  const auto shape = [&](int64_t extent, int64_t C, int64_t window, int64_t stride, int64_t pad) {
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
  pooling(bench, "resnet50/max_pool_3x3", true, shape(112, 64, 3, 2, 1));
  pooling(bench, "res_unet/max_pool_2x2", true, shape(256, 16, 2, 2, 0));
  pooling(bench, "resnet50/global_average_pool", false, shape(56, 256, 56, 56, 0));
}

template <class Bench>
void upsampling(Bench& bench, const std::string& name, Upsampling how, int64_t pictures) {
  if (!bench.wants(name, how == Upsampling::nearest)) return;
  // The definition takes each pixel with each other: it is compared with on small pictures.
  for (const int64_t extent : {16, 128}) {
    const Upsample2dShape s = {.N = pictures, .H = extent, .W = extent, .C = 32};
    const int64_t x = s.N * s.H * s.W * s.C, y = 4 * x;
    const Operands up = {in(x), out(y)}, down = {in(y), out(x)};
    const auto forward = [=](auto device, float* const* a) {
      upsample2d_forward(device, s, how, a[0], a[1]);
    };
    const auto backward = [=](auto device, float* const* a) {
      upsample2d_backward(device, s, how, a[0], a[1]);
    };
    if (extent == 16) {
      bench.check(name + "/forward", up, forward);
      bench.check(name + "/backward", down, backward);
    } else {
      bench.time("upsampling", name + "/forward", x + y, up, forward);
      bench.time("upsampling", name + "/backward", x + y, down, backward);
    }
  }
}

/// Of 1000 classes, with more rows than any batch has.
template <class Bench>
void softmax(Bench& bench, int64_t pictures) {
  if (!bench.wants("resnet50/softmax", false)) return;
  const int64_t N = pictures * 1024, K = 1000, n = N * K;
  bench.measure("softmax", "resnet50/softmax/forward", 2 * n, {in(n, -4, 4), out(n)},
                [=](auto device, float* const* a) { softmax_forward(device, N, K, a[0], a[1]); });
  bench.measure(
      "softmax", "resnet50/softmax/backward", 3 * n, {in(n, 0, 2e-3f), in(n), out(n)},
      [=](auto device, float* const* a) { softmax_backward(device, N, K, a[0], a[1], a[2]); });
}

template <class Bench>
void cross_entropy(Bench& bench, int64_t pictures) {
  const std::string name = "resnet50/categorical_cross_entropy";
  if (!bench.wants(name, false)) return;
  // The definition takes each class with each other: it is compared with on few rows.
  for (const int64_t N : {int64_t{64}, pictures * 1024}) {
    const int64_t K = 1000, n = N * K;
    std::vector<int32_t> values(static_cast<size_t>(N));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * 37 % K);
    const auto labels = bench.integers(values);
    const CategoricalShape s = {.N = N, .K = K};
    const Operands to_loss = {in(n, -4, 4), out(N)}, back = {in(n, -4, 4), in(1, 1, 1), out(n)};
    const auto forward = [=](auto device, float* const* a) {
      categorical_cross_entropy_forward(device, s, a[0], labels(device), nullptr, a[1]);
    };
    const auto backward = [=](auto device, float* const* a) {
      categorical_cross_entropy_backward(device, s, a[0], labels(device), nullptr, a[1], a[2]);
    };
    if (N == 64) {
      bench.check(name + "/forward", to_loss, forward);
      bench.check(name + "/backward", back, backward);
    } else {
      bench.time("losses", name + "/forward", n + 2 * N, to_loss, forward);
      bench.time("losses", name + "/backward", 2 * n + N, back, backward);
    }
  }
}

template <class Bench>
void mask_losses(Bench& bench, int64_t pictures) {
  if (!bench.wants("res_unet/binary_cross_entropy res_unet/focal_tversky", false)) return;
  const TverskyShape tversky = {.N = pictures, .pixels = 256 * 256, .C = 4, .exponent = 0.75f};
  const int64_t n = tversky.N * tversky.pixels * tversky.C;
  const BinaryShape binary = {.n = n};
  const Operand targets = in(n, 0, 1), one = in(1, 1, 1);
  bench.measure("losses", "res_unet/binary_cross_entropy/forward", 3 * n,
                {in(n, -4, 4), targets, out(n)}, [=](auto device, float* const* a) {
                  binary_cross_entropy_forward(device, binary, a[0], a[1], nullptr, a[2]);
                });
  bench.measure("losses", "res_unet/binary_cross_entropy/backward", 3 * n,
                {in(n, -4, 4), targets, one, out(n)}, [=](auto device, float* const* a) {
                  binary_cross_entropy_backward(device, binary, a[0], a[1], nullptr, a[2], a[3]);
                });
  bench.measure("losses", "res_unet/focal_tversky/forward", 2 * n,
                {in(n, 0, 1), targets, out(3 * tversky.groups()), out(1)},
                [=](auto device, float* const* a) {
                  tversky_forward(device, tversky, a[0], a[1], a[2], a[3]);
                });
  // As sums that are a quarter to a half of the elements.
  const float quarter = static_cast<float>(n) / 4;
  bench.measure("losses", "res_unet/focal_tversky/backward", 2 * n,
                {targets, in(3 * tversky.groups(), quarter, 2 * quarter), one, out(n)},
                [=](auto device, float* const* a) {
                  tversky_backward(device, tversky, a[0], a[1], a[2], a[3]);
                });
}

/// On as many parameters as ResNet50 has, in tensors of equal length.
template <class Bench>
void optimizers(Bench& bench) {
  if (!bench.wants("resnet50/sgd_momentum resnet50/adam", true)) return;
  const int64_t tensors = 161, each = 158'752, n = tensors * each;  // aligned as tensors are
  const auto parts = [=](float* const* a, bool with_v) {
    std::vector<OptimizerTensor> all;
    for (int64_t i = 0; i < n; i += each)
      all.push_back({each, a[0] + i, a[1] + i, a[2] + i, with_v ? a[3] + i : nullptr});
    return all;
  };
  bench.measure("optimizers", "resnet50/sgd_momentum", 5 * n, {in(n), in_out(n), in_out(n)},
                [=](auto device, float* const* a) {
                  const SgdStep step = {.learning_rate = 1e-3f, .momentum = 0.9f};
                  sgd_step(device, parts(a, false), step);
                });
  bench.measure(
      "optimizers", "resnet50/adam", 7 * n, {in(n), in_out(n), in_out(n), in_out(n, 0, 1)},
      [=](auto device, float* const* a) { adam_step(device, parts(a, true), {.m_scale = 1e-3f}); });
}

/// Every operation of the list.
template <class Bench>
void memory_bound_operations(Bench& bench, int64_t pictures) {
  batch_norm(bench, "resnet50", {pictures * 56 * 56, 256});
  batch_norm(bench, "res_unet", {pictures * 256 * 256, 16});
  elementwise(bench, pictures);
  pooling(bench, pictures);
  upsampling(bench, "res_unet/upsample_nearest", Upsampling::nearest, pictures);
  upsampling(bench, "res_unet/upsample_bilinear", Upsampling::bilinear, pictures);
  softmax(bench, pictures);
  cross_entropy(bench, pictures);
  mask_losses(bench, pictures);
  optimizers(bench);
}

}  // namespace fettle
