// What probabilities mean.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fettle {

/// The class of one row of probabilities: with two classes the second one from the threshold on,
/// else the one with the largest probability.
inline int64_t decide_class(const float* p, int64_t classes, double threshold) {
  if (classes == 2) return p[1] >= static_cast<float>(threshold);
  return std::max_element(p, p + classes) - p;
}

/// Whether a pixel belongs to kind k: its probability reaches the threshold and, if masks are to
/// exclude each other, is that of no other kind more.
inline bool is_marked(const float* p, int64_t kinds, int64_t k, double threshold,
                      bool exclusive = true) {
  return p[k] >= static_cast<float>(threshold) &&
         (!exclusive || std::max_element(p, p + kinds) == p + k);
}

}  // namespace fettle
