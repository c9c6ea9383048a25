// The extents of a tensor, outermost first. Activations are [N,H,W,C].
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>

#include "engine/error.h"

namespace fettle {

class Shape {
 public:
  static constexpr int max_rank = 6;

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) {
    for (int64_t extent : extents) push_back(extent);
  }

  int rank() const { return rank_; }
  /// Extent of axis i; negative counts from the end.
  int64_t operator[](int i) const { return extents_[i < 0 ? i + rank_ : i]; }
  int64_t& operator[](int i) { return extents_[i < 0 ? i + rank_ : i]; }
  void push_back(int64_t extent) {
    require(rank_ < max_rank, "a tensor has at most ", max_rank, " axes");
    require(extent >= 0, "the extent ", extent, " of a tensor is negative");
    extents_[rank_++] = extent;
  }
  /// Number of elements: the product of the extents, 1 for a scalar.
  int64_t size() const {
    int64_t product = 1;
    for (int i = 0; i < rank_; ++i) product *= extents_[i];
    return product;
  }
  const int64_t* begin() const { return extents_.data(); }
  const int64_t* end() const { return extents_.data() + rank_; }

  friend bool operator==(const Shape&, const Shape&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '[';
    for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
    return out << ']';
  }

 private:
  std::array<int64_t, max_rank> extents_{};  // zero beyond rank_, so that == compares all
  int rank_ = 0;
};

}  // namespace fettle
