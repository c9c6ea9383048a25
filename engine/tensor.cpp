#include "engine/tensor.h"

#include <mutex>
#include <type_traits>

#include "engine/autograd.h"
#include "engine/cuda_graph.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/recycling.h"

namespace fettle {

/// The elements of a tensor, shared by its handles.
struct Tensor::Storage {
  std::shared_ptr<std::byte> memory = {};
  std::shared_ptr<const Pending> pending = {};  // until somebody reads them
  std::shared_ptr<std::byte> rounded = {};      // their copy in bf16, if somebody has asked for it
  bool rounded_is_right = false;
  int64_t columns_of_zero_sum = 0;
};

Tensor Tensor::deferred(const Shape& shape, DType dtype, Device device,
                        std::shared_ptr<const Pending> pending) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  t.defined_ = true;
  t.storage_ = make_recycled<Storage>(Storage{.pending = std::move(pending)});
  return t;
}

std::shared_ptr<const Pending> Tensor::pending() const {
  return storage_ ? storage_->pending : nullptr;
}

void Tensor::compute() const {
  if (const auto pending = this->pending()) settle(pending->compute());
}

void Tensor::settle(const Tensor& value) const {
  storage_->memory = value.storage_->memory;
  storage_->pending = nullptr;
}

std::byte* Tensor::address() const {
  compute();
  return storage_ ? storage_->memory.get() : nullptr;
}

std::byte* Tensor::address_to_write() {
  if (storage_) {
    storage_->rounded_is_right = false;
    storage_->columns_of_zero_sum = 0;
  }
  return address();
}

bool Tensor::sums_to_zero(int64_t columns) const {
  // Of several columns that become one under another shape, the sum is zero, too.
  return storage_ && columns > 0 && storage_->columns_of_zero_sum > 0 &&
         storage_->columns_of_zero_sum % columns == 0;
}
void Tensor::set_sums_to_zero(int64_t columns) {
  storage_->columns_of_zero_sum = columns;
}

const bf16* Tensor::rounded() const {
  require(device_.is_cuda(), "bf16 weights are for GPUs; on ", to_string(device_), " they are f32");
  const float* from = data();
  // Threads that predict with one model ask for its weights at once.
  static std::mutex mutex;
  const std::scoped_lock lock(mutex);
  Storage& s = *storage_;
  if (!s.rounded) s.rounded = allocate(static_cast<size_t>(size()) * sizeof(bf16), device_);
  auto* to = reinterpret_cast<bf16*>(s.rounded.get());
  if (s.rounded_is_right) {
    // What is captured relies on it at each launch, whoever writes the elements in between.
    if (is_capturing()) CudaGraph::before_each_launch([t = detach()] { t.rounded(); });
    return to;
  }
  on(device_, [&](auto device) {
    if constexpr (std::is_same_v<decltype(device), Cuda>) convert(device, size(), from, to);
  });
  s.rounded_is_right = !is_capturing();  // else it is made by the launch, not now
  return to;
}

bf16* Tensor::rounded_to_write() {
  if (!storage_ || !storage_->rounded) return nullptr;
  storage_->rounded_is_right = !is_capturing();  // else nothing is written yet
  return reinterpret_cast<bf16*>(storage_->rounded.get());
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  t.defined_ = true;
  t.storage_ = make_recycled<Storage>(Storage{.memory = allocate(t.bytes(), device)});
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  set_memory(t.raw(), device, 0, t.bytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, float value, Device device) {
  Tensor t = empty(shape, DType::f32, device);
  t.fill(value);
  return t;
}

template <class T>
Tensor Tensor::from(const Shape& shape, std::span<const T> values, Device device) {
  require(static_cast<int64_t>(values.size()) == shape.size(), "a tensor of shape ", shape,
          " holds ", shape.size(), " elements, but ", values.size(), " were given");
  Tensor t = empty(shape, dtype_of<T>(), device);
  if (!device.is_meta()) {
    copy_memory(t.raw(), device, reinterpret_cast<const std::byte*>(values.data()), Device::cpu(),
                t.bytes());
  }
  return t;
}
template Tensor Tensor::from(const Shape&, std::span<const float>, Device);
template Tensor Tensor::from(const Shape&, std::span<const int32_t>, Device);
template Tensor Tensor::from(const Shape&, std::span<const uint8_t>, Device);

template <class T>
std::vector<T> Tensor::to_vector() const {
  require(!device_.is_meta(), "a meta tensor of shape ", shape_, " has no elements to read");
  check_type(dtype_of<T>());
  std::vector<T> values(static_cast<size_t>(size()));
  copy_memory(reinterpret_cast<std::byte*>(values.data()), Device::cpu(), raw(), device_, bytes());
  return values;
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;

float Tensor::item() const {
  require(size() == 1, "a tensor of shape ", shape_, " has no single element");
  return to_vector<float>()[0];
}

Tensor Tensor::view(const Shape& shape) const {
  require(shape.size() == size(), "a tensor of shape ", shape_, " cannot be seen as ", shape);
  compute();  // what is pending knows the old shape
  Tensor t = detach();
  t.shape_ = shape;
  return t;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.node_ = nullptr;
  return t;
}

Tensor Tensor::clone() const {
  if (!defined_) return {};
  Tensor t = empty(shape_, dtype_, device_);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (!defined_ || device_ == device) return detach();
  Tensor t = empty(shape_, dtype_, device);
  if (!device.is_meta()) t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& source) {
  require(source.shape_ == shape_ && source.dtype_ == dtype_, "a tensor of ",
          name_of(source.dtype_), source.shape_, " cannot be copied into one of ", name_of(dtype_),
          shape_);
  if (!device_.is_meta()) copy_memory(raw(), device_, source.raw(), source.device_, bytes());
}

void Tensor::fill(float value) {
  float* first = data();
  on(device_, [&](auto device) { fettle::fill(device, size(), value, first); });
}

void check_devices(const char* operation, const TensorList& tensors) {
  const Device device = tensors[0].device();
  for (const Tensor& tensor : tensors) {
    require(device.is_meta() || !tensor.defined() || tensor.device() == device, operation,
            ": one input is on ", to_string(device), " and another on ", to_string(tensor.device()),
            "; move them to one device with Tensor::to");
  }
}

void Tensor::set_requires_grad(bool on) {
  if (!on) {
    node_ = nullptr;
    return;
  }
  require(dtype_ == DType::f32 || dtype_ == DType::bf16, "a tensor of ", name_of(dtype_),
          " can have no gradient");
  if (!node_) node_ = make_leaf(*this);
}

Tensor Tensor::grad() const {
  return node_ ? node_->grad : Tensor();
}

void Tensor::clear_grad() {
  if (node_) node_->grad = Tensor();
}

}  // namespace fettle
