#include "engine/train/device_batches.h"

#include <utility>

namespace fettle {

DeviceBatches::DeviceBatches(BatchSource& source, Device device)
    : source_(source), device_(device) {
  if (device.is_cuda()) uploader_ = std::make_unique<cuda::Uploader>(device.index);
}

DeviceBatches::~DeviceBatches() {
  if (travelling_) uploader_->finish();  // its memory goes back to the pool of the compute stream
}

void DeviceBatches::start_next() {
  travelling_ = source_.next();
  if (!travelling_) return;
  Tensor there = Tensor::empty(travelling_->x.shape(), travelling_->x.dtype(), device_);
  uploader_->start(there.raw(), travelling_->x.raw(), there.bytes());
  travelling_->x = std::move(there);
}

void DeviceBatches::start_epoch(uint32_t epoch) {
  source_.start_epoch(epoch);
  if (!uploader_) return;
  if (travelling_) uploader_->finish();
  start_next();
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
