#include "models/classifier.h"

#include "models/augmentation.h"

namespace fettle {

Classifier::Classifier(const ModelOptions& options, std::unique_ptr<Layer> backbone,
                       const std::string& preprocess)
    : augmentation_(augmentation(options.augment, "flip=horizontal,rotation=0.03,zoom=0.1")),
      preprocessing_(options.preprocess, preprocess),
      backbone_(std::move(backbone)),
      head_(options.head == "default" ? "pool,dense" : options.head, options.classes,
            options.multi_label) {}

void Classifier::members(Members& members) {
  members.layer(augmentation_);
  members.layer(preprocessing_);
  backbone_->members(members);
  head_.members(members);
}

Tensor Classifier::call(const Tensor& x) {
  return head_((*backbone_)(preprocessing_(augmentation_(x))));
}

}  // namespace fettle
