#include "engine/train/device_batches.h"

#include <utility>

namespace fettle {

DeviceBatches::DeviceBatches(BatchSource& source, Device device)
    : source_(source), device_(device) {
  if (device.is_cuda()) uploader_ = std::make_unique<cuda::Uploader>(device.index);
}

void DeviceBatches::start_next() {
  std::optional<Batch> batch = source_.next();
  if (!batch) return;
  const auto travels = [](const Tensor& t) {
    return t.dtype() == DType::f32 && t.device() == Device::cpu();
  };
  // Both tensors are made before a copy starts, and kept until it has ended whatever happens.
  const Batch here = *batch;
  for (Tensor* t : {&batch->x, &batch->y}) {
    if (travels(*t)) *t = Tensor::empty(t->shape(), t->dtype(), device_);
  }
  travelling_ = std::move(batch);
  if (travels(here.x)) uploader_->start(travelling_->x.raw(), here.x.raw(), here.x.bytes());
  if (travels(here.y)) uploader_->start(travelling_->y.raw(), here.y.raw(), here.y.bytes());
}

void DeviceBatches::start_epoch(uint32_t epoch) {
  if (travelling_) {  // the epoch before was left in its middle
    uploader_->finish();
    travelling_.reset();
  }
  source_.start_epoch(epoch);
  if (uploader_) start_next();
}

std::optional<Batch> DeviceBatches::next() {
  if (!uploader_) return source_.next();
  if (!travelling_) return {};
  uploader_->finish();
  std::optional<Batch> now = std::exchange(travelling_, std::nullopt);
  start_next();
  return now;
}

}  // namespace fettle
