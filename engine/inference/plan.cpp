#include "engine/inference/plan.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "kernels/conv2d/cpu_packed.h"
#include "kernels/divide.h"

namespace fettle::inference {
namespace {

bool may_write_over_its_input(Operation operation, size_t input) {
  return operation == Operation::unary || operation == Operation::rescale ||
         operation == Operation::add || operation == Operation::multiply ||
         (operation == Operation::conv2d && input == 1);
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
    for (size_t input = 0; input < step.inputs.size(); ++input) {
      const size_t candidate = place_of[static_cast<size_t>(step.inputs[input])];
      const bool dies = places[candidate].last == i && places[candidate].floats == floats;
      if (step.operation == Operation::reshape ||
          (may_write_over_its_input(step.operation, input) && dies)) {
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

/// Floats for the mean and the variance of batch normalisation by a picture's own statistics.
int64_t statistics_of(const Network& network, const std::vector<BoundStep>& bound) {
  int64_t floats = 0;
  for (size_t i = 0; i < bound.size(); ++i) {
    const Step& step = network.steps[i];
    if (step.operation == Operation::batch_norm && step.constants[2] == absent)
      floats = std::max(floats, 2 * bound[i].output[-1]);
  }
  return round_up(floats, 16);
}

/// A transposed convolution is computed as the gradient of a convolution's input, which is a
/// convolution of this shape if its stride is 1, and several smaller ones if not.
Conv2dShape transposed(const Conv2dShape& s) {
  Conv2dShape t = s;
  std::swap(t.C, t.K), std::swap(t.H, t.P), std::swap(t.W, t.Q);
  t.stride_h = t.stride_w = 1;
  return t;
}

/// Bytes of working memory of the kernels. Convolutions of one way use the same one after another.
int64_t scratch_of(const Network& network, const Plan& plan) {
  std::array<Conv2dMemory, 4> convolutions{};
  int64_t dense = 0;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const BoundStep& bound = plan.steps[i];
    if (const auto* s = std::get_if<Conv2dShape>(&bound.shape)) {
      const bool backward = network.steps[i].operation == Operation::conv2d_transpose;
      const Conv2dMemory memory = conv2d_memory(backward ? transposed(*s) : *s,
                                                plan.options.precision, plan.packed[i] != absent);
      Conv2dMemory& most = convolutions[static_cast<size_t>(memory.way)];
      most.caller = std::max(most.caller, memory.caller);
      most.thread = std::max(most.thread, memory.thread);
    } else if (const auto* d = std::get_if<DenseShape>(&bound.shape)) {
      dense = std::max(dense, (d->C / 2048 + 1) * d->N * d->K);
    }
  }
  int64_t floats = dense;
  for (const Conv2dMemory& memory : convolutions)
    floats += memory.caller + plan.options.threads * memory.thread;
  return floats * 4;
}

/// See plan(). One picture where batch normalisation is by its own statistics; a GPU takes all.
int64_t pictures_together(const Network& network, int64_t height, int64_t width,
                          const PlanOptions& options) {
  if (options.pictures == 1) return 1;
  const std::vector<BoundStep> bound = bind(network, height, width);
  if (statistics_of(network, bound) > 0) return 1;
  if (options.device.is_cuda()) return options.pictures;
  int64_t written = 0;
  for (size_t i = 0; i < bound.size(); ++i)
    if (network.steps[i].operation != Operation::reshape) written += bound[i].output.size();
  const int64_t fewest =
      std::max<int64_t>(1, ceil_div(network.parameters(), std::max<int64_t>(1, written)));
  const int64_t groups = std::max<int64_t>(1, options.pictures / fewest);
  return ceil_div(options.pictures, groups);
}

}  // namespace

Shape Plan::output() const {
  Shape all = steps.back().output;
  all[0] = options.pictures;
  return all;
}

Plan plan(const Network& network, int64_t height, int64_t width, const PlanOptions& options) {
  const bool on_gpu = options.device.is_cuda();
  Plan plan;
  plan.height = height, plan.width = width, plan.options = options;
  plan.together = pictures_together(network, height, width, options);
  plan.steps = bind(network, height, width, plan.together);
  std::vector<size_t> place_of;
  const int64_t picture = plan.together * height * width * network.channels;
  std::vector<Place> places = places_of(network, plan.steps, round_up(picture, 16), place_of);
  plan.statistics = lay_out(places);
  plan.floats = plan.statistics + statistics_of(network, plan.steps);
  for (const size_t place : place_of) plan.offsets.push_back(places[place].offset);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const bool convolution = network.steps[i].operation == Operation::conv2d;
    const int64_t floats =
        convolution
            ? conv2d_packed_floats(std::get<Conv2dShape>(plan.steps[i].shape), options.precision)
            : 0;
    const bool pack = floats > 0 && options.pack_weights && !on_gpu;
    plan.packed.push_back(pack ? plan.packed_floats : absent);
    if (pack) plan.packed_floats += round_up(floats, 16);
  }
  if (on_gpu || plan.groups() > 1)
    plan.host_floats = options.pictures * height * width * network.channels + plan.output().size();
  if (!on_gpu) {
    plan.scratch = scratch_of(network, plan);
    return plan;
  }
  for (const Constant& constant : network.constants) {
    plan.constants.push_back(plan.constant_floats);
    plan.constant_floats += round_up(constant.shape.size(), 16);
  }
  return plan;
}

}  // namespace fettle::inference
