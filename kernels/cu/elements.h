// Elements of tensors: vectors of neighbours, bfloat16, binary16 and tf32. A part of kernels/cu.h.
#pragma once

#include "kernels/half.h"

namespace fettle {

/// N neighbours that one instruction moves; as large as its alignment.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
  FETTLE_HOST_DEVICE T& operator[](int i) { return v[i]; }
  FETTLE_HOST_DEVICE const T& operator[](int i) const { return v[i]; }
};

/// p must be aligned to the whole vector.
template <int N, class T>
__device__ __forceinline__ Vec<T, N> load_vec(const T* p);
template <int N, class T>
__device__ __forceinline__ void store_vec(T* p, const Vec<T, N>& value);

FETTLE_HOST_DEVICE inline float to_float(float x) {
  return x;
}
FETTLE_HOST_DEVICE inline float to_float(bf16 x);
FETTLE_HOST_DEVICE inline float to_float(fp16 x);

/// Rounds to nearest, ties to even.
template <class T>
FETTLE_HOST_DEVICE T from_float(float x);

/// Two floats rounded to bf16, in one register.
__device__ __forceinline__ uint32_t bf16_pair(float low, float high);

/// V neighbours, float or bf16 in memory, as floats, and back. p as for load_vec.
template <int V, class T>
__device__ __forceinline__ Vec<float, V> load_floats(const T* p);
template <int V, class T>
__device__ __forceinline__ void store_floats(T* p, const Vec<float, V>& value);

/// store_floats of 8 or 16 bytes to global memory, and one instruction for certain: nvcc has been
/// seen to cut the assignment of a vector into its words, each a quarter of every sector.
template <int V, class T>
__device__ __forceinline__ void store_floats_at_once(T* p, const Vec<float, V>& value);

/// Elements that 16 bytes hold.
template <class T>
inline constexpr int in_16_bytes = 16 / sizeof(T);

/// The bits of x rounded to tf32, to nearest, ties to even. Veltkamp's splitting (Dekker 1971, "A
/// floating-point technique for extending the available precision"): the sum of 2^13 x and x leaves
/// the last 13 bits no room. Three operations of floats, where cvt.rna.tf32 becomes a comparison,
/// an addition and a mask of integers, in a pipe half as wide that has the addresses to compute,
/// too. Infinities and NaN become NaN, what exceeds 2^114 one of both.
FETTLE_HOST_DEVICE inline uint32_t to_tf32(float x);

// --------------------------------------------------------------------------------- what is behind

#if defined(__CUDACC__)

template <int N, class T>
__device__ __forceinline__ Vec<T, N> load_vec(const T* p) {
  return *reinterpret_cast<const Vec<T, N>*>(p);
}
template <int N, class T>
__device__ __forceinline__ void store_vec(T* p, const Vec<T, N>& value) {
  *reinterpret_cast<Vec<T, N>*>(p) = value;
}

FETTLE_HOST_DEVICE inline uint32_t bits_of(float x) {
  union {
    float f;
    uint32_t u;
  } both = {x};
  return both.u;
}
FETTLE_HOST_DEVICE inline float float_of(uint32_t bits) {
  union {
    uint32_t u;
    float f;
  } both = {bits};
  return both.f;
}

#else

template <int N, class T>
__forceinline__ Vec<T, N> load_vec(const T* p) {
  Vec<T, N> value;
  simt::load(&value, p, sizeof(value));
  return value;
}
template <int N, class T>
__forceinline__ void store_vec(T* p, const Vec<T, N>& value) {
  simt::store(p, &value, sizeof(value));
}

inline uint32_t bits_of(float x) {
  return std::bit_cast<uint32_t>(x);
}
inline float float_of(uint32_t bits) {
  return std::bit_cast<float>(bits);
}

#endif

FETTLE_HOST_DEVICE inline uint32_t to_tf32(float x) {
#if defined(__CUDA_ARCH__)  // each rounded by itself, never fused with another
  const float sum = __fmul_rn(x, 8193.0f);
  return bits_of(__fsub_rn(sum, __fsub_rn(sum, x)));
#else
  const float sum = x * 8193.0f;
  return bits_of(sum - (sum - x));
#endif
}

FETTLE_HOST_DEVICE inline float to_float(bf16 x) {
  return float_of(uint32_t{x.bits} << 16);
}
FETTLE_HOST_DEVICE inline float to_float(fp16 x) {
  const uint32_t sign = uint32_t{x.bits} >> 15 << 31, exponent = x.bits >> 10 & 31u;
  const uint32_t mantissa = x.bits & 1023u;
  if (exponent == 31) return float_of(sign | 0x7F800000u | mantissa << 13);
  if (exponent > 0) return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
  return float_of(sign | bits_of(static_cast<float>(mantissa) * 0x1p-24f));
}
template <>
FETTLE_HOST_DEVICE inline float from_float<float>(float x) {
  return x;
}
template <>
FETTLE_HOST_DEVICE inline bf16 from_float<bf16>(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  bf16 rounded;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(rounded.bits) : "f"(x));
  return rounded;
#else
  const uint32_t bits = bits_of(x);
  if (x != x) return {0x7FFF};
  return {static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
#endif
}
__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
#else
  return from_float<bf16>(low).bits | uint32_t{from_float<bf16>(high).bits} << 16;
#endif
}

template <>
FETTLE_HOST_DEVICE inline fp16 from_float<fp16>(float x) {
  const uint32_t sign = bits_of(x) >> 31 << 15, size = bits_of(x) & 0x7FFFFFFFu;
  uint32_t bits = 0;
  if (size > 0x7F800000u) {
    bits = 0x7E00u;  // a NaN
  } else if (size >= 0x477FF000u) {
    bits = 0x7C00u;  // from 65520 on, infinity is nearer
  } else if (size >= 0x38800000u) {
    bits = ((size + 0xFFFu + (size >> 13 & 1u)) >> 13) - (112u << 10);
  } else {
    // Below 2^-14 the steps are 2^-24, as those of floats about 1/2 are: the addition rounds.
    bits = bits_of(float_of(size) + 0.5f) - bits_of(0.5f);
  }
  return {static_cast<uint16_t>(sign | bits)};
}

template <int V, class T>
__device__ __forceinline__ Vec<float, V> load_floats(const T* p) {
  const auto raw = load_vec<V>(p);
  Vec<float, V> value;
  for (int k = 0; k < V; ++k) value[k] = to_float(raw[k]);
  return value;
}
template <int V, class T>
__device__ __forceinline__ void store_floats(T* p, const Vec<float, V>& value) {
  if constexpr (sizeof(T) == 2 && V % 2 == 0) {
    Vec<uint32_t, V / 2> pairs;
    for (int k = 0; k < V; k += 2) pairs[k / 2] = bf16_pair(value[k], value[k + 1]);
    store_vec(reinterpret_cast<uint32_t*>(p), pairs);
  } else {
    Vec<T, V> raw;
    for (int k = 0; k < V; ++k) raw[k] = from_float<T>(value[k]);
    store_vec(p, raw);
  }
}

template <int V, class T>
__device__ __forceinline__ void store_floats_at_once(T* p, const Vec<float, V>& value) {
#if defined(__CUDACC__)
  constexpr int words = V * static_cast<int>(sizeof(T)) / 4;
  static_assert(words == 2 || words == 4);
  uint32_t w[words];
  for (int i = 0; i < words; ++i) {
    w[i] = sizeof(T) == 4 ? bits_of(value[i]) : bf16_pair(value[2 * i], value[2 * i + 1]);
  }
  if constexpr (words == 4) {
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)),
                 "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3])
                 : "memory");
  } else {
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(p)), "r"(w[0]),
                 "r"(w[1])
                 : "memory");
  }
#else
  store_floats(p, value);
#endif
}

}  // namespace fettle
