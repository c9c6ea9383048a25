// Where each activation of a network lies in one block of memory, known before any of it is asked
// for: what is used no more makes room for what comes.
#pragma once

#include "engine/inference/network.h"

namespace fettle::inference {

struct Plan {
  std::vector<BoundStep> steps;
  int64_t height = 0, width = 0;
  std::vector<int64_t> offsets;  ///< of activation i in the block, in floats; 0 is the picture
  int64_t floats = 0;            ///< the length of the block
  int64_t scratch = 0;           ///< bytes that kernels keep for themselves, at most

  int64_t bytes() const { return floats * 4 + scratch; }
  Shape output() const { return steps.back().output; }
};

/// The plan for one picture of that size, with kernels on `threads` threads. Elementwise steps
/// write over an input that nobody reads later. Throws Error as bind() does.
Plan plan(const Network& network, int64_t height, int64_t width, int threads);

/// One network at work on pictures of one size, in memory of its own.
class Session {
 public:
  /// Throws std::bad_alloc. The network must outlive it.
  Session(const Network& network, Plan plan);

  /// Where the next picture [H,W,C] is to be written; run() writes over it.
  float* input();
  /// The result of the picture, valid until the next one is written.
  const float* run();
  const Plan& plan() const { return plan_; }

 private:
  struct Free {
    void operator()(float* p) const;
  };
  const Network& network_;
  Plan plan_;
  std::unique_ptr<float, Free> block_;
};

}  // namespace fettle::inference
