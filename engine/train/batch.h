// What the training loop consumes.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/tensor.h"

namespace fettle {

struct Batch {
  Tensor x;  ///< pictures [N,H,W,C], 0 to 255 or standardised, f32, or u8 as they are stored
  Tensor y;  ///< targets: i32 [N] class numbers, or labels f32 [N,K] or masks [N,H,W,K], f32 or u8,
             ///< of 0 and 1
  Tensor scaling = {};  ///< of u8 pictures that are to be standardised, f32 [N,2]; see pictures()
};

/// The batch with pictures and masks as f32, those of u8 pending (engine/ops/augment.h).
Batch as_floats(const Batch& batch);

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
