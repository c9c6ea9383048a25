// How far a share that was counted may be from the true one.
#pragma once

#include <cstdint>

namespace fettle {

struct Interval {
  double low = 0, high = 1;
};

/// Where the true rate lies with 95 % confidence when `part` of `whole` independent trials had a
/// property: Wilson's score interval (Journal of the American Statistical Association 22, 1927),
/// which holds for few trials and for rates near 0 and 1. Without trials it is [0, 1].
Interval wilson_interval(int64_t part, int64_t whole);

}  // namespace fettle
