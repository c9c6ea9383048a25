// Where random layers get their key from. Results depend on (seed, step) and on the order of the
// random operations in the model, never on threads or devices.
#pragma once

#include "kernels/philox.h"

namespace fettle {

/// While it lives, random operations on this thread draw from (seed, step): the first gets stream
/// 0, the next stream 1, and so on. Scopes nest; the inner one counts on its own.
class RandomScope {
 public:
  explicit RandomScope(uint64_t seed, uint32_t step = 0);
  ~RandomScope();
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

 private:
  friend RandomKey next_random_key();
  friend RandomKey in_this_step(RandomKey key);
  RandomKey key_;
  RandomScope* outer_;
};

/// The key of the next random operation. Without a scope: seed 0 and a stream that counts up.
RandomKey next_random_key();

/// A key of an earlier step, or of this one, as this thread's scope would have given it now.
RandomKey in_this_step(RandomKey key);

/// While it lives, layers on this thread behave as in training: dropout drops, augmentation
/// augments, batch-norm uses the batch. Without it they predict.
class TrainingScope {
 public:
  TrainingScope(uint64_t seed, uint32_t step);
  ~TrainingScope();

 private:
  RandomScope random_;
  bool before_;
};

/// Whether a TrainingScope lives on this thread.
bool is_training();

}  // namespace fettle
