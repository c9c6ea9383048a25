// Batches on the device that computes, the next one on its way there while this one is used.
#pragma once

#include <memory>

#include "engine/train/batch.h"

namespace fettle {

/// Hands out the batches of another source with their pictures and masks, of whatever type, on
/// `device`; class numbers stay on the host, where losses and metrics check them. To a GPU, batch
/// n+1 is copied through pinned memory while the kernels of batch n run. On the CPU the batches
/// pass as they are.
///
/// Throws Error when the GPU has no memory for a batch, and whatever the source throws: to a GPU,
/// one batch before it is due. After an Error only start_epoch() may follow.
class DeviceBatches : public BatchSource {
 public:
  DeviceBatches(BatchSource& source, Device device);

  void start_epoch(uint32_t epoch) override;
  std::optional<Batch> next() override;
  int64_t batches() const override { return source_.batches(); }
  int64_t examples() const override { return source_.examples(); }

 private:
  void start_next();

  BatchSource& source_;
  Device device_;
  std::optional<Batch> travelling_;
  std::unique_ptr<cuda::Uploader> uploader_;  // is destroyed, and so waits, before what it fills
};

}  // namespace fettle
