// Tensor: a cheap handle to a contiguous block of elements with a shape, a type and a device, and
// optionally a place on the autograd tape. Copying a Tensor copies the handle, not the elements.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "engine/device.h"
#include "engine/dtype.h"
#include "engine/memory.h"
#include "engine/shape.h"

namespace fettle {

struct Node;  // engine/autograd.h
class Tensor;

/// How to compute the elements of a tensor that nobody has read yet, so that what follows can be
/// computed in the same pass. See engine/ops/batch_norm_fusion.h.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual Tensor compute() const = 0;
};

class Tensor {
 public:
  /// An undefined tensor: no shape, no memory; `defined()` is false.
  Tensor() = default;

  /// Elements are not initialised.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {});
  /// Every bit is 0.
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {});
  /// Every element of an f32 tensor is `value`.
  static Tensor full(const Shape& shape, float value, Device device = {});
  /// Copies `values`, as many as the shape has elements.
  template <class T>
  static Tensor from(const Shape& shape, std::span<const T> values, Device device = {});
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values, Device device = {}) {
    return from(shape, std::span<const T>(values), device);
  }

  /// A tensor whose elements are computed by whoever reads them first. What `pending` computes them
  /// from must not change until then.
  static Tensor deferred(const Shape& shape, DType dtype, Device device,
                         std::shared_ptr<const Pending> pending);
  /// How the elements will be computed; nullptr once they are there.
  std::shared_ptr<const Pending> pending() const;
  /// Computes the elements now, if that is still to be done.
  void compute() const;
  /// Takes those of `value`, of the same shape and type, in place of computing them.
  void settle(const Tensor& value) const;

  bool defined() const { return defined_; }
  const Shape& shape() const { return shape_; }
  int64_t size() const { return shape_.size(); }
  size_t bytes() const { return static_cast<size_t>(size()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  /// The elements, at an address of the tensor's device; nullptr on meta. T must be the tensor's
  /// type.
  template <class T = float>
  T* data() {
    check_type(dtype_of<T>());
    return reinterpret_cast<T*>(raw());
  }
  template <class T = float>
  const T* data() const {
    check_type(dtype_of<T>());
    return reinterpret_cast<const T*>(raw());
  }
  /// The elements as raw bytes.
  std::byte* raw() { return address_to_write(); }
  const std::byte* raw() const { return address(); }

  /// The elements of an f32 tensor on a GPU, rounded to bf16: what bf16 kernels take weights as. A
  /// copy that is kept with the elements and made anew only if they were asked for to be written
  /// since. In a captured graph (engine/cuda_graph.h) too, each launch finds it right. Several
  /// threads may ask at once while none writes.
  const bf16* rounded() const;
  /// That copy, for whoever writes it along with the elements, after data(): it counts as right
  /// then. nullptr where nobody has asked for it; who is captured so never writes a later one.
  bf16* rounded_to_write();

  /// Whether the sum of each of `columns` columns, the last axis, is known to be zero.
  bool sums_to_zero(int64_t columns) const;
  /// Says so, from how the elements were computed, until they are asked for to be written.
  void set_sums_to_zero(int64_t columns);

  /// A copy of the elements on the host. Throws Error on meta.
  template <class T = float>
  std::vector<T> to_vector() const;
  /// The only element of a tensor of size 1.
  float item() const;

  /// The same elements under another shape of the same size, off the tape (reshape() in
  /// engine/ops/reshape.h stays on it).
  Tensor view(const Shape& shape) const;
  /// The same elements, off the tape.
  Tensor detach() const;
  /// A new tensor with equal elements, off the tape.
  Tensor clone() const;
  /// This tensor on another device, off the tape: itself when it is there already, else a copy.
  Tensor to(Device device) const;
  /// Overwrites the elements with those of `source`, of the same shape and type, from any device.
  void copy_from(const Tensor& source);
  /// Sets every element of an f32 tensor.
  void fill(float value);
  /// True when no other handle shares the elements.
  bool unshared() const { return storage_.use_count() == 1; }

  /// Autograd. A parameter is a leaf that collects its gradient in grad().
  bool requires_grad() const { return node_ != nullptr; }
  /// Makes this a leaf that collects a gradient, or takes it off the tape.
  void set_requires_grad(bool on);
  /// The gradient collected by backward(); undefined before.
  Tensor grad() const;
  /// Lets grad() be undefined again, so that the next backward() begins anew.
  void clear_grad();
  /// This tensor's place on the tape (engine/autograd.h); nullptr where it is not on it.
  const std::shared_ptr<Node>& node() const { return node_; }
  void set_node(std::shared_ptr<Node> node) { node_ = std::move(node); }

 private:
  struct Storage;
  std::byte* address() const;
  std::byte* address_to_write();
  void check_type(DType wanted) const {
    require(wanted == dtype_, "a tensor of ", name_of(dtype_), " was read as ", name_of(wanted));
  }

  std::shared_ptr<Storage> storage_;
  std::shared_ptr<Node> node_;
  Shape shape_;
  Device device_;
  DType dtype_ = DType::f32;
  bool defined_ = false;
};

/// Calls f(device, T{}) with the tag of the tensor's device and a T of its type: float, or, on a
/// GPU, bf16, for which the CPU has no kernels.
template <class F>
void on(const Tensor& tensor, F&& f) {
  on(tensor.device(), [&](auto device) {
    if constexpr (std::is_same_v<decltype(device), Cuda>) {
      if (tensor.dtype() == DType::bf16) return f(device, bf16{});
    }
    f(device, float{});
  });
}

/// Tensors that a function is given, as {a, b} or in a vector, and does not keep.
class TensorList {
 public:
  TensorList(std::initializer_list<Tensor> tensors) : tensors_(tensors.begin(), tensors.size()) {}
  template <class Allocator>
  TensorList(const std::vector<Tensor, Allocator>& tensors) : tensors_(tensors) {}

  const Tensor* begin() const { return tensors_.data(); }
  const Tensor* end() const { return begin() + size(); }
  size_t size() const { return tensors_.size(); }
  const Tensor& operator[](size_t i) const { return tensors_[i]; }

 private:
  std::span<const Tensor> tensors_;
};

/// Throws Error naming the operation unless all defined tensors lie on the first one's device; a
/// meta tensor goes with any.
void check_devices(const char* operation, const TensorList& tensors);

}  // namespace fettle
