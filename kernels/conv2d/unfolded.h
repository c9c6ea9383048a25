// First layers read one channel or three, which bf16's operands would fill up to eight. Where the
// channels under a row of taps fill eights better side by side, the input is unfolded along its
// width: each output column gets the S*C numbers that it sees in a row of the input. What is left
// is a convolution with R taps of S*C channels, whose filters lie in memory as before. With 7x7
// taps of three channels that is 7 * 24 products in place of 49 * 8, with 3x3 taps of one 3 * 8 in
// place of 9 * 8.
#pragma once

#include "kernels/conv2d/conv2d.h"
#include "kernels/divide.h"

namespace fettle {

inline int64_t round_up_8(int64_t n) {
  return round_up(n, 8);
}

/// Whether unfolding saves products.
inline bool pays_to_unfold(const Conv2dShape& s) {
  return s.groups == 1 && round_up_8(s.S * s.C) < s.S * round_up_8(s.C);
}

/// The convolution of the unfolded input [N,H,Q,S*C].
inline Conv2dShape unfolded(Conv2dShape s) {
  s.C *= s.S;
  s.W = s.Q;
  s.S = s.stride_w = s.dilation_w = 1;
  s.pad_left = 0;
  return s;
}

}  // namespace fettle
