#include "engine/train/device_batches.h"

#include <utility>
#include <vector>

namespace fettle {

DeviceBatches::DeviceBatches(BatchSource& source, Device device)
    : source_(source), device_(device) {
  if (device.is_cuda()) uploader_ = std::make_unique<cuda::Uploader>(device.index);
}

void DeviceBatches::start_next() {
  const std::optional<Batch> batch = source_.next();
  if (!batch) return;
  // All tensors are made before a copy starts, and kept until it has ended whatever happens.
  std::vector<std::pair<const Tensor*, Tensor*>> journeys;
  travelling_.emplace();
  for (Tensor Batch::*member : {&Batch::scaling, &Batch::x, &Batch::y}) {
    const Tensor& from = (*batch).*member;
    Tensor& to = (*travelling_).*member;
    to = from;
    const bool stays = !from.defined() || from.dtype() == DType::i32;
    if (stays || from.device() != Device::cpu()) continue;
    to = Tensor::empty(from.shape(), from.dtype(), device_);
    journeys.emplace_back(&from, &to);
  }
  for (const auto& [from, to] : journeys) uploader_->start(to->raw(), from->raw(), from->bytes());
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
