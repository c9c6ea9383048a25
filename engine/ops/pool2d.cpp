#include "engine/ops/pool2d.h"

#include "engine/autograd.h"
#include "engine/graph.h"
#include "engine/ops/reshape.h"
#include "kernels/pool2d/pool2d.h"

namespace fettle {
namespace {

Pool2dShape pool2d_shape(const char* operation, const Tensor& x, const Pool2dOptions& options) {
  require(x.shape().rank() == 4, operation, ": the input must be [N,H,W,C], not ", x.shape());
  Pool2dShape s;
  s.N = x.shape()[0], s.H = x.shape()[1], s.W = x.shape()[2], s.C = x.shape()[3];
  s.R = options.pool_size[0], s.S = options.pool_size[1];
  s.stride_h = options.strides[0], s.stride_w = options.strides[1];
  require(s.R > 0 && s.S > 0 && s.stride_h > 0 && s.stride_w > 0, operation,
          ": pool_size and strides must be at least 1");
  const std::array<Pads, 2> pads = options.explicit_padding.value_or(
      std::array{pads_for(options.padding, s.H, s.R, s.stride_h),
                 pads_for(options.padding, s.W, s.S, s.stride_w)});
  const bool inside =
      pads[0].before < s.R && pads[0].after < s.R && pads[1].before < s.S && pads[1].after < s.S;
  require(inside && s.H + pads[0].before + pads[0].after >= s.R &&
              s.W + pads[1].before + pads[1].after >= s.S,
          operation, ": the window ", Shape{s.R, s.S}, " does not fit the input ", x.shape());
  s.pad_top = pads[0].before;
  s.pad_left = pads[1].before;
  s.P = output_extent(s.H, pads[0], s.R, s.stride_h);
  s.Q = output_extent(s.W, pads[1], s.S, s.stride_w);
  return s;
}

/// One window of the whole picture.
Pool2dOptions whole_picture(const char* operation, const Tensor& x) {
  require(x.shape().rank() == 4, operation, ": the input must be [N,H,W,C], not ", x.shape());
  const std::array<int64_t, 2> whole = {x.shape()[1], x.shape()[2]};
  return {.pool_size = whole, .strides = whole};
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  const Pool2dShape s = pool2d_shape("max_pool2d", x, options);
  Tensor y = Tensor::empty({s.N, s.P, s.Q, s.C}, x.dtype(), x.device());
  Tensor places;
  if (grad_enabled() && x.requires_grad())
    places = Tensor::empty({s.N, s.P, s.Q, s.C * bytes_a_place(s)}, DType::u8, x.device());
  on(x, [&](auto device, auto element) {
    using T = decltype(element);
    if (!places.defined()) return max_pool2d_forward(device, s, x.data<T>(), y.data<T>());
    max_pool2d_forward(device, s, x.data<T>(), y.data<T>(), places.data<uint8_t>());
  });
  trace(graph::MaxPool2d{s}, {x}, y);
  return record(std::move(y), {x}, [s, places](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      T* const sum = grads.collected<T>(0);  // of a skip connection, which is read later, too
      max_pool2d_backward(device, s, places.data<uint8_t>(), dy.data<T>(),
                          sum ? sum : grads.fresh<T>(0), sum != nullptr);
    });
  });
}

Tensor average_pool2d(const Tensor& x, const Pool2dOptions& options) {
  const Pool2dShape s = pool2d_shape("average_pool2d", x, options);
  Tensor y = Tensor::empty({s.N, s.P, s.Q, s.C}, x.dtype(), x.device());
  on(x, [&](auto device, auto element) {
    using T = decltype(element);
    average_pool2d_forward(device, s, x.data<T>(), y.data<T>());
  });
  trace(graph::AveragePool2d{s}, {x}, y);
  return record(std::move(y), {x}, [s](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      average_pool2d_backward(device, s, dy.data<T>(), grads.fresh<T>(0));
    });
  });
}

Tensor global_average_pool2d(const Tensor& x) {
  return flatten(average_pool2d(x, whole_picture("global_average_pool2d", x)));
}

Tensor global_max_pool2d(const Tensor& x) {
  return flatten(max_pool2d(x, whole_picture("global_max_pool2d", x)));
}

}  // namespace fettle
