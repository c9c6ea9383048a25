// What is dropped depends on the element alone, by Philox's counter: four elements a block. Vectors
// compute as many blocks at once as they have lanes.
#include <algorithm>

#include "kernels/dropout/dropout.h"
#include "kernels/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout/cpu.cpp"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fettle {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR
using Words = hn::RebindToUnsigned<Lanes>;
using Word = hn::Vec<Words>;
constexpr Words words_tag;
constexpr hn::RepartitionToWide<Words> wide_tag;

/// The upper halves of the 64-bit products, and the lower ones.
HWY_INLINE Word multiply(Word a, uint32_t factor, Word& low) {
  const Word b = hn::Set(words_tag, factor);
  const auto odd_lanes = hn::BitCast(words_tag, hn::ShiftRight<32>(hn::BitCast(wide_tag, a)));
  const auto even = hn::MulEven(a, b), odd = hn::MulEven(odd_lanes, b);
  low = hn::OddEven(hn::BitCast(words_tag, hn::ShiftLeft<32>(odd)), hn::BitCast(words_tag, even));
  return hn::OddEven(hn::BitCast(words_tag, odd), hn::BitCast(words_tag, hn::ShiftRight<32>(even)));
}

constexpr int groups = 2;  // of L blocks, whose chains of multiplications run beside each other

/// philox4x32() of blocks that follow one another, none of them at 2^32 or beyond.
HWY_INLINE void philox_blocks(RandomKey key, uint32_t first, Word (&c)[groups][4]) {
#pragma GCC unroll 2
  for (int g = 0; g < groups; ++g) {
    c[g][0] = hn::Iota(words_tag, first + static_cast<uint32_t>(g * L));
    c[g][1] = hn::Zero(words_tag);
    c[g][2] = hn::Set(words_tag, key.stream), c[g][3] = hn::Set(words_tag, key.step);
  }
  auto k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
#pragma GCC unroll 2
    for (int g = 0; g < groups; ++g) {
      Word low0, low1;
      const Word high0 = multiply(c[g][0], philox_factor0, low0);
      const Word high1 = multiply(c[g][2], philox_factor2, low1);
      c[g][0] = hn::Xor(hn::Xor(high1, c[g][1]), hn::Set(words_tag, k0));
      c[g][2] = hn::Xor(hn::Xor(high0, c[g][3]), hn::Set(words_tag, k1));
      c[g][1] = low1, c[g][3] = low0;
    }
    k0 += philox_step0, k1 += philox_step1;
  }
}

/// The elements from `begin` on, as many as come in whole vectors of blocks; returns the next one.
int64_t dropout_vectors(int64_t begin, int64_t end, float rate, RandomKey key, const float* x,
                        float* y) {
  constexpr int64_t at_once = groups * 4 * L;
  const Vec threshold = hn::Set(lanes_tag, rate), scale = hn::Set(lanes_tag, 1.0f / (1.0f - rate));
  const Vec unit = hn::Set(lanes_tag, 1.0f / 16777216.0f);
  alignas(64) uint32_t words[at_once];
  int64_t i = begin;
  for (; i + at_once <= end && (i + at_once) / 4 <= int64_t{UINT32_MAX}; i += at_once) {
    Word c[groups][4];
    philox_blocks(key, static_cast<uint32_t>(i / 4), c);
    for (int g = 0; g < groups; ++g)
      hn::StoreInterleaved4(c[g][0], c[g][1], c[g][2], c[g][3], words_tag, words + g * 4 * L);
    for (int64_t k = 0; k < at_once; k += L) {
      const auto bits = hn::ShiftRight<8>(hn::Load(words_tag, words + k));
      const Vec draw =
          hn::Mul(hn::ConvertTo(lanes_tag, hn::BitCast(hn::RebindToSigned<Lanes>(), bits)), unit);
      const Vec kept = hn::Mul(hn::LoadU(lanes_tag, x + i + k), scale);
      hn::StoreU(hn::IfThenElseZero(hn::Ge(draw, threshold), kept), lanes_tag, y + i + k);
    }
  }
  return i;
}
#endif

/// The elements [begin, end), of which the first begins a block.
void dropout_range(int64_t begin, int64_t end, float rate, RandomKey key, const float* x,
                   float* y) {
#if HWY_TARGET != HWY_SCALAR
  begin = dropout_vectors(begin, end, rate, key, x, y);
#endif
  const float scale = 1.0f / (1.0f - rate);
  for (int64_t i = begin; i < end; i += 4) {
    const Philox4 words = philox4x32(key, static_cast<uint64_t>(i / 4));
    for (int64_t lane = 0; lane < 4 && i + lane < end; ++lane)
      y[i + lane] = unit_float(words.v[lane]) >= rate ? x[i + lane] * scale : 0.0f;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fettle
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fettle {

HWY_EXPORT(dropout_range);

void dropout(Cpu, int64_t n, float rate, RandomKey key, const float* x, float* y,
             const int32_t* step) {
  if (step) key.step = static_cast<uint32_t>(*step);
  constexpr int64_t grain = 1 << 14;  // a multiple of 4: a chunk begins with a whole Philox block
  const auto range = HWY_DYNAMIC_DISPATCH(dropout_range);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { range(begin, end, rate, key, x, y); });
}

}  // namespace fettle
#endif  // HWY_ONCE
