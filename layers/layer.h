// What every layer and model is: something that is called with a tensor and lists its members by
// name. That one list serves the optimiser, checkpoints and the summary.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph.h"
#include "engine/named_tensor.h"

namespace fettle {

class Layer;

/// A layer's own members, in the order in which they were listed.
class Members {
 public:
  struct Entry {
    std::string name;
    Tensor* tensor = nullptr;  // a parameter or a buffer ...
    Layer* layer = nullptr;    // ... or a layer inside this one
    bool parameter = false;    // trained by the optimiser
  };
  /// A tensor that the optimiser changes, for example "weight".
  void parameter(std::string name, Tensor& tensor);
  /// A tensor that is saved but not trained, for example "running_mean".
  void buffer(std::string name, Tensor& tensor);
  void layer(std::string name, Layer& layer);
  /// A layer without a name of its own: it gets Keras's, conv2d, conv2d_1, ...
  void layer(Layer& layer);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::map<std::string, int> unnamed_;  // by Keras's name
};

class Layer {
 public:
  virtual ~Layer() = default;

  /// Applies the layer. On the first call it creates its parameters for the shape of x, so a call
  /// with a meta tensor builds a model without computing anything.
  Tensor operator()(const Tensor& x);

  /// The Keras name of the class, for example "Conv2D".
  virtual std::string_view kind() const = 0;

  /// Lists parameters, buffers and inner layers.
  virtual void members(Members&) {}

  /// A frozen layer's parameters get no gradient, and its batch-norm uses the moving statistics.
  virtual void set_trainable(bool trainable);
  bool trainable() const { return trainable_; }

 protected:
  virtual Tensor call(const Tensor& x) = 0;

 private:
  bool trainable_ = true;
};

/// Moves every parameter and buffer of a built model to a device. Handles from before, as those
/// that named_tensors() gave, keep the old ones: ask again, and make the optimiser afterwards.
void move_to(Layer& model, Device device);

/// Every parameter and buffer of a built model, depth first, with dotted names.
NamedTensors named_tensors(Layer& model);

/// Creates the parameters of a model for inputs of `shape` ([N,H,W,C]); returns the output's shape.
/// Initial weights depend on `seed` alone.
Shape build(Layer& model, const Shape& shape, uint64_t seed = 0);

/// What a built model computes for inputs of `shape`, in prediction, as a list of operations. Calls
/// the model once on zeros. Throws Error when an operation on the way is not one that graphs know.
Graph graph_of(Layer& model, const Shape& shape);

/// One line of a model's summary.
struct LayerRow {
  std::string name;  ///< dotted path
  std::string_view kind;
  Shape output;
  int64_t parameters = 0;     ///< all of the layer's own elements
  int64_t non_trainable = 0;  ///< of them: buffers and frozen parameters
};

/// The table of the layers without inner layers, in the order of a call on `input`.
std::vector<LayerRow> layer_table(Layer& model, const Shape& input);

}  // namespace fettle
