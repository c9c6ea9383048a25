// The operands of rungs 5 to 7: bf16 with the channels of each group filled up with zeros to a
// multiple of eight, so that any 16 bytes can be copied at once. What has whole eights is taken as
// it lies, the rest is copied to scratch memory. A zero channel adds nothing to a sum; it costs its
// share of the multiplications. Pictures are unfolded.
#pragma once

#include "kernels/conv2d/unfolded.h"
#include "kernels/cu.h"
#include "kernels/divider.h"

namespace fettle {

/// Lines of `channels` elements, as lines of whole eights; after every `lines_in` of them, lines of
/// zeros up to `lines_out`.
struct PaddedLines {
  Divider by_eights, by_lines_out;
  int channels, lines_in;
};

/// One thread: eight neighbouring channels, read by `Step` at once. Each element is read and
/// written once; limited by memory bandwidth.
template <int Step>
__global__ void __launch_bounds__(256)
    conv2d_fill_up_kernel(int64_t eights, PaddedLines lines, const bf16* __restrict__ in,
                          bf16* __restrict__ out) {
  wait_for_kernels_before();
  for (int64_t i = strided_first(); i < eights; i += strided_step()) {
    const int line = lines.by_eights.quotient(static_cast<int>(i));
    const int c = lines.by_eights.remainder(static_cast<int>(i), line) * 8;
    const int block = lines.by_lines_out.quotient(line);
    const int l = lines.by_lines_out.remainder(line, block);
    const bf16* from = in + (int64_t{block} * lines.lines_in + l) * lines.channels + c;
    Vec<bf16, 8> eight{};
    if (l < lines.lines_in) {
#pragma unroll
      for (int j = 0; j < 8; j += Step) {
        if (c + j >= lines.channels) continue;
        const auto few = load_vec<Step>(from + j);
#pragma unroll
        for (int e = 0; e < Step; ++e) eight[j + e] = few[e];
      }
    }
    store_vec(out + i * 8, eight);
  }
}

/// The same convolution with the channels of each group filled up.
inline Conv2dShape in_eights(Conv2dShape s) {
  s.C = round_up_8(s.C / s.groups) * s.groups;
  s.K = round_up_8(s.K / s.groups) * s.groups;
  return s;
}

/// What unfolding needs to know of the input, whose W columns have C channels.
struct Unfolding {
  Divider by_eights, by_columns, by_C;  // of a column's S*C numbers, of a row, of a tap
  int W, S, stride, dilation, pad;
};

/// One thread: eight neighbouring numbers of one output column. Each input is read from memory once
/// and again from the caches, each output written once; limited by memory bandwidth.
template <class T>
__global__ void __launch_bounds__(256)
    conv2d_unfold_kernel(int64_t eights, Unfolding u, const T* __restrict__ in,
                         bf16* __restrict__ out) {
  wait_for_kernels_before();
  for (int64_t i = strided_first(); i < eights; i += strided_step()) {
    const int column = u.by_eights.quotient(static_cast<int>(i));
    const int first = u.by_eights.remainder(static_cast<int>(i), column) * 8;
    const int row = u.by_columns.quotient(column);
    const int left = u.by_columns.remainder(column, row) * u.stride - u.pad;
    Vec<float, 8> eight{};
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const int tap = u.by_C.quotient(first + j), w = left + tap * u.dilation;
      if (tap >= u.S || w < 0 || w >= u.W) continue;
      eight[j] = to_float(
          in[(int64_t{row} * u.W + w) * u.by_C.divisor + u.by_C.remainder(first + j, tap)]);
    }
    store_floats(out + i * 8, eight);
  }
}

/// `blocks` times `lines_in` lines of `channels` elements, filled up in scratch slot `slot`.
inline const bf16* in_whole_eights(const char* name, Cuda device, int slot, const bf16* in,
                                   int64_t blocks, int64_t lines_in, int64_t lines_out,
                                   int64_t channels) {
  const int64_t eights = blocks * lines_out * round_up_8(channels) / 8;
  bf16* out = scratch<bf16>(device, eights * 8, slot);
  const bool in_fours = channels % 4 == 0 && in_vectors(in);
  launch(name, in_fours ? conv2d_fill_up_kernel<4> : conv2d_fill_up_kernel<1>,
         strided_blocks(eights, 256), 256, 0, device, eights,
         PaddedLines{Divider(round_up_8(channels) / 8), Divider(lines_out),
                     static_cast<int>(channels), static_cast<int>(lines_in)},
         in, out);
  return out;
}

/// x [N,H,W,C] or, with the extents of the output, dy [N,P,Q,K].
inline const bf16* padded_pixels(const char* name, Cuda device, int slot, const bf16* in,
                                 int64_t pixels, int64_t channels, int64_t groups) {
  if (channels / groups % 8 == 0 && in_vectors(in)) return in;
  return in_whole_eights(name, device, slot, in, 1, pixels * groups, pixels * groups,
                         channels / groups);
}

/// x [N,H,W,C] as windows of it are read, and the convolution of that.
struct Bf16Input {
  Conv2dShape shape;
  const bf16* x;
};
inline Bf16Input input_of_windows(const char* name, Cuda device, int slot, const Conv2dShape& s,
                                  const bf16* x) {
  if (!pays_to_unfold(s))
    return {s, padded_pixels(name, device, slot, x, s.N * s.H * s.W, s.C, s.groups)};
  const Conv2dShape flat = unfolded(s);
  const int64_t of_column = round_up_8(flat.C) / 8, eights = s.N * s.H * s.Q * of_column;
  bf16* out = scratch<bf16>(device, eights * 8, slot);
  const Unfolding unfolding = {Divider(of_column),
                               Divider(s.Q),
                               Divider(s.C),
                               static_cast<int>(s.W),
                               static_cast<int>(s.S),
                               static_cast<int>(s.stride_w),
                               static_cast<int>(s.dilation_w),
                               static_cast<int>(s.pad_left)};
  launch(name, conv2d_unfold_kernel<bf16>, strided_blocks(eights, 256), 256, 0, device, eights,
         unfolding, x, out);
  return {flat, out};
}

/// w [K,R,S,C/groups], taken as it lies where channels and filters of a group come in eights.
inline const bf16* padded_filters(const char* name, Cuda device, int slot, const bf16* w,
                                  const Conv2dShape& s) {
  const int64_t Kg = s.K / s.groups, Cg = s.C / s.groups, taps = s.R * s.S;
  if (Kg % 8 == 0 && Cg % 8 == 0 && in_vectors(w)) return w;
  return in_whole_eights(name, device, slot, w, s.groups, Kg * taps, round_up_8(Kg) * taps, Cg);
}

}  // namespace fettle
