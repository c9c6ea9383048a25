#include "kernels/conv2d/plan_table.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

namespace fettle {
namespace {

constexpr std::array<const char*, 3> directions = {"forward", "backward_input", "backward_weight"};

/// The line before the plan.
std::string key_of(Conv2dDirection direction, const Conv2dShape& s, Precision precision) {
  char text[512];
  std::snprintf(text, sizeof text,
                "%s N%ld H%ld W%ld C%ld K%ld R%ld S%ld P%ld Q%ld stride %ldx%ld dilation %ldx%ld "
                "pad %ld+%ld groups %ld %s: ",
                directions[static_cast<size_t>(direction)], s.N, s.H, s.W, s.C, s.K, s.R, s.S, s.P,
                s.Q, s.stride_h, s.stride_w, s.dilation_h, s.dilation_w, s.pad_top, s.pad_left,
                s.groups, name_of(precision));
  return text;
}

template <class E>
std::optional<E> word(const std::array<const char*, 3>& words, const char* text) {
  const auto found =
      std::find_if(words.begin(), words.end(), [&](std::string_view w) { return w == text; });
  if (found == words.end()) return {};
  return static_cast<E>(found - words.begin());
}

struct Table {
  std::mutex mutex;
  std::map<std::string, Conv2dPlan> plans;
  std::atomic<bool> is_empty{true}, tuning{false};
};
Table& table() {
  static Table instance;
  return instance;
}

/// Groups and phases of a stride share the grid's z with the splits.
int most_splits(const Conv2dShape& s) {
  const int64_t others = s.groups * s.stride_h * s.stride_w;
  return static_cast<int>(std::clamp<int64_t>(65535 / others, 1, 256));
}

/// Whether the plan takes tensors as they lie in memory.
bool suits(const Conv2dPlan& plan, Precision precision) {
  return plan.rung == Conv2dRung::direct || plan.rung == Conv2dRung::depthwise ||
         (plan.precision == Precision::bf16) == (precision == Precision::bf16);
}

/// What plans can be asked about: positive, and no product beyond 64 bits.
bool sensible(const Conv2dShape& s) {
  for (const int64_t extent : {s.N, s.H, s.W, s.C, s.K, s.R, s.S, s.P, s.Q, s.stride_h, s.stride_w,
                               s.dilation_h, s.dilation_w, s.groups})
    if (extent < 1 || extent > 1 << 24) return false;
  const auto product = [](auto... extents) { return (1.0 * ... * static_cast<double>(extents)); };
  const double most = 1e17;
  return std::abs(s.pad_top) <= 1 << 30 && std::abs(s.pad_left) <= 1 << 30 && s.C % s.groups == 0 &&
         s.K % s.groups == 0 && s.groups <= 65535 && product(s.N, s.H, s.W, s.C) < most &&
         product(s.N, s.P, s.Q, s.K) < most && product(s.K, s.R, s.S, s.C) < most;
}

}  // namespace

std::optional<Conv2dPlan> known_conv2d_plan(Conv2dDirection direction, const Conv2dShape& shape,
                                            Precision precision) {
  Table& t = table();
  if (t.is_empty) return {};
  const std::string key = key_of(direction, shape, precision);
  const std::scoped_lock lock(t.mutex);
  const auto found = t.plans.find(key);
  if (found == t.plans.end()) return {};
  return found->second;
}

void set_known_conv2d_plan(Conv2dDirection direction, const Conv2dShape& shape, Precision precision,
                           const Conv2dPlan& plan) {
  Table& t = table();
  const std::scoped_lock lock(t.mutex);
  t.plans[key_of(direction, shape, precision)] = plan;
  t.is_empty = false;
}

void clear_known_conv2d_plans() {
  Table& t = table();
  const std::scoped_lock lock(t.mutex);
  t.plans.clear();
  t.is_empty = true;
}

std::vector<std::string> known_conv2d_plan_lines() {
  Table& t = table();
  const std::scoped_lock lock(t.mutex);
  std::vector<std::string> lines;
  for (const auto& [key, plan] : t.plans) lines.push_back(key + to_string(plan));
  return lines;
}

bool read_known_conv2d_plan(const std::string& line, int compute_capability) {
  Conv2dShape s;
  char first[24] = "", last[8] = "";
  std::sscanf(line.c_str(),
              "%23s N%ld H%ld W%ld C%ld K%ld R%ld S%ld P%ld Q%ld stride %ldx%ld dilation %ldx%ld "
              "pad %ld+%ld groups %ld %7[a-z0-9]",
              first, &s.N, &s.H, &s.W, &s.C, &s.K, &s.R, &s.S, &s.P, &s.Q, &s.stride_h, &s.stride_w,
              &s.dilation_h, &s.dilation_w, &s.pad_top, &s.pad_left, &s.groups, last);
  const auto direction = word<Conv2dDirection>(directions, first);
  const auto precision = word<Precision>(precision_names, last);
  if (!direction || !precision || !sensible(s)) return false;
  const std::string key = key_of(*direction, s, *precision);
  if (!line.starts_with(key)) return false;
  const std::string text = line.substr(key.size());
  for (Conv2dPlan plan : all_conv2d_plans(*direction, s, compute_capability)) {
    plan.splits = 1;
    if (!suits(plan, *precision) || !text.starts_with(to_string(plan))) continue;
    std::sscanf(text.c_str() + to_string(plan).size(), " in %d splits", &plan.splits);
    if (plan.splits < 1 || plan.splits > most_splits(s) || to_string(plan) != text) continue;
    set_known_conv2d_plan(*direction, s, *precision, plan);
    return true;
  }
  return false;
}

void set_conv2d_tuning(bool on) {
  table().tuning = on;
}
bool conv2d_tuning() {
  return table().tuning;
}

std::vector<Conv2dPlan> conv2d_plans_to_time(Conv2dDirection direction, const Conv2dShape& shape,
                                             Precision precision, const Conv2dPlan& chosen,
                                             int compute_capability) {
  std::vector<Conv2dPlan> plans = {chosen};
  for (Conv2dPlan plan : all_conv2d_plans(direction, shape, compute_capability)) {
    if (plan.splits > 1 || plan.precision != precision || plan.rung < Conv2dRung::implicit_gemm)
      continue;
    for (const int splits : {1, chosen.splits / 2, chosen.splits, 2 * chosen.splits, 4, 16, 64}) {
      // Another direction than backward-weight has too short a sum for many parts.
      if (splits < 1 || splits > most_splits(shape)) continue;
      if (plan.rung == Conv2dRung::patch && splits > 1) continue;
      if (direction != Conv2dDirection::backward_weight && splits > 2 * chosen.splits) continue;
      plan.splits = splits;
      const std::string text = to_string(plan);
      const auto same = [&](const Conv2dPlan& other) { return to_string(other) == text; };
      if (std::none_of(plans.begin(), plans.end(), same)) plans.push_back(plan);
    }
  }
  return plans;
}

}  // namespace fettle
