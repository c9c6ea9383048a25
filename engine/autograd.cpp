#include "engine/autograd.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <utility>

#include "kernels/elementwise/elementwise.h"

namespace fettle {
namespace {
thread_local bool recording = true;
std::atomic<uint64_t> next_order{1};
}  // namespace

Tensor& Grads::fresh_tensor(int i) {
  const Node& input = *node_.inputs[i];
  produced_[i] = Tensor::empty(input.shape, input.dtype, input.device);
  return produced_[i];
}

void Grads::pass(int i, const Tensor& gradient) {
  if (wants(i)) produced_[i] = gradient.detach();
}

void Grads::accumulate() {
  for (size_t i = 0; i < produced_.size(); ++i) {
    if (!produced_[i].defined()) continue;
    Tensor part = std::move(produced_[i]);
    if (part.shape() != node_.inputs[i]->shape) part = part.view(node_.inputs[i]->shape);
    add_to(node_.inputs[i]->grad, std::move(part));
  }
}

void Grads::add_to(Tensor& sum, Tensor part) {
  if (!sum.defined()) {
    sum = std::move(part);
    return;
  }
  // A gradient that was passed through is shared with another node: leave that one as it is.
  Tensor total = sum.unshared() ? sum : Tensor::empty(sum.shape(), sum.dtype(), sum.device());
  on(sum, [&](auto device, auto element) {
    using T = decltype(element);
    add(device, sum.size(), std::as_const(sum).data<T>(), std::as_const(part).data<T>(),
        total.data<T>());
  });
  sum = std::move(total);
}

Tensor record(Tensor y, const TensorList& inputs, Backward closure) {
  const bool needed = recording && std::any_of(inputs.begin(), inputs.end(),
                                               [](const Tensor& t) { return t.requires_grad(); });
  if (!needed) return y;
  auto node = make_recycled<Node>();
  node->inputs.reserve(inputs.size());
  for (const Tensor& input : inputs) node->inputs.push_back(input.node());
  node->backward = std::move(closure);
  node->shape = y.shape();
  node->dtype = y.dtype();
  node->device = y.device();
  node->order = next_order++;
  y.set_node(std::move(node));
  return y;
}

void backward(const Tensor& loss) {
  require(loss.size() == 1, "backward: the loss must have one element, not shape ", loss.shape());
  require(loss.requires_grad(), "backward: the loss depends on no tensor that requires a gradient");
  const NoGrad no_grad;
  const auto check_is_there = [](const Node& node) {
    require(!node.was_visited(),
            "backward: an operation that the loss depends on has been gone through by an earlier "
            "backward(), which frees the tape; compute the loss again");
  };
  const auto comes_later = [](const auto& a, const auto& b) { return a->order < b->order; };
  std::priority_queue<std::shared_ptr<Node>, RecycledVector<std::shared_ptr<Node>>,
                      decltype(comes_later)>
      pending(comes_later);
  check_is_there(*loss.node());
  Grads::add_to(loss.node()->grad, Tensor::full(loss.shape(), 1.0f, loss.device()));
  if (loss.node()->backward) pending.push(loss.node());
  while (!pending.empty()) {
    const std::shared_ptr<Node> node = pending.top();
    pending.pop();
    const Backward closure = std::exchange(node->backward, Backward());
    const Tensor dy = std::exchange(node->grad, Tensor());
    Grads grads(*node);
    closure(dy, grads);
    RecycledVector<char> first(node->inputs.size());
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (node->inputs[i]) check_is_there(*node->inputs[i]);
      first[i] = node->inputs[i] && !node->inputs[i]->grad.defined();
    }
    grads.accumulate();
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      const auto& input = node->inputs[i];
      if (first[i] && input->backward && input->grad.defined()) {
        pending.push(input);
        // The same input twice (x + x) is pushed once.
        for (size_t j = i + 1; j < node->inputs.size(); ++j) {
          if (node->inputs[j] == input) first[j] = false;
        }
      }
    }
    node->inputs.clear();
  }
}

std::shared_ptr<Node> make_leaf(const Tensor& tensor) {
  auto node = make_recycled<Node>();
  node->shape = tensor.shape();
  node->dtype = tensor.dtype();
  node->device = tensor.device();
  return node;
}

bool grad_enabled() {
  return recording;
}
NoGrad::NoGrad() : before_(recording) {
  recording = false;
}
NoGrad::~NoGrad() {
  recording = before_;
}

}  // namespace fettle
