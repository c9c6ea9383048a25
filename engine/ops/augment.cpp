#include "engine/ops/augment.h"

namespace fettle {
namespace {

PictureShape picture_shape(const char* operation, const Tensor& x, const Tensor& drawn,
                           const Shape& a_picture) {
  require(x.shape().rank() == 4, operation, ": the input must be [N,H,W,C], not ", x.shape());
  Shape wanted = {x.shape()[0]};
  for (int64_t extent : a_picture) wanted.push_back(extent);
  require(drawn.shape() == wanted, operation, ": the parameters ", drawn.shape(),
          " do not fit the input ", x.shape());
  check_devices(operation, {x, drawn});
  require(!x.requires_grad(), operation, ": has no gradient; apply it to pictures only");
  return {x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3]};
}

}  // namespace

Tensor affine_transform(const Tensor& x, const Tensor& transforms, Interpolation interpolation) {
  const PictureShape s = picture_shape("affine_transform", x, transforms, {6});
  Tensor y = Tensor::empty(x.shape(), DType::f32, x.device());
  on(x.device(), [&](auto device) {
    affine_transform(device, s, interpolation, x.data(), transforms.data(), y.data());
  });
  return y;
}

Tensor adjust_contrast(const Tensor& x, const Tensor& factors) {
  const PictureShape s = picture_shape("adjust_contrast", x, factors, {});
  Tensor y = Tensor::empty(x.shape(), DType::f32, x.device());
  on(x.device(),
     [&](auto device) { adjust_contrast(device, s, x.data(), factors.data(), y.data()); });
  return y;
}

Tensor adjust_brightness(const Tensor& x, const Tensor& deltas, float low, float high) {
  const PictureShape s = picture_shape("adjust_brightness", x, deltas, {});
  Tensor y = Tensor::empty(x.shape(), DType::f32, x.device());
  on(x.device(), [&](auto device) {
    adjust_brightness(device, s, low, high, x.data(), deltas.data(), y.data());
  });
  return y;
}

}  // namespace fettle
