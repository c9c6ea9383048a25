// Every rung of the convolution ladder, on the executor or on a GPU, over every case.
#if defined(FETTLE_CUDA)

#include <gtest/gtest.h>

#include <array>

#include "kernels/conv2d/statistics.h"
#include "tests/cases/conv2d.h"
#include "tests/kernel_check.h"

namespace fettle {
namespace {

/// Activations and weights of type T; those of bf16 are the rounded ones of fp32.
template <class T>
struct Inputs {
  explicit Inputs(const Conv2dShape& s)
      : x(converted<T>(random_values(s.N * s.H * s.W * s.C, 1))),
        w(converted<T>(random_values(s.K * s.R * s.S * (s.C / s.groups), 2))),
        bias(random_values(s.K, 3)),
        dy(converted<T>(random_values(s.N * s.P * s.Q * s.K, 4))) {}
  Array<T> x, w;
  Array<> bias;
  Array<T> dy;

  /// What a direction computes, by these arguments before the shape: a device, and a plan or none.
  /// With `adding`, to what is there already.
  template <class... A>
  Arrays run(Conv2dDirection direction, const Conv2dShape& s, bool adding, A... how) const {
    Array<T> out = converted<T>(unwritten(std::ssize(dy))), activated = adding ? dy : out;
    switch (direction) {
      case Conv2dDirection::forward:
        conv2d_forward(how..., s, x.data(), w.data(), nullptr, Epilogue::linear, out.data());
        conv2d_forward(how..., s, x.data(), w.data(), bias.data(), Epilogue::relu, activated.data(),
                       adding ? activated.data() : nullptr);
        return {converted<float>(out), converted<float>(activated)};
      case Conv2dDirection::backward_input:
        out = adding ? x : converted<T>(unwritten(std::ssize(x)));
        conv2d_backward_input(how..., s, dy.data(), w.data(), out.data(),
                              adding ? out.data() : nullptr);
        return {converted<float>(out)};
      case Conv2dDirection::backward_weight:
        break;
    }
    Array<> dw = unwritten(std::ssize(w));
    conv2d_backward_weight(how..., s, dy.data(), x.data(), dw.data());
    return {dw};
  }
};

/// A few roundings' relative error, as sums of random products carry it on; of the result, too.
double tolerance(Precision precision) {
  return precision == Precision::fp32 ? 2e-6 : precision == Precision::tf32 ? 1e-3 : 4e-3;
}

#if defined(FETTLE_SIMT)
constexpr bool on_executor = true, under_sanitizers = !simt::sees_accesses;
#else
constexpr bool on_executor = false, under_sanitizers = false;
#endif

/// Rung 6 has many plans, and the executor takes long for each: of a small case one is enough,
/// another in each case and direction. The sanitizers take long for all: so of every rung.
std::vector<Conv2dPlan> without_some(const std::vector<Conv2dPlan>& plans, size_t turn) {
  std::vector<Conv2dPlan> kept;
  for (size_t i = 0; i < plans.size(); ++i) {
    size_t place = 0, siblings = 0;
    for (size_t j = 0; j < plans.size(); ++j) {
      if (plans[j].rung != plans[i].rung || plans[j].precision != plans[i].precision) continue;
      ++siblings;
      if (j < i) ++place;
    }
    const bool one_is_enough =
        under_sanitizers || (on_executor && plans[i].rung == Conv2dRung::wgmma);
    if (!one_is_enough || place == turn % siblings) kept.push_back(plans[i]);
  }
  return kept;
}

/// Of every rung, or of one alone.
void expect_every_rung(const std::string& name, const Conv2dShape& s, bool every_plan = false,
                       std::optional<Conv2dRung> only = {}) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  size_t turn = std::hash<std::string>()(name);
  const Inputs<float> floats(s);
  const Inputs<bf16> rounded(s);
  Inputs<float> widened = floats;
  widened.x = converted<float>(rounded.x);
  widened.w = converted<float>(rounded.w);
  widened.dy = converted<float>(rounded.dy);
  for (const auto direction : {Conv2dDirection::forward, Conv2dDirection::backward_input,
                               Conv2dDirection::backward_weight}) {
    // Every second plan adds, in the next direction the others.
    const auto both = [&](const Inputs<float>& inputs) {
      return std::array{inputs.run(direction, s, false, Reference{}),
                        inputs.run(direction, s, true, Reference{})};
    };
    const auto of_floats = both(floats), of_rounded = both(widened);
    bool adding = ++turn % 2;
    auto all = all_conv2d_plans(direction, s, gpu_compute_capability());
    if (only) std::erase_if(all, [&](const Conv2dPlan& plan) { return plan.rung != *only; });
    EXPECT_FALSE(all.empty()) << name;
    for (const Conv2dPlan& plan : every_plan && !under_sanitizers ? all : without_some(all, turn)) {
      const std::string what = name + ", direction " + std::to_string(static_cast<int>(direction)) +
                               ", " + to_string(plan);
      adding = !adding;
      const auto check = [&](const auto& inputs, const auto& references, double tolerance) {
        const auto ours = run_on_gpu(
            [&](Cuda device) { return inputs.run(direction, s, adding, device, plan); }, what);
        if (ours) expect_close(*ours, references[adding], what, tolerance);
      };
      if (plan.precision != Precision::bf16) {
        check(floats, of_floats, tolerance(plan.precision));
      }
      if (plan.precision == Precision::bf16 || plan.rung == Conv2dRung::direct ||
          plan.rung == Conv2dRung::depthwise) {
        check(rounded, of_rounded, tolerance(Precision::bf16));
      }
    }
  }
}

class Conv2dRungs : public testing::TestWithParam<Conv2dCase> {};
TEST_P(Conv2dRungs, EqualTheDefinition) {
  const std::string& name = GetParam().name;
  expect_every_rung(name, GetParam().shape, name.starts_with("lines_of_") || name == "same_uneven");
}

/// Without those that are large for the sake of the CPU's blocking.
std::vector<Conv2dCase> small_cases() {
  std::vector<Conv2dCase> cases = conv2d_cases();
  std::erase_if(cases, [](const Conv2dCase& c) {
    const Conv2dShape& s = c.shape;
    return s.N * s.P * s.Q * s.K * s.R * s.S * s.C / s.groups > 1'000'000;
  });
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Cases, Conv2dRungs, testing::ValuesIn(small_cases()),
                         [](const auto& info) { return info.param.name; });

/// Shapes that end inside a tile along every axis, with sixteen-byte copies possible and not.
TEST(Conv2dRungsFuzzed, EqualTheDefinition) {
  Pick pick(7);
  for (int i = 0; i < 12; ++i) {
    const int64_t groups = i % 4 == 3 ? 2 : 1, four = i % 2 ? 4 : 1;
    Conv2dShape s = {.N = pick(1, 3),
                     .H = pick(3, 9),
                     .W = pick(3, 9),
                     .C = groups * four * pick(1, 6),
                     .K = groups * four * pick(1, 12),
                     .R = pick(1, 3),
                     .S = pick(1, 3),
                     .stride_h = pick(1, 3),
                     .stride_w = pick(1, 3),
                     .dilation_h = pick(1, 2),
                     .dilation_w = pick(1, 2),
                     .pad_top = pick(0, 2),
                     .pad_left = pick(0, 2),
                     .groups = groups};
    if (s.H + s.pad_top + 1 <= (s.R - 1) * s.dilation_h) continue;
    if (s.W + s.pad_left + 2 <= (s.S - 1) * s.dilation_w) continue;
    const Conv2dCase c = conv2d_case("fuzzed " + std::to_string(i), s, 1, 2);
    expect_every_rung(c.name, c.shape);
  }
}

/// Channels in vectors of both sizes and not, more than a block has lanes for, and more taps than
/// are summed at once.
TEST(Conv2dRungsDepthwise, EqualTheDefinition) {
  Pick pick(3);
  for (const int64_t C : {8, 12, 16, 24, 40, 72, 264, 273, 520}) {
    const Conv2dShape s = {.N = pick(1, 3),
                           .H = pick(5, 12),
                           .W = pick(5, 12),
                           .C = C,
                           .K = C,
                           .R = pick(1, 5),
                           .S = pick(2, 5),
                           .stride_h = pick(1, 2),
                           .stride_w = pick(1, 3),
                           .dilation_h = pick(1, 2),
                           .dilation_w = 1,
                           .pad_top = pick(0, 5),
                           .pad_left = pick(0, 2),
                           .groups = C};
    const Conv2dCase c = conv2d_case(std::to_string(C) + " channels", s, 4, 1);
    expect_every_rung(c.name, c.shape, true, Conv2dRung::depthwise);
  }
  const Conv2dCase many = conv2d_case(
      "many taps", {.N = 1, .H = 9, .W = 8, .C = 8, .K = 8, .R = 7, .S = 7, .groups = 8}, 3, 3);
  expect_every_rung(many.name, many.shape, true, Conv2dRung::depthwise);
}

/// Filters that are walked with: borders of every width, pictures smaller than a strip, channels in
/// one block of odd lanes and in several, walks cut into parts, and more walks than threads.
TEST(Conv2dRungsDepthwise, WalksEqualTheDefinition) {
  Pick pick(4);
  const auto expect = [](int64_t N, int64_t H, int64_t W, int64_t C, int64_t stride, int64_t top,
                         int64_t left, int64_t bottom, int64_t right) {
    const Conv2dShape s = {.N = N,
                           .H = H,
                           .W = W,
                           .C = C,
                           .K = C,
                           .R = 3,
                           .S = 3,
                           .stride_h = stride,
                           .stride_w = stride,
                           .pad_top = top,
                           .pad_left = left,
                           .groups = C};
    const Conv2dCase c = conv2d_case("walk " + std::to_string(H) + "x" + std::to_string(W) + "x" +
                                         std::to_string(C) + " by " + std::to_string(stride),
                                     s, bottom, right);
    expect_every_rung(c.name, c.shape, true, Conv2dRung::depthwise);
  };
  for (int i = 0; i < 24; ++i) {
    const int64_t C = 4 * (i % 4 == 0 ? pick(33, 80) : pick(1, 12));
    expect(pick(1, 3), pick(3, 12), pick(3, 14), C, 1 + i % 2, pick(0, 3), pick(0, 3), pick(0, 3),
           pick(0, 3));
  }
  expect(2, 1, 330, 1280, 1, 1, 1, 1, 1);
}

/// Rows and columns that end inside a tile, several tiles of both, means far from zero, and a
/// filter of zeros, whose outputs are all the same.
template <class T>
void expect_statistics(Precision precision, const Conv2dShape& s, const Array<>* bias) {
  const Inputs<T> in(s);
  Array<T> w = in.w;
  std::fill_n(w.begin(), s.R * s.S * s.C, T{});
  const BatchNormShape pixels = {s.N * s.P * s.Q, s.K};
  auto plans = all_conv2d_plans(Conv2dDirection::forward, s, gpu_compute_capability());
  std::erase_if(plans, [&](const Conv2dPlan& plan) {
    return plan.precision != precision || (plan.rung != Conv2dRung::wgmma && plan.tile != 0);
  });
  if (under_sanitizers) plans = without_some(plans, static_cast<size_t>(s.K));
  for (const Conv2dPlan& plan : plans) {
    const std::string what = to_string(plan) + (bias ? " with a bias" : "");
    const Array<> before = random_values(2 * s.K, 9);
    const auto ours = run_on_gpu(
        [&](Cuda device) {
          Array<T> y = converted<T>(unwritten(std::ssize(in.dy)));
          Arrays out = {unwritten(s.K), unwritten(s.K), before};
          conv2d_forward_statistics(device, plan, s, in.x.data(), w.data(),
                                    bias ? bias->data() : nullptr, y.data(), out[0].data(),
                                    out[1].data(), {0.75f, out[2].data(), out[2].data() + s.K});
          out.push_back(converted<float>(y));
          return out;
        },
        what);
    ASSERT_TRUE(ours);
    Arrays reference = {unwritten(s.K), unwritten(s.K), before};
    batch_norm_statistics(Reference{}, pixels, (*ours)[3].data(), reference[0].data(),
                          reference[1].data(),
                          {0.75f, reference[2].data(), reference[2].data() + s.K});
    expect_close({(*ours)[0], (*ours)[1], (*ours)[2]}, reference, what, 1e-6);
    for (int64_t k = 0; k < s.K; ++k)
      EXPECT_NEAR((*ours)[1][k], reference[1][k], 1e-5 * reference[1][k]) << what << ", " << k;
  }
}
TEST(Conv2dStatistics, AreThoseOfWhatIsStored) {
  if (!gpu_is_there()) GTEST_SKIP() << "no GPU";
  for (const int64_t K : {72, 30}) {
    const Conv2dShape s =
        conv2d_case("", {.N = 3, .H = 9, .W = 15, .C = 8, .K = K, .S = 2}, 0, 0).shape;
    Array<> bias = random_values(K, 5);
    for (float& b : bias) b *= 1000;
    for (const bool biased : {false, true}) {
      const Array<>* const of = biased ? &bias : nullptr;
      for (const Precision precision : {Precision::fp32, Precision::tf32})
        expect_statistics<float>(precision, s, of);
      expect_statistics<bf16>(Precision::bf16, s, of);
    }
  }
}

/// Tensor maps begin at multiples of 16 bytes: what does not is left to a rung without.
TEST(Conv2dRungsUnaligned, EqualTheDefinition) {
  if (!gpu_is_there() || gpu_compute_capability() != 90) GTEST_SKIP() << "no GPU of sm_90";
  const Conv2dShape s =
      conv2d_case("unaligned", {.N = 1, .H = 5, .W = 6, .C = 8, .K = 12, .R = 2}, 0, 0).shape;
  const Inputs<float> a(s);
  const Conv2dPlan plan = {Conv2dRung::wgmma, Precision::tf32, 1, 1};
  const auto from_one_on = [](const Array<>& values) {
    Array<> moved(values.size() + 1);
    std::copy(values.begin(), values.end(), moved.begin() + 1);
    return moved;
  };
  const auto compute = [&](auto device, int64_t skip, const Array<>& x, const Array<>& dy,
                           const auto&... plans) {
    Arrays out = {unwritten(a.dy.size()), unwritten(a.x.size())};
    conv2d_forward(device, plans..., s, x.data() + skip, a.w.data(), nullptr, Epilogue::linear,
                   out[0].data());
    conv2d_backward_input(device, plans..., s, dy.data() + skip, a.w.data(), out[1].data());
    return out;
  };
  const Array<> x = from_one_on(a.x), dy = from_one_on(a.dy);
  const auto ours =
      run_on_gpu([&](Cuda device) { return compute(device, 1, x, dy, plan); }, "unaligned");
  ASSERT_TRUE(ours);
  expect_close(*ours, compute(Reference{}, 0, a.x, a.dy), "unaligned", tolerance(plan.precision));
}

#if defined(FETTLE_SIMT)
/// What shared memory gives and takes in whole tiles of rung 5, in each direction: the fewest
/// passes over its banks.
TEST(Conv2dRungsCounted, SwizzledTilesKeepOutOfEachOthersBanks) {
  if (!simt::sees_accesses) GTEST_SKIP() << "AddressSanitizer watches the accesses of this build";
  const Conv2dCase c =
      conv2d_case("whole tiles", {.N = 1, .H = 16, .W = 8, .C = 128, .K = 128}, 0, 0);
  const Conv2dShape& s = c.shape;
  const Inputs<bf16> a(s);
  for (const int tile : {0, 1, 2, 3}) {
    const Conv2dPlan plan = {Conv2dRung::multistage, Precision::bf16, tile, 1};
    simt::options().count = true;
    for (const auto direction : {Conv2dDirection::forward, Conv2dDirection::backward_input,
                                 Conv2dDirection::backward_weight}) {
      a.run(direction, s, false, Cuda{}, plan);
    }
    simt::options() = {};
    int lines = 0;
    for (const simt::LineCounts& line : simt::take_counts()) {
      if (!line.shared) continue;
      EXPECT_EQ(line.wavefronts, line.ideal) << line.kernel << " at " << line.place;
      ++lines;
    }
    EXPECT_GE(lines, 6);
  }
}
#endif

}  // namespace
}  // namespace fettle

#endif
