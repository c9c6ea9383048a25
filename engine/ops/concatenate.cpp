#include "engine/ops/concatenate.h"

#include "engine/autograd.h"
#include "engine/graph.h"
#include "engine/ops/cast.h"
#include "kernels/concatenate/concatenate.h"

namespace fettle {

Tensor concatenate(const TensorList& given_parts) {
  require(given_parts.size() > 0, "concatenate: no tensors were given");
  RecycledVector<Tensor> parts(given_parts.begin(), given_parts.end());
  for (Tensor& part : parts) part = cast(part, parts[0].dtype());
  Shape shape = parts[0].shape();
  require(shape.rank() >= 1, "concatenate: scalars have no last axis");
  RecycledVector<int64_t> widths;
  int64_t total = 0;
  for (const Tensor& part : parts) {
    require(part.shape().rank() == shape.rank(), "concatenate: the shapes ", shape, " and ",
            part.shape(), " have different ranks");
    shape[-1] = part.shape()[-1];
    require(part.shape() == shape, "concatenate: the shapes ", parts[0].shape(), " and ",
            part.shape(), " differ in more than the last axis");
    widths.push_back(part.shape()[-1]);
    total += widths.back();
  }
  check_devices("concatenate", parts);
  shape[-1] = total;
  Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  const int64_t rows = total > 0 ? shape.size() / total : 0;
  on(y, [&](auto device, auto element) {
    using T = decltype(element);
    int64_t first = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      copy_columns(device, rows, widths[i], std::as_const(parts[i]).data<T>(), widths[i],
                   y.data<T>() + first, total);
      first += widths[i];
    }
  });
  trace(graph::Concatenate{}, parts, y);
  return record(std::move(y), parts, [=](const Tensor& dy, Grads& grads) {
    on(dy, [&](auto device, auto element) {
      using T = decltype(element);
      int64_t first = 0;
      for (size_t i = 0; i < widths.size(); ++i) {
        const int input = static_cast<int>(i);
        if (grads.wants(input)) {
          copy_columns(device, rows, widths[i], dy.data<T>() + first, total, grads.fresh<T>(input),
                       widths[i]);
        }
        first += widths[i];
      }
    });
  });
}

}  // namespace fettle
