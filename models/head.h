// What stands on a backbone: from its features to logits, chosen by a text, as the option --head
// gives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "layers/layer.h"

namespace fettle {

/// Features [N,h,w,F] to logits [N,classes], or [N,1] for two classes: layers from a list such as
/// "pool,dropout=0.2,dense=1" or "avgpool=4,flatten,dense=256:relu,dropout=0.3,dense=1":
///   pool, maxpool            the mean or the largest value of each channel, [N,F]
///   avgpool=N, maxpool=N     of windows of N x N, side by side
///   flatten                  [N,C]
///   dropout=RATE
///   dense=UNITS[:ACTIVATION] relu, relu6, swish or sigmoid; without a number, one unit a class
/// The last must be a dense of one unit a class, or of one for two classes, and gives logits.
/// It is called fc, as torchvision's; the others have Keras's names.
class Head : public Layer {
 public:
  /// With several labels a picture the last dense has one unit for each in any case. Throws
  /// ArgumentError naming the word that is not understood, or what the last dense should be.
  Head(const std::string& text, int64_t classes, bool multi_label = false);
  std::string_view kind() const override { return "Head"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace fettle
