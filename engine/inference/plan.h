// Where each activation of a network lies in one block of memory, known before any of it is asked
// for: what is used no more makes room for what comes.
#pragma once

#include <atomic>
#include <mutex>

#include "engine/device.h"
#include "engine/inference/network.h"
#include "kernels/divide.h"
#include "kernels/precision.h"

namespace fettle::inference {

struct PlanOptions {
  Device device = {};        ///< where it computes, the CPU or a GPU
  int threads = 1;           ///< that the CPU's kernels will use
  int64_t pictures = 1;      ///< of a run
  bool pack_weights = true;  ///< keep convolutions' weights in the CPU kernels' order: less time,
                             ///< but more memory
  Precision precision = Precision::fp32;  ///< of the CPU's convolutions with packed weights
};

struct Plan {
  int64_t height = 0, width = 0;
  PlanOptions options;
  int64_t together = 1;          ///< pictures that go through the steps at once; see groups()
  std::vector<BoundStep> steps;  ///< for that many pictures
  std::vector<int64_t> offsets;  ///< of activation i in the block, in floats; 0 is the picture
  int64_t statistics = 0;        ///< where a picture's own mean and variance lie in the block
  int64_t floats = 0;            ///< the length of the block
  std::vector<int64_t> packed;   ///< where step i's packed weights begin, in floats, or `absent`
  int64_t packed_floats = 0;     ///< the length of all packed weights
  int64_t scratch = 0;           ///< bytes that the CPU's kernels keep for themselves, at most
  /// Where it is not the block, the host's memory for all pictures and behind them all results.
  int64_t host_floats = 0;
  // With a GPU, which has the block and a copy of the constants in memory of its own:
  std::vector<int64_t> constants;  ///< where constant i is copied to, in floats
  int64_t constant_floats = 0;     ///< the length of all copies

  /// Of the host and the GPU together.
  int64_t bytes() const {
    return (floats + packed_floats + constant_floats + host_floats) * 4 + scratch;
  }
  /// Of all pictures.
  Shape output() const;
  /// How often a run goes through the steps. Where the last group would have too few pictures, it
  /// begins earlier, and computes some a second time.
  int64_t groups() const { return ceil_div(options.pictures, together); }
};

/// The plan for pictures of that size. Elementwise steps write over an input that nobody reads
/// later. On a CPU the pictures go through the steps in groups, whose activations stay in the
/// caches: as small as may be while they write as many numbers as there are weights to read.
/// Throws Error as bind() does.
Plan plan(const Network& network, int64_t height, int64_t width, const PlanOptions& options);

/// Floats of a device at an address that is a multiple of 64.
struct Free {
  Device device = {};
  void operator()(float* p) const;
};
using Floats = std::unique_ptr<float, Free>;

/// A network made ready for pictures of one size; several sessions may share it.
///
/// Where the plan packs weights, the first group of pictures packs each step's when it comes to
/// them, one after another in the same place, which stays in the caches. So a process that predicts
/// once touches little memory, and has its result soon. Before the second group all are packed to
/// stay.
class PlannedNetwork {
 public:
  /// Copies the constants to the GPU where the plan has one. Throws std::bad_alloc, and Error where
  /// the plan's device cannot be used. The network must outlive it.
  PlannedNetwork(const Network& network, Plan plan);

  const Network& network() const { return network_; }
  const Plan& plan() const { return plan_; }
  /// To be called before the steps of each group and kept until their end: during the first, others
  /// wait.
  std::unique_lock<std::mutex> begin_steps() const;
  /// The packed weights of a step, until the next call; nullptr if there are none.
  const float* packed(size_t step) const;
  /// The numbers of a constant in the device's memory; nullptr if it is `absent`.
  const float* constant(int index) const;

 private:
  void pack(size_t step, float* to) const;

  const Network& network_;
  Plan plan_;
  Floats packed_, constants_;
  mutable std::mutex mutex_;
  mutable bool first_has_begun_ = false;  // guarded by mutex_
  mutable std::atomic<bool> all_packed_ = false;
};

/// A planned network at work, in memory of its own. Sessions may run at the same time; on a GPU
/// they wait for each other.
class Session {
 public:
  /// Throws as PlannedNetwork does.
  explicit Session(std::shared_ptr<const PlannedNetwork> network);

  /// Where the next pictures [N,H,W,C] are to be written; run() writes over them.
  float* input();
  /// The result, in the host's memory, valid until the next pictures are written. Throws Error when
  /// the GPU fails.
  const float* run();
  const Plan& plan() const { return network_->plan(); }

 private:
  void run_steps();

  std::shared_ptr<const PlannedNetwork> network_;
  Floats block_, host_;
};

}  // namespace fettle::inference
