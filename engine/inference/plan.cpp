#include "engine/inference/plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace fettle::inference {
namespace {

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

bool may_write_over_its_input(Operation operation) {
  return operation == Operation::unary || operation == Operation::rescale ||
         operation == Operation::add || operation == Operation::multiply;
}

/// A range of the block that activations share one after another.
struct Place {
  int64_t floats = 0;
  int first = 0, last = 0;  // the steps between which it is in use
  int64_t offset = 0;
};

/// The places of the activations; place_of[i] is that of activation i.
std::vector<Place> places_of(const Network& network, const std::vector<BoundStep>& bound,
                             int64_t picture, std::vector<size_t>& place_of) {
  const int steps = static_cast<int>(network.steps.size());
  std::vector<int> last_use(network.steps.size() + 1, -1);
  for (int i = 0; i < steps; ++i)
    for (const int input : network.steps[static_cast<size_t>(i)].inputs)
      last_use[static_cast<size_t>(input)] = i;
  last_use.back() = steps;

  // Before the first step there is step -1, which writes the picture.
  std::vector<Place> places = {{picture, -1, last_use[0], 0}};
  place_of = {0};
  for (int i = 0; i < steps; ++i) {
    const Step& step = network.steps[static_cast<size_t>(i)];
    const int64_t floats = round_up(bound[static_cast<size_t>(i)].output.size(), 16);
    size_t place = places.size();
    for (const int input : step.inputs) {
      const size_t candidate = place_of[static_cast<size_t>(input)];
      const bool dies = places[candidate].last == i && places[candidate].floats == floats;
      if (step.operation == Operation::reshape ||
          (may_write_over_its_input(step.operation) && dies)) {
        place = candidate;
        break;
      }
    }
    if (place == places.size()) places.push_back({floats, i, i, 0});
    places[place].last = std::max(places[place].last, last_use[static_cast<size_t>(i) + 1]);
    place_of.push_back(place);
  }
  return places;
}

/// Gives each place the lowest offset that is free all the while, the largest first; returns the
/// length of the block.
int64_t lay_out(std::vector<Place>& places) {
  std::vector<size_t> order(places.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return places[a].floats > places[b].floats; });
  int64_t length = 0;
  std::vector<const Place*> laid;  // by offset
  for (const size_t i : order) {
    Place& place = places[i];
    for (const Place* other : laid) {
      if (other->first > place.last || place.first > other->last) continue;
      if (place.offset + place.floats <= other->offset) break;
      place.offset = std::max(place.offset, other->offset + other->floats);
    }
    laid.insert(
        std::upper_bound(laid.begin(), laid.end(), &place,
                         [](const Place* a, const Place* b) { return a->offset < b->offset; }),
        &place);
    length = std::max(length, place.offset + place.floats);
  }
  return length;
}

/// Bytes of working memory of convolutions: the weights in the kernel's own order, with fewer than
/// 64 columns beyond K, and for each thread a block of the input with its border, half the L2 cache
/// or one row of 32 pixels (see kernels/conv2d/tap_sum.h).
struct Scratch {
  int64_t packed = 0, block = 0;
  void add(int64_t K, int64_t C, int64_t depth, int64_t stride_w, const Conv2dShape& s) {
    constexpr int64_t usual = 48 * 1024, narrowest = 32;
    const int64_t rows = (s.R - 1) * s.dilation_h + 1, columns = (s.S - 1) * s.dilation_w + 1;
    packed = std::max(packed, round_up(K, 64) * (s.R * s.S * depth + 1) * 4);
    block = std::max(block, std::max(usual, rows * (narrowest * stride_w + columns) * C) * 4);
  }
  int64_t bytes(int threads) const { return packed + threads * block; }
};

int64_t scratch_of(const Network& network, const std::vector<BoundStep>& bound, int threads) {
  Scratch whole, depthwise;
  int64_t dense = 0;
  for (size_t i = 0; i < bound.size(); ++i) {
    if (const auto* s = std::get_if<Conv2dShape>(&bound[i].shape)) {
      if (network.steps[i].operation == Operation::conv2d_transpose) {
        whole.add(s->C, s->K, s->K, 1, *s);
      } else if (s->groups > 1) {  // all groups at once, in whole vectors
        depthwise.add(s->K, round_up(s->C, 64), s->C / s->groups, s->stride_w, *s);
      } else {
        whole.add(s->K, s->C, s->C, s->stride_w, *s);
      }
    } else if (const auto* d = std::get_if<DenseShape>(&bound[i].shape)) {
      dense = std::max(dense, (d->C / 2048 + 1) * d->K * 4);
    }
  }
  return whole.bytes(threads) + depthwise.bytes(threads) + dense;
}

}  // namespace

Plan plan(const Network& network, int64_t height, int64_t width, int threads) {
  Plan plan{bind(network, height, width), height, width, {}, 0, 0};
  std::vector<size_t> place_of;
  std::vector<Place> places =
      places_of(network, plan.steps, round_up(height * width * network.channels, 16), place_of);
  plan.floats = lay_out(places);
  for (const size_t place : place_of) plan.offsets.push_back(places[place].offset);
  plan.scratch = scratch_of(network, plan.steps, threads);
  return plan;
}

}  // namespace fettle::inference
