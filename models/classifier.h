// A backbone, which makes features of pictures and may have learned to elsewhere, and a head, which
// tells classes by them.
#pragma once

#include <memory>

#include "layers/augmentation.h"
#include "models/head.h"
#include "models/model.h"
#include "models/preprocessing.h"

namespace fettle {

/// Pictures [N,H,W,C], 0 to 255, through augmentation, preprocessing, the backbone and the head, to
/// logits. The tensors of backbone and head are named as if there were one network ("conv1.weight",
/// "fc.weight").
class Classifier : public Layer {
 public:
  /// `preprocess` and the head "pool,dense" are used where the options say "default".
  Classifier(const ModelOptions& options, std::unique_ptr<Layer> backbone,
             const std::string& preprocess);
  std::string_view kind() const override { return "Classifier"; }
  void members(Members& members) override;

  /// Frozen, it runs in inference mode, and training keeps nothing of it for the backward pass.
  Layer& backbone() { return *backbone_; }
  Layer& head() { return head_; }

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Augmentation augmentation_;
  Preprocessing preprocessing_;
  std::unique_ptr<Layer> backbone_;
  Head head_;
};

}  // namespace fettle
