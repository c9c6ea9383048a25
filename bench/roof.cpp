#include "bench/roof.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/roof.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

/// Enough sums at once for two pipes of four cycles latency, few enough for 16 registers.
constexpr int sums = 12;

/// Returns its multiply-adds. Their sums begin with 12 numbers of `out`; what comes of them goes to
/// the next, so that no compiler leaves them out.
int64_t multiply_adds(int64_t steps, float* out) {
  const Vec a = hn::Set(lanes_tag, 0.5f), b = hn::Set(lanes_tag, out[0]);
  // All begin elsewhere: the compiler computes equal sums once.
  const auto begin = [&](int k) { return hn::Set(lanes_tag, out[k]); };
  Vec s0 = begin(0), s1 = begin(1), s2 = begin(2), s3 = begin(3), s4 = begin(4), s5 = begin(5);
  Vec s6 = begin(6), s7 = begin(7), s8 = begin(8), s9 = begin(9), sA = begin(10), sB = begin(11);
  for (int64_t i = 0; i < steps; ++i) {
    s0 = hn::MulAdd(s0, a, b), s1 = hn::MulAdd(s1, a, b), s2 = hn::MulAdd(s2, a, b);
    s3 = hn::MulAdd(s3, a, b), s4 = hn::MulAdd(s4, a, b), s5 = hn::MulAdd(s5, a, b);
    s6 = hn::MulAdd(s6, a, b), s7 = hn::MulAdd(s7, a, b), s8 = hn::MulAdd(s8, a, b);
    s9 = hn::MulAdd(s9, a, b), sA = hn::MulAdd(sA, a, b), sB = hn::MulAdd(sB, a, b);
  }
  const auto four = [](Vec p, Vec q, Vec r, Vec s) {
    return hn::Add(hn::Add(p, q), hn::Add(r, s));
  };
  const Vec all =
      hn::Add(four(s0, s1, s2, s3), hn::Add(four(s4, s5, s6, s7), four(s8, s9, sA, sB)));
  out[12] = hn::GetLane(hn::SumOfLanes(lanes_tag, all));
  return steps * sums * L;
}

/// The arrays are aligned, n a multiple of a vector.
void triad(int64_t n, float scalar, bool past_caches, const float* b, const float* c, float* a) {
  const Vec s = hn::Set(lanes_tag, scalar);
  for (int64_t i = 0; i < n; i += L) {
    const Vec y = hn::MulAdd(s, hn::Load(lanes_tag, c + i), hn::Load(lanes_tag, b + i));
    if (past_caches) {
      hn::Stream(y, lanes_tag, a + i);
    } else {
      hn::Store(y, lanes_tag, a + i);
    }
  }
  if (past_caches) hwy::FlushStream();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {
namespace {

HWY_EXPORT(multiply_adds);
HWY_EXPORT(triad);

/// The shortest of `repeats` calls, in seconds.
template <class F>
double shortest(int repeats, const F& f) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

}  // namespace

double measured_fma_peak() {
  constexpr int64_t tasks = 64, steps = 10'000;
  std::vector<float> out(static_cast<size_t>(tasks) * 16);  // a cache line each
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i + 1);
  int64_t multiply_adds = 0;
  const double seconds = shortest(300, [&] {  // short ones, between what else the machine does
    parallel_tasks(tasks, [&](int64_t task) {
      const int64_t count = HWY_DYNAMIC_DISPATCH(multiply_adds)(steps, out.data() + task * 16);
      if (task == 0) multiply_adds = tasks * count;
    });
  });
  return 2.0 * static_cast<double>(multiply_adds) / seconds;
}

double measured_triad() {
  constexpr int64_t n = int64_t{1} << 25, grain = int64_t{1} << 17;  // 128 MiB an array
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  const auto array = [] {
    std::unique_ptr<float, Free> p(static_cast<float*>(std::aligned_alloc(64, n * sizeof(float))));
    std::fill_n(p.get(), n, 1.0f);
    return p;
  };
  const auto a = array(), b = array(), c = array();
  double best = 0;
  for (const bool past_caches : {false, true}) {
    const double seconds = shortest(30, [&] {
      parallel_for(n, grain, [&](int64_t begin, int64_t end) {
        HWY_DYNAMIC_DISPATCH(triad)
        (end - begin, 3.0f, past_caches, b.get() + begin, c.get() + begin, a.get() + begin);
      });
    });
    best = std::max(best, 3.0 * n * sizeof(float) / seconds);
  }
  return best;
}

}  // namespace fettle
#endif  // HWY_ONCE
