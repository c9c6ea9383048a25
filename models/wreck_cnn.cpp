#include "models/wreck_cnn.h"

#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "models/augmentation.h"

namespace fettle {

Sequential wreck_cnn(const ModelOptions& options) {
  const Conv2D::Options valid = {.activation = Activation::relu};
  const bool one_sigmoid = options.classes == 2 && !options.multi_label;
  return Sequential(augmentation(options.augment, "zoom=0.1,flip=both,contrast=0.1"),
                    Rescaling(1.0f / 255),                 //
                    Conv2D(16, 3, valid), MaxPooling2D(),  //
                    Conv2D(32, 3, valid), MaxPooling2D(),  //
                    Conv2D(64, 3, valid), MaxPooling2D(),  //
                    Flatten(), Dense(100, Activation::relu), Dense(100, Activation::relu),
                    Dense(50, Activation::relu), Dense(one_sigmoid ? 1 : options.classes));
}

}  // namespace fettle
