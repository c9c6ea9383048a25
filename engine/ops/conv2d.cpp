#include "engine/ops/conv2d.h"

#include "engine/graph.h"
#include "engine/ops/cast.h"
#include "engine/ops/epilogue.h"
#include "engine/ops/upsample2d.h"
#include "kernels/conv2d/statistics.h"

namespace fettle {

Conv2dShape conv2d_shape(const Tensor& x, const Tensor& w, const Conv2dOptions& options) {
  const auto check = [&](bool fits, const char* why) {
    require(fits, "conv2d: input ", x.shape(), " and weight ", w.shape(), " do not fit: ", why);
  };
  check(x.shape().rank() == 4, "the input must be [N,H,W,C]");
  check(w.shape().rank() == 4, "the weight must be [K,R,S,C/groups]");
  Conv2dShape s;
  s.N = x.shape()[0], s.H = x.shape()[1], s.W = x.shape()[2], s.C = x.shape()[3];
  s.K = w.shape()[0], s.R = w.shape()[1], s.S = w.shape()[2];
  s.stride_h = options.strides[0], s.stride_w = options.strides[1];
  s.dilation_h = options.dilation[0], s.dilation_w = options.dilation[1];
  s.groups = options.groups;
  check(s.stride_h > 0 && s.stride_w > 0, "strides must be at least 1");
  check(s.dilation_h > 0 && s.dilation_w > 0, "dilation must be at least 1");
  check(s.groups > 0 && s.C % s.groups == 0 && s.K % s.groups == 0,
        "groups must divide the channels of both");
  check(w.shape()[3] * s.groups == s.C, "the weight reads another number of channels");

  const int64_t rows = (s.R - 1) * s.dilation_h + 1, columns = (s.S - 1) * s.dilation_w + 1;
  const std::array<Pads, 2> pads = options.explicit_padding.value_or(
      std::array{pads_for(options.padding, s.H, rows, s.stride_h),
                 pads_for(options.padding, s.W, columns, s.stride_w)});
  check(s.H + pads[0].before + pads[0].after >= rows &&
            s.W + pads[1].before + pads[1].after >= columns,
        "the kernel is larger than the padded input");
  s.pad_top = pads[0].before;
  s.pad_left = pads[1].before;
  s.P = output_extent(s.H, pads[0], rows, s.stride_h);
  s.Q = output_extent(s.W, pads[1], columns, s.stride_w);
  return s;
}

namespace {

/// A convolution that nobody has read yet.
struct PendingConv2d : Pending {
  Conv2dShape s;
  Epilogue epilogue;
  Tensor x, w, bias;

  PendingConv2d(const Conv2dShape& s, Epilogue epilogue, const Tensor& x, const Tensor& w,
                const Tensor& bias)
      : s(s), epilogue(epilogue), x(x.detach()), w(w.detach()), bias(bias.detach()) {}
  Tensor result() const { return Tensor::empty({s.N, s.P, s.Q, s.K}, x.dtype(), x.device()); }
  Tensor compute() const override {
    Tensor y = result();
    on(x, [&](auto device, auto element) {
      using T = decltype(element);
      conv2d_forward(device, s, x.data<T>(), weights_as<T>(w), bias.data(), epilogue, y.data<T>());
    });
    return y;
  }
};

/// Whether an output depends on the input of the same place alone.
bool takes_single_pixels(const Conv2dShape& s) {
  return s.R == 1 && s.S == 1 && s.P == s.H && s.Q == s.W && s.pad_top == 0 && s.pad_left == 0;
}

/// Of a residual block's input the shortcut's gradient is there: it is added to.
template <class D, class T>
void backward_input(D device, const Conv2dShape& s, const T* dz, const T* w, Grads& grads) {
  T* const sum = grads.collected<T>(0);
  conv2d_backward_input(device, s, dz, w, sum ? sum : grads.fresh<T>(0), sum);
}

}  // namespace

bool compute_conv2d_statistics(const Tensor& y, float* mean, float* variance,
                               const BatchNormMoving& moving) {
  const auto pending = std::dynamic_pointer_cast<const PendingConv2d>(y.pending());
  if (!pending) return false;
  const PendingConv2d& c = *pending;
  Tensor computed = c.result();
  on(computed, [&](auto device, auto element) {
    using T = decltype(element);
    if constexpr (std::is_same_v<decltype(device), Cuda>) {
      conv2d_forward_statistics(device, c.s, c.x.data<T>(), weights_as<T>(c.w), c.bias.data(),
                                computed.data<T>(), mean, variance, moving);
    }
  });
  y.settle(computed);
  return true;
}

Tensor conv2d(const Tensor& given_x, const Tensor& w, const Tensor& bias,
              const Conv2dOptions& options) {
  const Tensor x = as_activation(given_x);
  const Conv2dShape s = conv2d_shape(x, w, options);
  require(!bias.defined() || bias.shape() == Shape{s.K}, "conv2d: bias ", bias.shape(),
          " does not fit weight ", w.shape());
  check_devices("conv2d", {x, w, bias});
  const Epilogue epilogue = options.epilogue;
  const auto enlarged = pending_upsample2d(x);
  if (enlarged && epilogue == Epilogue::linear && takes_single_pixels(s))
    return upsample2d_as(*enlarged, conv2d(enlarged->x, w, bias, options));
  auto convolution = make_recycled<PendingConv2d>(s, epilogue, x, w, bias);
  const bool waits = grad_enabled() && epilogue == Epilogue::linear && x.device().is_cuda();
  Tensor y = waits ? Tensor::deferred({s.N, s.P, s.Q, s.K}, x.dtype(), x.device(), convolution)
                   : convolution->compute();
  trace(graph::Conv2d{s, epilogue}, {x, w, bias}, y);
  const SavedFactors saved(epilogue, y, x, w);
  return record(std::move(y), {x, w, bias}, [=](const Tensor& dy, Grads& grads) {
    const Tensor dz = epilogue_gradient(epilogue, dy, saved.output, 2, grads);
    on(dz, [&](auto device, auto element) {
      using T = decltype(element);
      if (grads.wants(0))
        backward_input(device, s, dz.data<T>(), weights_as<T>(saved.weight), grads);
      if (grads.wants(1)) {
        conv2d_backward_weight(device, s, dz.data<T>(), saved.input.data<T>(), grads.fresh(1));
      }
    });
  });
}

}  // namespace fettle
