#include "models/defect_cnn.h"

#include "layers/batch_normalization.h"
#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "models/augmentation.h"

namespace fettle {

Sequential defect_cnn(const ModelOptions& options) {
  const Conv2D::Options same = {.padding = Padding::same,
                                .use_bias = false,  // batch-norm brings its own
                                .kernel_initializer = Initializer::he_normal};
  // A few hundred steps must be enough for the moving statistics.
  const BatchNormalization::Options quick = options.batch_norm({.momentum = 0.9f});
  Sequential model(augmentation(options.augment, "flip=both,zoom=0.1,contrast=0.2"),
                   Rescaling(1.0f / 127.5f, -1));
  for (int64_t filters : {16, 32, 64, 64}) {
    model.add(Conv2D(filters, 3, same)).add(BatchNormalization(quick)).add(ReLU());
    model.add(MaxPooling2D());
  }
  model.add(Conv2D(128, 3, same)).add(BatchNormalization(quick)).add(ReLU());
  model.add(GlobalMaxPooling2D()).add(Dropout(0.2f)).add(Dense(options.classes));
  return model;
}

}  // namespace fettle
