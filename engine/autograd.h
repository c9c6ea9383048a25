// Reverse-mode automatic differentiation on a tape.
//
// An operation computes y, then calls record(y, inputs, closure). Where an input needs a gradient,
// y gets a Node that holds the closure and the inputs' nodes. backward(loss) visits the nodes from
// the youngest to the oldest, hands each closure the gradient dy of its output, and adds what the
// closure produces to the inputs' gradients. Each node is freed as soon as it has been visited.
// Baydin et al.: "Automatic differentiation in machine learning: a survey", JMLR 18, 2018.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "engine/tensor.h"
#include "kernels/recycling.h"

namespace fettle {

class Grads;

/// A function of dy and grads that an operation leaves on the tape. Copies share what it captured.
class Backward {
 public:
  Backward() = default;
  template <class F>
  requires std::invocable<F&, const Tensor&, Grads&> Backward(F f)
      : closure_(make_recycled<Of<F>>(std::move(f))) {}

  void operator()(const Tensor& dy, Grads& grads) const { (*closure_)(dy, grads); }
  explicit operator bool() const { return closure_ != nullptr; }

 private:
  struct Closure {
    virtual ~Closure() = default;
    virtual void operator()(const Tensor& dy, Grads& grads) = 0;
  };
  template <class F>
  struct Of final : Closure {
    explicit Of(F f) : f(std::move(f)) {}
    void operator()(const Tensor& dy, Grads& grads) override { f(dy, grads); }
    F f;
  };

  std::shared_ptr<Closure> closure_;
};

/// A tensor's place on the tape: a leaf (a parameter; no closure) or an operation's output.
struct Node {
  RecycledVector<std::shared_ptr<Node>> inputs;  // nullptr where an input needs no gradient
  Backward backward;
  Tensor grad;
  Shape shape;
  DType dtype = DType::f32;
  Device device;
  uint64_t order = 0;  // a node is younger than all its inputs; 0 of a leaf

  bool was_visited() const { return order > 0 && !backward; }
};

/// Where a closure leaves the gradients of its inputs. Kernels overwrite, and this class
/// adds, unless a kernel does so itself.
class Grads {
 public:
  explicit Grads(Node& node) : node_(node), produced_(node.inputs.size()) {}

  /// Whether input i needs a gradient.
  bool wants(int i) const { return node_.inputs[i] != nullptr; }
  /// Memory of input i's shape and type, which must be T, to be overwritten whole with its
  /// gradient; nullptr on meta.
  template <class T = float>
  T* fresh(int i) {
    return fresh_tensor(i).data<T>();
  }
  /// The gradient that input i has from other operations, for a closure that adds its own to it in
  /// place of leaving one; nullptr where there is none yet, or others share it.
  template <class T = float>
  T* collected(int i) {
    Tensor& sum = node_.inputs[i]->grad;
    return sum.defined() && sum.unshared() ? sum.data<T>() : nullptr;
  }
  /// Says of a gradient that fresh() has given memory for that its columns sum to zero.
  void sums_to_zero(int i, int64_t columns) { produced_[i].set_sums_to_zero(columns); }
  /// Gives an existing tensor as the gradient of input i, shared and never changed from here on.
  void pass(int i, const Tensor& gradient);

 private:
  friend void backward(const Tensor& loss);
  Tensor& fresh_tensor(int i);
  void accumulate();
  /// sum += part; `part` may become the sum.
  static void add_to(Tensor& sum, Tensor part);

  Node& node_;
  RecycledVector<Tensor> produced_;
};

/// Puts y on the tape if gradients are being recorded and an input needs one; returns y.
/// The closure may capture inputs and saved statistics, but never y itself (y.detach() may).
Tensor record(Tensor y, const TensorList& inputs, Backward closure);

/// Fills grad() of every parameter that `loss` (one element) depends on, adding to what is there.
/// Throws Error if loss is not a single element or is not on the tape, or where an operation that
/// it depends on has been gone through by an earlier backward(), which frees the tape.
void backward(const Tensor& loss);

/// A leaf node for a parameter.
std::shared_ptr<Node> make_leaf(const Tensor& tensor);

/// Whether operations on this thread are being recorded.
bool grad_enabled();

/// While it lives, operations on this thread record nothing, so that memory is reused at once.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

}  // namespace fettle
