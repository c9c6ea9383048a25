#include "engine/train/batch.h"

#include "engine/ops/augment.h"

namespace fettle {

Batch as_floats(const Batch& batch) {
  return {pictures(batch.x, batch.scaling), pictures(batch.y)};
}

}  // namespace fettle
