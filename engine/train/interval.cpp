#include "engine/train/interval.h"

#include <algorithm>
#include <cmath>

namespace fettle {

Interval wilson_interval(int64_t part, int64_t whole) {
  if (whole <= 0) return {};
  constexpr double z = 1.959964;  // of the normal distribution, 95 % lie within
  const auto n = static_cast<double>(whole);
  const double rate = static_cast<double>(part) / n, extra = z * z / n;
  const double middle = (rate + extra / 2) / (1 + extra);
  const double reach = z / (1 + extra) * std::sqrt(rate * (1 - rate) / n + extra / (4 * n));
  return {std::max(0.0, middle - reach), std::min(1.0, middle + reach)};
}

}  // namespace fettle
