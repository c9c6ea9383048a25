// A dense layer is the convolution of a picture of one pixel by a kernel of one pixel, so the
// ladder of kernels/conv2d serves it as it is.
#include "kernels/conv2d/conv2d.h"
#include "kernels/dense/dense.h"

namespace fettle {
namespace {

Conv2dShape pointwise(const DenseShape& s) {
  return {.N = s.N, .C = s.C, .K = s.K};
}

}  // namespace

void dense_forward(Cuda device, const DenseShape& shape, const float* x, const float* w,
                   const float* bias, Epilogue epilogue, float* y) {
  conv2d_forward(device, pointwise(shape), x, w, bias, epilogue, y);
}

void dense_backward_input(Cuda device, const DenseShape& shape, const float* dy, const float* w,
                          float* dx) {
  conv2d_backward_input(device, pointwise(shape), dy, w, dx);
}

void dense_backward_weight(Cuda device, const DenseShape& shape, const float* dy, const float* x,
                           float* dw) {
  conv2d_backward_weight(device, pointwise(shape), dy, x, dw);
}

}  // namespace fettle
