// What the training loop consumes.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/tensor.h"

namespace fettle {

struct Batch {
  Tensor x;  ///< pictures, f32 [N,H,W,C], 0 to 255
  Tensor y;  ///< targets: i32 [N] class numbers, or f32 labels [N,K] or masks [N,H,W,K], 0 and 1
};

/// Hands out the batches of a data set, epoch by epoch.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  /// Begins an epoch. The order of a shuffled source depends on its seed and `epoch` alone.
  virtual void start_epoch(uint32_t epoch) = 0;
  /// The next batch, or nothing at the epoch's end. The last batch may be smaller.
  virtual std::optional<Batch> next() = 0;
  virtual int64_t batches() const = 0;   ///< a whole epoch
  virtual int64_t examples() const = 0;  ///< a whole epoch
};

}  // namespace fettle
