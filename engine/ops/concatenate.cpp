#include "engine/ops/concatenate.h"

#include "engine/autograd.h"
#include "engine/graph.h"
#include "engine/ops/cast.h"
#include "engine/ops/upsample2d.h"
#include "kernels/concatenate/concatenate.h"

namespace fettle {
namespace {

/// Some columns of the result: an input as it is, or enlarged.
struct Part {
  Part(const std::shared_ptr<const PendingUpsample2d>& pending, int64_t first, int64_t width,
       int64_t total)
      : first(first), width(width), total(total), enlarged(pending != nullptr) {
    if (!pending) return;
    shape = pending->shape;
    shape.pitch = total;
    interpolation = pending->interpolation;
  }

  template <class Device, class T>
  void forward(Device device, int64_t rows, const T* x, T* y) const {
    if (enlarged) return upsample2d_forward(device, shape, interpolation, x, y + first);
    copy_columns(device, rows, width, x, width, y + first, total);
  }
  template <class Device, class T>
  void backward(Device device, int64_t rows, const T* dy, T* dx) const {
    if (enlarged) return upsample2d_backward(device, shape, interpolation, dy + first, dx);
    copy_columns(device, rows, width, dy + first, total, dx, width);
  }

  int64_t first, width, total;
  bool enlarged;
  Upsample2dShape shape;
  Upsampling interpolation = Upsampling::nearest;
};

}  // namespace

Tensor concatenate(const TensorList& given) {
  require(given.size() > 0, "concatenate: no tensors were given");
  RecycledVector<Tensor> joined(given.begin(), given.end());
  for (Tensor& tensor : joined) tensor = cast(tensor, joined[0].dtype());
  Shape shape = joined[0].shape();
  require(shape.rank() >= 1, "concatenate: scalars have no last axis");
  int64_t total = 0;
  for (const Tensor& tensor : joined) {
    require(tensor.shape().rank() == shape.rank(), "concatenate: the shapes ", shape, " and ",
            tensor.shape(), " have different ranks");
    shape[-1] = tensor.shape()[-1];
    require(tensor.shape() == shape, "concatenate: the shapes ", joined[0].shape(), " and ",
            tensor.shape(), " differ in more than the last axis");
    total += tensor.shape()[-1];
  }
  check_devices("concatenate", joined);
  shape[-1] = total;
  Tensor y = Tensor::empty(shape, joined[0].dtype(), joined[0].device());
  const int64_t rows = total > 0 ? shape.size() / total : 0;
  RecycledVector<Part> parts;
  RecycledVector<Tensor> inputs;
  int64_t first = 0;
  for (const Tensor& tensor : joined) {
    const auto pending = pending_upsample2d(tensor);
    parts.emplace_back(pending, first, tensor.shape()[-1], total);
    inputs.push_back(pending ? pending->x : tensor);
    first += tensor.shape()[-1];
  }
  on(y, [&](auto device, auto element) {
    using T = decltype(element);
    for (size_t i = 0; i < parts.size(); ++i)
      parts[i].forward(device, rows, std::as_const(inputs[i]).data<T>(), y.data<T>());
  });
  trace(graph::Concatenate{}, joined, y);
  return record(std::move(y), inputs, [rows, parts](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      for (int i = 0; i < static_cast<int>(parts.size()); ++i)
        if (grads.wants(i)) parts[i].backward(device, rows, dy.data<T>(), grads.fresh<T>(i));
    });
  });
}

}  // namespace fettle
