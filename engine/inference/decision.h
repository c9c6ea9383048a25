// What probabilities mean.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace fettle {

/// The class of one row of probabilities: with two classes the second one from the threshold on,
/// else the one with the largest probability.
inline int64_t decide_class(const float* p, int64_t classes, double threshold) {
  if (classes == 2) return p[1] >= static_cast<float>(threshold);
  return std::max_element(p, p + classes) - p;
}

/// Whether a label of several holds: from the threshold on, whatever the others are.
inline bool has_label(float p, double threshold) {
  return p >= static_cast<float>(threshold);
}

/// The names of the labels that hold, joined by ';'.
inline std::string label_text(const std::vector<std::string>& names,
                              const std::vector<bool>& holds) {
  std::string text;
  for (size_t k = 0; k < names.size(); ++k)
    if (holds[k]) text += (text.empty() ? "" : ";") + names[k];
  return text;
}

/// Whether a pixel belongs to kind k: its probability reaches the threshold and is that of no other
/// kind more, so that masks do not pile up.
inline bool is_marked(const float* p, int64_t kinds, int64_t k, double threshold) {
  return has_label(p[k], threshold) && std::max_element(p, p + kinds) == p + k;
}

}  // namespace fettle
