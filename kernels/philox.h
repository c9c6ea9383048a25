// Philox4x32-10: a counter-based generator. The draw for an element depends only on (seed, step,
// stream, element), so threads, devices and resumed runs all see the same numbers.
// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <cstdint>

#include "kernels/device.h"

namespace fettle {

/// Names one sequence of random numbers.
struct RandomKey {
  uint64_t seed = 0;    ///< the run's seed
  uint32_t step = 0;    ///< the training step (0 for initial weights)
  uint32_t stream = 0;  ///< which random layer of that step
};

struct Philox4 {
  uint32_t v[4];
};

/// What a round multiplies words 0 and 2 by, and what it adds to both halves of the seed.
inline constexpr int philox_rounds = 10;
inline constexpr uint32_t philox_factor0 = 0xD2511F53u, philox_factor2 = 0xCD9E8D57u;
inline constexpr uint32_t philox_step0 = 0x9E3779B9u, philox_step1 = 0xBB67AE85u;

/// Four 32-bit words for block `block` of the sequence `key`.
FETTLE_HOST_DEVICE inline Philox4 philox4x32(RandomKey key, uint64_t block) {
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32);
  uint32_t c2 = key.stream, c3 = key.step;
  uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    const uint64_t p0 = uint64_t{philox_factor0} * c0;
    const uint64_t p1 = uint64_t{philox_factor2} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += philox_step0;
    k1 += philox_step1;
  }
  return {{c0, c1, c2, c3}};
}

/// A uniform float in [0, 1) from 24 bits of a word: the same on every device.
FETTLE_HOST_DEVICE inline float unit_float(uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

/// The uniform draw in [0, 1) of one element.
FETTLE_HOST_DEVICE inline float uniform(RandomKey key, uint64_t element) {
  return unit_float(philox4x32(key, element >> 2).v[element & 3]);
}

}  // namespace fettle
