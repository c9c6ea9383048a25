#include "kernels/optimizer/optimizer.h"

#include <utility>

#include "kernels/parallel.h"
#include "kernels/recycling.h"

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

void sgd_range(int64_t begin, int64_t end, const OptimizerTensor& t, const SgdStep& s) {
  const auto& [n, g, w, m, v, rounded] = t;
  for (int64_t i = begin; i < end; i += L) {
    const int64_t count = end - i;
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

void adam_range(int64_t begin, int64_t end, const OptimizerTensor& t, const AdamStep& s) {
  const auto& [n, g, w, m, v, rounded] = t;
  for (int64_t i = begin; i < end; i += L) {
    const int64_t count = end - i;
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

/// range(begin, end, tensor, step) for chunks of every tensor, in one loop of tasks.
template <class Range, class Step>
void each_chunk(const Range& range, OptimizerTensors tensors, const Step& step) {
  RecycledVector<std::pair<const OptimizerTensor*, int64_t>> chunks;
  for (const OptimizerTensor& tensor : tensors)
    for (int64_t begin = 0; begin < tensor.n; begin += grain) chunks.emplace_back(&tensor, begin);
  parallel_tasks(static_cast<int64_t>(chunks.size()), [&](int64_t i) {
    const auto& [tensor, begin] = chunks[static_cast<size_t>(i)];
    range(begin, std::min(begin + grain, tensor->n), *tensor, step);
  });
}

}  // namespace

void sgd_step(Cpu, OptimizerTensors tensors, const SgdStep& step) {
  each_chunk(HWY_DYNAMIC_DISPATCH(sgd_range), tensors, step.now ? *step.now : step);
}

void adam_step(Cpu, OptimizerTensors tensors, const AdamStep& step) {
  each_chunk(HWY_DYNAMIC_DISPATCH(adam_range), tensors, step.now ? *step.now : step);
}

}  // namespace fettle
#endif  // HWY_ONCE
