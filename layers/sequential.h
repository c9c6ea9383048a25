// Layers applied one after another.
#pragma once

#include <type_traits>

#include "layers/layer.h"

namespace fettle {

/// Sequential model(Conv2D(16, 3), MaxPooling2D(), Flatten(), Dense(2));
/// Inner layers are named by their index, "0", "1", ..., so a weight is called "0.weight".
class Sequential : public Layer {
 public:
  template <class... Layers>
  requires(sizeof...(Layers) > 0 && (std::is_base_of_v<Layer, std::remove_cvref_t<Layers>> &&
                                     ...)) explicit Sequential(Layers&&... layers) {
    (add(std::forward<Layers>(layers)), ...);
  }

  /// Appends a layer.
  template <class L>
  Sequential& add(L&& layer) {
    layers_.push_back(std::make_unique<std::remove_cvref_t<L>>(std::forward<L>(layer)));
    return *this;
  }

  std::string_view kind() const override { return "Sequential"; }
  void members(Members& members) override {
    for (size_t i = 0; i < layers_.size(); ++i) members.layer(std::to_string(i), *layers_[i]);
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor y = x;
    for (const auto& layer : layers_) y = (*layer)(y);
    return y;
  }

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace fettle
