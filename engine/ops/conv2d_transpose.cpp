#include "engine/ops/conv2d_transpose.h"

#include <algorithm>
#include <utility>

#include "engine/graph.h"
#include "engine/ops/cast.h"
#include "engine/ops/epilogue.h"
#include "kernels/elementwise/elementwise.h"

namespace fettle {
namespace {

/// The convolution whose gradient this is: from y's shape to x's.
Conv2dShape transposed_shape(const Tensor& x, const Tensor& w,
                             const Conv2dTransposeOptions& options) {
  const auto check = [&](bool fits, const char* why) {
    require(fits, "conv2d_transpose: input ", x.shape(), " and weight ", w.shape(),
            " do not fit: ", why);
  };
  check(x.shape().rank() == 4, "the input must be [N,H,W,C]");
  check(w.shape().rank() == 4, "the weight must be [C,R,S,K]");
  check(w.shape()[0] == x.shape()[3], "the weight reads another number of channels");
  Conv2dShape s;
  s.N = x.shape()[0], s.P = x.shape()[1], s.Q = x.shape()[2], s.K = x.shape()[3];
  s.R = w.shape()[1], s.S = w.shape()[2], s.C = w.shape()[3];
  s.stride_h = options.strides[0], s.stride_w = options.strides[1];
  check(s.stride_h > 0 && s.stride_w > 0, "strides must be at least 1");
  if (options.padding == Padding::same) {
    s.H = s.P * s.stride_h;
    s.W = s.Q * s.stride_w;
    s.pad_top = same_pads(s.H, s.R, s.stride_h).before;
    s.pad_left = same_pads(s.W, s.S, s.stride_w).before;
  } else {
    s.H = s.stride_h * (s.P - 1) + std::max(s.R, s.stride_h);
    s.W = s.stride_w * (s.Q - 1) + std::max(s.S, s.stride_w);
  }
  return s;
}

}  // namespace

Tensor conv2d_transpose(const Tensor& given_x, const Tensor& w, const Tensor& bias,
                        const Conv2dTransposeOptions& options) {
  const Tensor x = as_activation(given_x);
  const Conv2dShape s = transposed_shape(x, w, options);
  require(!bias.defined() || bias.shape() == Shape{s.C}, "conv2d_transpose: bias ", bias.shape(),
          " does not fit weight ", w.shape());
  check_devices("conv2d_transpose", {x, w, bias});
  const Epilogue epilogue = options.epilogue;
  Tensor y = Tensor::empty({s.N, s.H, s.W, s.C}, x.dtype(), x.device());
  on(x, [&](auto device, auto element) {
    using T = decltype(element);
    conv2d_backward_input(device, s, x.data<T>(), weights_as<T>(w), y.data<T>());
    if (bias.defined()) {
      epilogue_forward(device, s.N * s.H * s.W, s.C, epilogue, std::as_const(y).data<T>(),
                       bias.data(), y.data<T>());
    } else if (epilogue == Epilogue::relu) {
      unary_forward(device, Unary::relu, y.size(), std::as_const(y).data<T>(), y.data<T>());
    }
  });
  trace(graph::Conv2dTranspose{s, epilogue}, {x, w, bias}, y);
  const SavedFactors saved(epilogue, y, x, w);
  return record(std::move(y), {x, w, bias}, [=](const Tensor& dy, Grads& grads) {
    const Tensor dz = epilogue_gradient(epilogue, dy, saved.output, 2, grads);
    on(dz, [&](auto device, auto element) {
      using T = decltype(element);
      if (grads.wants(0)) {
        conv2d_forward(device, s, dz.data<T>(), weights_as<T>(saved.weight), nullptr,
                       Epilogue::linear, grads.fresh<T>(0));
      }
      if (grads.wants(1)) {
        conv2d_backward_weight(device, s, saved.input.data<T>(), dz.data<T>(), grads.fresh(1));
      }
    });
  });
}

}  // namespace fettle
