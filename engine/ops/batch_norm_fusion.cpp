#include "engine/ops/batch_norm_fusion.h"

#include <array>

#include "engine/autograd.h"
#include "kernels/batch_norm/batch_norm.h"

namespace fettle {
namespace {

/// What a BatchNormTerm points to.
struct Term {
  Tensor x = {}, gamma = {}, beta = {}, mean = {}, variance = {};
  float epsilon = 0;
  bool of_batch = false;

  bool normalised() const { return gamma.defined(); }
  Term detach() const {
    return {x.detach(),        gamma.detach(), beta.detach(), mean.detach(),
            variance.detach(), epsilon,        of_batch};
  }
  template <class T>
  BatchNormTerm<T> arrays() const {
    return {x.defined() ? x.data<T>() : nullptr,
            gamma.data(),
            beta.data(),
            mean.data(),
            variance.data(),
            epsilon,
            of_batch};
  }
};

struct Sum : Pending {
  explicit Sum(Term first, Term second = {}) : terms{std::move(first), std::move(second)} {}
  std::array<Term, 2> terms;
  Tensor mask = {};  ///< where apply() leaves it, if it is to

  const Shape& shape() const { return terms[0].x.shape(); }
  BatchNormShape rows() const { return {terms[0].x.size() / shape()[-1], shape()[-1]}; }
  DType dtype() const { return terms[0].x.dtype(); }
  template <class T>
  BatchNormSum<T> arrays(Epilogue epilogue) const {
    Tensor bits = mask;
    return {{terms[0].arrays<T>(), terms[1].arrays<T>()},
            epilogue,
            bits.defined() ? bits.data<uint8_t>() : nullptr};
  }
  bool needs_gradient() const {
    if (!grad_enabled()) return false;
    for (const Term& term : terms)
      for (const Tensor& input : {term.x, term.gamma, term.beta})
        if (input.requires_grad()) return true;
    return false;
  }
  Tensor apply(Epilogue epilogue) const {
    Tensor y = Tensor::empty(shape(), dtype(), terms[0].x.device());
    on(y, [&](auto device, auto element) {
      using T = decltype(element);
      batch_norm_apply(device, rows(), arrays<T>(epilogue), y.data<T>());
    });
    return y;
  }
  Tensor compute() const override { return apply(Epilogue::linear); }
};

/// Inputs of the operation on the tape, in this order for each term.
constexpr int inputs_each = 3;  // x, gamma, beta

void backward_of(const Sum& sum, Epilogue epilogue, const Tensor& dy, Grads& grads) {
  const BatchNormShape rows = sum.rows();
  Tensor dbeta, dgamma[2];
  for (int k = 0; k < 2; ++k) {
    const int x = k * inputs_each;
    const Term& term = sum.terms[k];
    const bool wanted =
        (term.of_batch && grads.wants(x)) || grads.wants(x + 1) || grads.wants(x + 2);
    if (!term.normalised() || !wanted) continue;
    dgamma[k] = Tensor::empty({rows.C}, DType::f32, dy.device());
    if (!dbeta.defined()) dbeta = Tensor::empty({rows.C}, DType::f32, dy.device());
  }
  on(dy, [&](auto device, auto element) {
    using T = decltype(element);
    const auto arrays = sum.arrays<T>(epilogue);
    const BatchNormGradients gradients = {{dgamma[0].data(), dgamma[1].data()}, dbeta.data()};
    if (dbeta.defined())
      batch_norm_backward_parameters(device, rows, arrays, dy.data<T>(), gradients);
    T* dx[2] = {};
    for (int k = 0; k < 2; ++k)
      if ((arrays.terms[k].x || arrays.mask) && grads.wants(k * inputs_each))
        dx[k] = grads.fresh<T>(k * inputs_each);
    if (dx[0] || dx[1])
      batch_norm_backward_input(device, rows, arrays, dy.data<T>(), gradients, dx[0], dx[1]);
    for (int k = 0; k < 2; ++k)
      if (dx[k] && sum.terms[k].of_batch) grads.sums_to_zero(k * inputs_each, rows.C);
  });
  for (int k = 0; k < 2; ++k) {
    grads.pass(k * inputs_each + 1, dgamma[k]);
    if (sum.terms[k].normalised()) grads.pass(k * inputs_each + 2, dbeta);
  }
}

Tensor on_tape(Tensor y, const Sum& sum, Epilogue epilogue) {
  RecycledVector<Tensor> inputs;
  inputs.reserve(2 * inputs_each);
  for (const Term& term : sum.terms) inputs.insert(inputs.end(), {term.x, term.gamma, term.beta});
  Sum saved(sum.terms[0].detach(), sum.terms[1].detach());
  saved.mask = sum.mask;
  // What is added as it is gets dy as it is, unless ReLU's mask depends on it.
  const bool through = epilogue == Epilogue::linear && !saved.terms[1].normalised();
  if (through || saved.mask.defined()) saved.terms[1] = {};
  return record(std::move(y), inputs, [=](const Tensor& dy, Grads& grads) {
    if (through) grads.pass(inputs_each, dy);
    backward_of(saved, epilogue, dy, grads);
  });
}

Tensor pending(const Sum& sum) {
  return on_tape(
      Tensor::deferred(sum.shape(), sum.dtype(), sum.terms[0].x.device(), make_recycled<Sum>(sum)),
      sum, Epilogue::linear);
}

std::shared_ptr<const Sum> pending_sum(const Tensor& x) {
  return std::dynamic_pointer_cast<const Sum>(x.pending());
}

}  // namespace

Tensor pending_batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                          const Tensor& mean, const Tensor& variance, float epsilon,
                          bool of_batch) {
  return pending(Sum({x, gamma, beta, mean, variance, epsilon, of_batch}));
}

Tensor fused_add(const Tensor& a, const Tensor& b) {
  const auto term_of = [](const Tensor& operand) {
    const auto sum = pending_sum(operand);
    return sum && !sum->terms[1].x.defined() ? sum->terms[0] : Term{operand};
  };
  Term first = term_of(a), second = term_of(b);
  if (!first.normalised()) std::swap(first, second);
  if (!first.normalised()) return {};
  return pending(Sum(std::move(first), std::move(second)));
}

Tensor fused_relu(const Tensor& x) {
  const auto pending = pending_sum(x);
  if (!pending) return {};
  Sum sum = *pending;
  if (sum.needs_gradient()) {
    on(sum.terms[0].x, [&](auto device, auto element) {
      if (needs_mask(sum.arrays<decltype(element)>(Epilogue::relu)))
        sum.mask = Tensor::empty({batch_norm_mask_bytes(device, sum.rows(), element)}, DType::u8,
                                 sum.terms[0].x.device());
    });
  }
  return on_tape(sum.apply(Epilogue::relu), sum, Epilogue::relu);
}

}  // namespace fettle
