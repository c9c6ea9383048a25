#include "engine/ops/concatenate.h"

#include "engine/autograd.h"
#include "engine/graph.h"
#include "kernels/concatenate/concatenate.h"

namespace fettle {

Tensor concatenate(const std::vector<Tensor>& parts) {
  require(!parts.empty(), "concatenate: no tensors were given");
  Shape shape = parts[0].shape();
  require(shape.rank() >= 1, "concatenate: scalars have no last axis");
  std::vector<int64_t> widths;
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
  Tensor y = Tensor::empty(shape, DType::f32, parts[0].device());
  const int64_t rows = total > 0 ? shape.size() / total : 0;
  on(y.device(), [&](auto device) {
    int64_t first = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      copy_columns(device, rows, widths[i], parts[i].data(), widths[i], y.data() + first, total);
      first += widths[i];
    }
  });
  trace(graph::Concatenate{}, parts, y);
  return record(std::move(y), parts, [=](const Tensor& dy, Grads& grads) {
    on(dy.device(), [&](auto device) {
      int64_t first = 0;
      for (size_t i = 0; i < widths.size(); ++i) {
        const int input = static_cast<int>(i);
        if (grads.wants(input)) {
          copy_columns(device, rows, widths[i], dy.data() + first, total, grads.fresh(input),
                       widths[i]);
        }
        first += widths[i];
      }
    });
  });
}

}  // namespace fettle
