// Layers applied one after another.
#pragma once

#include <type_traits>

#include "layers/layer.h"

namespace fettle {

/// Sequential model(Conv2D(16, 3), MaxPooling2D(), Flatten(), Dense(2));
/// Inner layers get Keras's names: conv2d, conv2d_1, ..., so a weight is called "conv2d_1.weight".
class Sequential : public Layer {
 public:
  Sequential() = default;
  template <class... Layers>
  requires(sizeof...(Layers) > 0 &&
           (std::is_base_of_v<Layer, std::remove_cvref_t<Layers>> && ...) &&
           !(sizeof...(Layers) == 1 && (std::is_same_v<Sequential, std::remove_cvref_t<Layers>> &&
                                        ...))) explicit Sequential(Layers&&... layers) {
    (add(std::forward<Layers>(layers)), ...);
  }

  /// Appends a layer.
  template <class L>
  Sequential& add(L&& layer) {
    layers_.push_back(std::make_unique<std::remove_cvref_t<L>>(std::forward<L>(layer)));
    return *this;
  }

  std::string_view kind() const override { return "Sequential"; }
  void members(Members& members) override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace fettle
