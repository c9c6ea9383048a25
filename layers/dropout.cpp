#include "layers/dropout.h"

#include "engine/ops/dropout.h"
#include "engine/random.h"

namespace fettle {

Dropout::Dropout(float rate) : rate_(rate) {
  require(rate >= 0 && rate < 1, "Dropout: the rate ", rate, " must be at least 0 and below 1");
}

Tensor Dropout::call(const Tensor& x) {
  return is_training() && rate_ > 0 ? dropout(x, rate_, next_random_key()) : x;
}

}  // namespace fettle
