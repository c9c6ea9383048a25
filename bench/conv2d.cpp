// Convolutions of ResNet50 (224x224) and Res-UNet (256x256x1): ours beside oneDNN on the same
// buffers, in the three directions of training. Every result is compared before it is timed.
//
//   cmake --preset release -DFETTLE_BENCH=ON && cmake --build --preset release
//   OMP_NUM_THREADS=2 build/release/bench/bench_conv2d --benchmark_out=conv2d.json
//
// oneDNN may choose its own layout for weights and activations (format_tag::any); the reorders into
// it happen before the clock starts, since a network would keep that layout from layer to layer.
// The counter `FLOP/s` counts a multiply and an add as two.
#include <benchmark/benchmark.h>
#include <omp.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>
#include <unordered_map>
#include <vector>

#include "bench/problems.h"
#include "kernels/parallel.h"

namespace {

using fettle::Conv2dShape;
using fettle::Cpu;
using fettle::Epilogue;
using fettle::Problem;
using fettle::problems;

enum class Direction { forward, backward_input, backward_weight };
const char* name_of(Direction direction) {
  return direction == Direction::forward          ? "forward"
         : direction == Direction::backward_input ? "backward_input"
                                                  : "backward_weight";
}

struct Buffers {
  explicit Buffers(const Conv2dShape& s)
      : x(random(s.N * s.H * s.W * s.C)),
        w(random(s.K * s.R * s.S * s.C)),
        dy(random(s.N * s.P * s.Q * s.K)),
        y(dy.size()),
        dx(x.size()),
        dw(w.size()) {}
  static std::vector<float> random(int64_t count) {
    std::mt19937 engine(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = uniform(engine);
    return values;
  }
  std::vector<float> x, w, dy, y, dx, dw;
};

void run_ours(Direction direction, const Conv2dShape& s, Buffers& b) {
  switch (direction) {
    case Direction::forward:
      return conv2d_forward(Cpu{}, s, b.x.data(), b.w.data(), nullptr, Epilogue::linear,
                            b.y.data());
    case Direction::backward_input:
      return conv2d_backward_input(Cpu{}, s, b.dy.data(), b.w.data(), b.dx.data());
    case Direction::backward_weight:
      return conv2d_backward_weight(Cpu{}, s, b.dy.data(), b.x.data(), b.dw.data());
  }
}

/// One convolution of oneDNN, in the layouts that it prefers.
class OneDnn {
 public:
  OneDnn(Direction direction, const Conv2dShape& s, Buffers& b)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using tag = dnnl::memory::format_tag;
    const auto any = [](const dnnl::memory::dims& dims) {
      return dnnl::memory::desc(dims, dnnl::memory::data_type::f32, tag::any);
    };
    const dnnl::memory::dims x{s.N, s.C, s.H, s.W}, w{s.K, s.C, s.R, s.S}, y{s.N, s.K, s.P, s.Q};
    const dnnl::memory::dims strides{s.stride_h, s.stride_w}, before{s.pad_top, s.pad_left};
    const dnnl::memory::dims after{(s.P - 1) * s.stride_h + s.R - s.H - s.pad_top,
                                   (s.Q - 1) * s.stride_w + s.S - s.W - s.pad_left};
    const auto direct = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, direct, any(x), any(w), any(y), strides, before, after},
        engine_);
    const auto user = [&](const dnnl::memory::dims& dims, tag layout, std::vector<float>& values) {
      return dnnl::memory({dims, dnnl::memory::data_type::f32, layout}, engine_, values.data());
    };
    dnnl::memory ux = user(x, tag::nhwc, b.x), uw = user(w, tag::ohwi, b.w);
    dnnl::memory udy = user(y, tag::nhwc, b.dy);
    switch (direction) {
      case Direction::forward:
        add(DNNL_ARG_SRC, ux, forward.src_desc());
        add(DNNL_ARG_WEIGHTS, uw, forward.weights_desc());
        result(DNNL_ARG_DST, forward.dst_desc(), user(y, tag::nhwc, b.y));
        primitive_ = dnnl::convolution_forward(forward);
        break;
      case Direction::backward_input: {
        const dnnl::convolution_backward_data::primitive_desc backward(
            {direct, any(x), any(w), any(y), strides, before, after}, engine_, forward);
        add(DNNL_ARG_DIFF_DST, udy, backward.diff_dst_desc());
        add(DNNL_ARG_WEIGHTS, uw, backward.weights_desc());
        result(DNNL_ARG_DIFF_SRC, backward.diff_src_desc(), user(x, tag::nhwc, b.dx));
        primitive_ = dnnl::convolution_backward_data(backward);
        break;
      }
      case Direction::backward_weight: {
        const dnnl::convolution_backward_weights::primitive_desc backward(
            {direct, any(x), any(w), any(y), strides, before, after}, engine_, forward);
        add(DNNL_ARG_DIFF_DST, udy, backward.diff_dst_desc());
        add(DNNL_ARG_SRC, ux, backward.src_desc());
        result(DNNL_ARG_DIFF_WEIGHTS, backward.diff_weights_desc(), user(w, tag::ohwi, b.dw));
        primitive_ = dnnl::convolution_backward_weights(backward);
        break;
      }
    }
  }

  void run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  /// Copies the result to the plain buffer.
  void fetch() {
    dnnl::reorder(own_, plain_).execute(stream_, own_, plain_);
    stream_.wait();
  }

 private:
  void add(int argument, dnnl::memory& from, const dnnl::memory::desc& layout) {
    dnnl::memory to(layout, engine_);
    dnnl::reorder(from, to).execute(stream_, from, to);
    stream_.wait();
    arguments_.insert({argument, to});
  }
  void result(int argument, const dnnl::memory::desc& layout, dnnl::memory plain) {
    own_ = dnnl::memory(layout, engine_);
    plain_ = std::move(plain);
    arguments_.insert({argument, own_});
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
  dnnl::memory own_, plain_;
};

/// Stops the program when ours and oneDNN's results differ: wrong results are not worth timing.
void compare(Direction direction, const Conv2dShape& s, Buffers& b, OneDnn& theirs) {
  std::vector<float>& result = direction == Direction::forward          ? b.y
                               : direction == Direction::backward_input ? b.dx
                                                                        : b.dw;
  theirs.run();
  theirs.fetch();
  const std::vector<float> expected = result;
  std::fill(result.begin(), result.end(), NAN);
  run_ours(direction, s, b);
  double difference = 0, norm = 0;
  for (size_t i = 0; i < result.size(); ++i) {
    difference += std::pow(double{result[i]} - expected[i], 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  const double error = std::sqrt(difference / norm);
  if (!(error < 1e-4)) {
    std::fprintf(stderr, "%s differs from oneDNN by %g\n", name_of(direction), error);
    std::exit(1);
  }
}

void measure(benchmark::State& state, bool ours, Direction direction, const Conv2dShape& s) {
  Buffers buffers(s);
  OneDnn theirs(direction, s, buffers);
  compare(direction, s, buffers, theirs);
  for (auto _ : state) {
    if (ours) {
      run_ours(direction, s, buffers);
    } else {
      theirs.run();
    }
  }
  const double flops = 2.0 * static_cast<double>(s.N * s.P * s.Q * s.K * s.R * s.S * s.C);
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  fettle::set_threads(omp_get_max_threads());
  for (int64_t batch : {1, 8}) {
    for (const Problem& problem : problems(batch)) {
      const Conv2dShape s = problem.shape;
      for (Direction direction :
           {Direction::forward, Direction::backward_input, Direction::backward_weight}) {
        char name[128];
        std::snprintf(name, sizeof name, "%s/N%ld_H%ld_C%ld_K%ld_R%ld_stride%ld/%s",
                      problem.network, s.N, s.H, s.C, s.K, s.R, s.stride_h, name_of(direction));
        for (bool ours : {true, false}) {
          benchmark::RegisterBenchmark(
              (std::string(name) + (ours ? "/fettle" : "/onednn")).c_str(),
              [=](benchmark::State& state) { measure(state, ours, direction, s); })
              ->UseRealTime()
              ->Unit(benchmark::kMillisecond)
              ->MinTime(0.05);
        }
      }
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
