#include "kernels/optimizer/optimizer.h"

#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optimizer/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

HWY_INLINE Vec set(float value) {
  return hn::Set(lanes_tag, value);
}

void sgd_range(int64_t n, const SgdStep& s, const float* g, float* w, float* m) {
  for (int64_t i = 0; i < n; i += L) {
    const int64_t count = n - i;
    const Vec push = hn::Mul(set(s.learning_rate), load(g + i, count));
    Vec velocity = hn::Neg(push);
    if (m) {
      velocity = hn::MulSub(set(s.momentum), load(m + i, count), push);
      store(velocity, m + i, count);
    }
    const Vec move = s.nesterov ? hn::MulSub(set(s.momentum), velocity, push) : velocity;
    store(hn::Add(load(w + i, count), move), w + i, count);
  }
}

void adam_range(int64_t n, const AdamStep& s, const float* g, float* w, float* m, float* v) {
  for (int64_t i = 0; i < n; i += L) {
    const int64_t count = n - i;
    const Vec gradient = load(g + i, count);
    const Vec mean =
        hn::MulAdd(set(s.beta_1), load(m + i, count), hn::Mul(set(1 - s.beta_1), gradient));
    const Vec square = hn::MulAdd(set(s.beta_2), load(v + i, count),
                                  hn::Mul(hn::Mul(set(1 - s.beta_2), gradient), gradient));
    store(mean, m + i, count);
    store(square, v + i, count);
    const Vec direction = hn::MulAdd(set(s.m_scale), mean, hn::Mul(set(s.g_scale), gradient));
    const Vec length = hn::MulAdd(hn::Sqrt(square), set(s.v_scale), set(s.epsilon));
    const Vec weight = hn::MulSub(load(w + i, count), set(s.keep), hn::Div(direction, length));
    store(weight, w + i, count);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(sgd_range);
HWY_EXPORT(adam_range);

namespace {
constexpr int64_t grain = 1 << 14;
}  // namespace

void sgd_step(Cpu, int64_t n, const SgdStep& step, const float* g, float* w, float* m) {
  const auto range = HWY_DYNAMIC_DISPATCH(sgd_range);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    range(end - begin, step, g + begin, w + begin, m ? m + begin : nullptr);
  });
}

void adam_step(Cpu, int64_t n, const AdamStep& step, const float* g, float* w, float* m, float* v) {
  const auto range = HWY_DYNAMIC_DISPATCH(adam_range);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    range(end - begin, step, g + begin, w + begin, m + begin, v + begin);
  });
}

}  // namespace fettle
#endif  // HWY_ONCE
