// A vector for what is nearly always few.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace fettle {

/// Up to N numbers or small records lie in the vector itself, so that it allocates nothing; more
/// lie on the heap.
template <class T, size_t N>
class SmallVector {
 public:
  void push_back(const T& value) {
    if (size_ == N) many_.assign(few_.begin(), few_.end());
    if (size_ < N) {
      few_[size_] = value;
    } else {
      many_.push_back(value);
    }
    ++size_;
  }
  void clear() { size_ = 0, many_.clear(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return size_ > N ? many_.data() : few_.data(); }
  T* end() { return begin() + size_; }
  const T* begin() const { return size_ > N ? many_.data() : few_.data(); }
  const T* end() const { return begin() + size_; }
  const T& operator[](size_t i) const { return begin()[i]; }
  T& back() { return end()[-1]; }

 private:
  std::array<T, N> few_;
  std::vector<T> many_;
  size_t size_ = 0;
};

}  // namespace fettle
