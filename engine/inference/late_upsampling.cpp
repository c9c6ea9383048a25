#include "engine/inference/late_upsampling.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace fettle::inference {
namespace {

/// What an activation of the network before is in the new one. At least one of three is there.
struct Value {
  int full = absent;       // an activation of the new network
  std::vector<int> parts;  // it is several of the network before, joined
  int small = absent;      // it is this one of the new network, upsampled:
  int64_t down = 1, across = 1;
  Upsampling how = Upsampling::nearest;

  bool is_enlarged_like(const Value& other) const {
    return small != absent && other.small != absent && down == other.down &&
           across == other.across && how == other.how;
  }
};

class Mover {
 public:
  Mover(const Network& before, int64_t height, int64_t width)
      : before_(before), bound_(bind(before, height, width)), after_(before) {
    after_.steps.clear();
    values_.emplace_back().full = 0;
  }

  Network run() {
    for (const Step& step : before_.steps) {
      Value value = moved(step);
      values_.push_back(std::move(value));
    }
    full(static_cast<int>(before_.steps.size()));
    drop_unused_constants();
    return std::move(after_);
  }

 private:
  Value& value(int activation) { return values_[static_cast<size_t>(activation)]; }
  int64_t channels(int activation) const {
    return activation == 0 ? before_.channels
                           : bound_[static_cast<size_t>(activation) - 1].output[-1];
  }

  int push(Step step) {
    after_.steps.push_back(std::move(step));
    return static_cast<int>(after_.steps.size());
  }
  int push_like(const Step& step, std::vector<int> inputs) {
    Step copy = step;
    copy.inputs = std::move(inputs);
    return push(std::move(copy));
  }
  int push_upsampling(int input, const Value& like) {
    Step step;
    step.operation = Operation::upsample2d;
    step.inputs = {input};
    step.rows.extent = like.down, step.columns.extent = like.across;
    step.interpolation = like.how;
    return push(std::move(step));
  }

  /// Where the activation lies in the new network, computed now if it was not yet.
  int full(int activation) {
    if (value(activation).full == absent) {
      if (value(activation).small != absent) {
        value(activation).full = push_upsampling(value(activation).small, value(activation));
      } else {
        Step join;
        join.operation = Operation::concatenate;
        for (const int part : value(activation).parts) join.inputs.push_back(full(part));
        value(activation).full = push(std::move(join));
      }
    }
    return value(activation).full;
  }

  Value moved(const Step& step) {
    if (step.operation == Operation::upsample2d) return upsampled(step);
    if (treats_pixels_alone(step)) {
      if (std::optional<Value> small = computed_small(step)) return *small;
      if (is_pointwise(step)) {
        if (std::optional<Value> sum = sum_over_parts(step)) return *sum;
      }
    }
    if (step.operation == Operation::concatenate && only_pointwise_read(step)) {
      Value joined;
      joined.parts = step.inputs;
      return joined;
    }
    std::vector<int> inputs;
    for (const int input : step.inputs) inputs.push_back(full(input));
    Value value;
    value.full = push_like(step, std::move(inputs));
    return value;
  }

  Value upsampled(const Step& step) {
    const Value& input = value(step.inputs[0]);
    Value result;
    result.down = step.rows.extent, result.across = step.columns.extent;
    result.how = step.interpolation;
    if (input.small != absent && input.how == Upsampling::nearest &&
        result.how == Upsampling::nearest) {
      result.small = input.small, result.down *= input.down, result.across *= input.across;
    } else {
      result.small = full(step.inputs[0]);
    }
    return result;
  }

  static bool is_pointwise(const Step& step) {
    const auto one = [](const Axis& axis) {
      return axis.extent == 1 && axis.stride == 1 && axis.before == 0 && axis.after == 0;
    };
    return step.operation == Operation::conv2d && step.groups == 1 && one(step.rows) &&
           one(step.columns);
  }
  static bool treats_pixels_alone(const Step& step) {
    return is_pointwise(step) || step.operation == Operation::unary ||
           step.operation == Operation::add || step.operation == Operation::concatenate;
  }

  /// The step before the enlargement, where all its inputs are enlarged alike. What is not linear
  /// follows nearest neighbours alone.
  std::optional<Value> computed_small(const Step& step) {
    const Value& first = value(step.inputs[0]);
    const bool linear = step.operation != Operation::unary && step.epilogue == Epilogue::linear;
    if (!linear && first.how != Upsampling::nearest) return std::nullopt;
    std::vector<int> inputs;
    for (const int input : step.inputs) {
      if (!value(input).is_enlarged_like(first)) return std::nullopt;
      inputs.push_back(value(input).small);
    }
    Value result = first;
    result.full = absent;
    result.small = push_like(step, std::move(inputs));
    return result;
  }

  /// Whether everything that reads what the concatenation computes may be a sum over its parts, one
  /// of which is enlarged, and no more is enlarged for it than would be joined.
  bool only_pointwise_read(const Step& concatenation) {
    const int joined = static_cast<int>(values_.size());
    const auto is_enlarged = [&](int part) { return value(part).small != absent; };
    if (concatenation.inputs.size() != 2 ||
        std::ranges::count_if(concatenation.inputs, is_enlarged) != 1 ||
        joined == std::ssize(before_.steps))
      return false;
    int64_t outputs = 0;
    for (const Step& step : before_.steps) {
      const auto times = std::ranges::count(step.inputs, joined);
      if (times == 0) continue;
      if (times > 1 || !is_pointwise(step) || step.inputs[0] != joined) return false;
      outputs += before_.constants[static_cast<size_t>(step.constants[0])].shape[0];
    }
    return outputs <= channels(joined);
  }

  /// A pointwise convolution of two joined parts. What it adds, it cannot add beside the enlarged
  /// part: the convolution that computed it must take the sum instead.
  std::optional<Value> sum_over_parts(const Step& step) {
    const Value& joined = value(step.inputs[0]);
    if (joined.parts.empty() || joined.full != absent) return std::nullopt;
    const bool small_first = value(joined.parts[0]).small != absent;
    const int small = joined.parts[small_first ? 0 : 1], other = joined.parts[small_first ? 1 : 0];
    const int other_full = full(other);
    const int64_t small_begin = small_first ? 0 : channels(other);
    const int64_t other_begin = small_first ? channels(small) : 0;

    std::optional<Step> adds;
    if (step.inputs.size() == 2) {
      if (!is_last_and_may_add(step.inputs[1])) return std::nullopt;
      adds = std::move(after_.steps.back());
      after_.steps.pop_back();
    }
    Step on_small = step, on_other = step;
    on_small.epilogue = Epilogue::linear;
    on_small.constants = {columns(step.constants[0], small_begin, channels(small)), absent};
    on_small.inputs = {value(small).small};
    on_other.constants[0] = columns(step.constants[0], other_begin, channels(other));
    on_other.inputs = {other_full, push_upsampling(push(std::move(on_small)), value(small))};
    Value result;
    if (adds) {
      on_other.epilogue = Epilogue::linear;
      adds->epilogue = step.epilogue;
      adds->constants[1] = sum(adds->constants[1], std::exchange(on_other.constants[1], absent));
      adds->inputs.push_back(push(std::move(on_other)));
      result.full = push(std::move(*adds));
      value(step.inputs[1]).full = absent;  // nobody else reads it
    } else {
      result.full = push(std::move(on_other));
    }
    return result;
  }

  /// Whether the last step of the new network is a convolution that computes this activation for
  /// one reader, and can add another to it.
  bool is_last_and_may_add(int activation) {
    if (value(activation).full != std::ssize(after_.steps)) return false;
    const Step& last = after_.steps.back();
    int64_t readers = 0;
    for (const Step& step : before_.steps) readers += std::ranges::count(step.inputs, activation);
    return readers == 1 && last.operation == Operation::conv2d && last.groups == 1 &&
           last.inputs.size() == 1 && last.epilogue == Epilogue::linear;
  }

  int new_constant(const Shape& shape, std::vector<float> numbers) {
    auto kept = std::make_shared<const std::vector<float>>(std::move(numbers));
    after_.constants.push_back({shape, kept->data()});
    after_.memory.push_back(std::move(kept));
    return static_cast<int>(after_.constants.size()) - 1;
  }
  /// Some input channels of a pointwise convolution's weight [K,1,1,C].
  int columns(int weight, int64_t begin, int64_t count) {
    const Constant w = after_.constants[static_cast<size_t>(weight)];
    std::vector<float> numbers;
    for (int64_t k = 0; k < w.shape[0]; ++k) {
      const float* const from = w.values + k * w.shape[3] + begin;
      numbers.insert(numbers.end(), from, from + count);
    }
    return new_constant({w.shape[0], 1, 1, count}, std::move(numbers));
  }
  /// The sum of two biases, each of which may be absent.
  int sum(int a, int b) {
    if (a == absent || b == absent) return std::max(a, b);
    const Constant one = after_.constants[static_cast<size_t>(a)];
    const Constant other = after_.constants[static_cast<size_t>(b)];
    std::vector<float> numbers(one.values, one.values + one.shape.size());
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] += other.values[i];
    return new_constant(one.shape, std::move(numbers));
  }

  void drop_unused_constants() {
    const std::vector<Constant> all = std::exchange(after_.constants, {});
    std::vector<int> places(all.size(), absent);
    for (Step& step : after_.steps) {
      for (int& constant : step.constants) {
        if (constant == absent) continue;
        int& place = places[static_cast<size_t>(constant)];
        if (place == absent) {
          place = static_cast<int>(after_.constants.size());
          after_.constants.push_back(all[static_cast<size_t>(constant)]);
        }
        constant = place;
      }
    }
  }

  const Network& before_;
  const std::vector<BoundStep> bound_;
  std::vector<Value> values_;  // of the activations so far
  Network after_;
};

}  // namespace

Network upsample_late(const Network& network, int64_t height, int64_t width) {
  return Mover(network, height, width).run();
}

}  // namespace fettle::inference
