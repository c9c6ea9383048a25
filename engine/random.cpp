#include "engine/random.h"

namespace fettle {
namespace {
thread_local RandomScope* innermost = nullptr;
thread_local RandomKey without_scope;
thread_local bool training = false;
}  // namespace

RandomScope::RandomScope(uint64_t seed, uint32_t step) : key_{seed, step, 0}, outer_(innermost) {
  innermost = this;
}
RandomScope::~RandomScope() {
  innermost = outer_;
}

RandomKey next_random_key() {
  RandomKey& key = innermost ? innermost->key_ : without_scope;
  const RandomKey drawn = key;
  ++key.stream;
  return drawn;
}

RandomKey in_this_step(RandomKey key) {
  if (innermost) key.step = innermost->key_.step;
  return key;
}

TrainingScope::TrainingScope(uint64_t seed, uint32_t step)
    : random_(seed, step), before_(training) {
  training = true;
}
TrainingScope::~TrainingScope() {
  training = before_;
}

bool is_training() {
  return training;
}

}  // namespace fettle
