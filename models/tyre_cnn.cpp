#include "models/tyre_cnn.h"

#include "layers/conv2d.h"
#include "layers/dense.h"
#include "layers/dropout.h"
#include "layers/elementwise.h"
#include "layers/pooling.h"
#include "models/augmentation.h"

namespace fettle {

Sequential tyre_cnn(const ModelOptions& options) {
  const Conv2D::Options same = {.padding = Padding::same, .activation = Activation::relu};
  return Sequential(augmentation(options.augment, "flip=horizontal,rotation=0.1,zoom=0.1"),
                    Rescaling(1.0f / 255),                //
                    Conv2D(16, 3, same), MaxPooling2D(),  //
                    Conv2D(32, 3, same), MaxPooling2D(),  //
                    Conv2D(64, 3, same), MaxPooling2D(),  //
                    Dropout(0.2f), Flatten(),             //
                    Dense(128, Activation::relu), Dense(options.classes));
}

}  // namespace fettle
