// What Highway's dispatch needs of its library, for builds without that library: which of the
// instruction sets that the kernels were compiled for this processor has. Empty where the library
// is linked.
#if defined(FETTLE_OWN_HIGHWAY)
#include "hwy/highway.h"
#include "hwy/targets.h"

namespace hwy {

// Weak, so that a program may link Highway all the same.
__attribute__((weak)) int64_t SupportedTargets() {
  int64_t targets = HWY_STATIC_TARGET;
#if HWY_ARCH_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
    targets |= HWY_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
      targets |= HWY_AVX3;
  }
#endif
  return targets & HWY_TARGETS;
}

__attribute__((weak)) ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy
#endif
