#include "engine/train/callbacks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "engine/argument_error.h"

namespace fettle {
namespace {

bool larger_is_better(const std::string& figure) {
  constexpr std::array<std::string_view, 7> names = {"accuracy", "auc",  "precision", "recall",
                                                     "f1",       "dice", "iou"};
  for (std::string_view name : names) {
    if (figure.ends_with(name)) return true;
  }
  return false;
}

const std::string& value_of(const std::map<std::string, std::string>& values,
                            const std::string& name) {
  const auto found = values.find(name);
  require(found != values.end(), "the checkpoint lacks the value '", name, "'");
  return found->second;
}

}  // namespace

double figure(const EpochLog& log, const std::string& name) {
  std::string names;
  for (const auto& [key, value] : log) {
    if (key == name) return value;
    names += (names.empty() ? "" : ", ") + key;
  }
  throw ArgumentError("there is no figure '", name, "' to watch; this training has ", names);
}

std::string exact_text(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

double exact_value(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  require(end != text.c_str() && *end == '\0', "the checkpoint holds '", text,
          "' where a number should be");
  return value;
}

Monitor::Monitor(std::string figure, double min_delta)
    : figure_(std::move(figure)),
      sign_(larger_is_better(figure_) ? -1 : 1),
      min_delta_(std::abs(min_delta)),
      best_(std::numeric_limits<double>::infinity()) {}

bool Monitor::improved(const EpochLog& log) {
  const double now = sign_ * figure(log, figure_);
  if (!(now < best_ - min_delta_)) return false;
  best_ = now;
  return true;
}

std::string Monitor::value() const {
  return exact_text(best_);
}
void Monitor::restore(const std::string& value) {
  best_ = exact_value(value);
}

int64_t best_epoch(const std::vector<EpochLog>& history, const std::string& figure) {
  Monitor monitor(figure, 0);
  int64_t best = 0;
  for (int64_t epoch = 0; epoch < std::ssize(history); ++epoch)
    if (monitor.improved(history[static_cast<size_t>(epoch)])) best = epoch;
  return best;
}

ReduceLROnPlateau::ReduceLROnPlateau(const Options& options)
    : options_(options), monitor_(options.monitor, options.min_delta) {}

void ReduceLROnPlateau::on_epoch_end(int64_t, const EpochLog& log, TrainingControl& control) {
  if (cooldown_ > 0) {
    --cooldown_;
    wait_ = 0;
  }
  if (monitor_.improved(log)) {
    wait_ = 0;
  } else if (cooldown_ == 0 && ++wait_ >= options_.patience) {
    const double rate = control.optimizer.learning_rate();
    if (rate > options_.min_lr) {
      control.optimizer.set_learning_rate(
          static_cast<float>(std::max(rate * options_.factor, options_.min_lr)));
      cooldown_ = options_.cooldown;
      wait_ = 0;
    }
  }
}

std::map<std::string, std::string> ReduceLROnPlateau::values() const {
  return {{"best", monitor_.value()},
          {"wait", std::to_string(wait_)},
          {"cooldown", std::to_string(cooldown_)}};
}

void ReduceLROnPlateau::restore(const std::map<std::string, std::string>& values) {
  monitor_.restore(value_of(values, "best"));
  wait_ = static_cast<int64_t>(exact_value(value_of(values, "wait")));
  cooldown_ = static_cast<int64_t>(exact_value(value_of(values, "cooldown")));
}

EarlyStopping::EarlyStopping(const Options& options, const NamedTensors& model)
    : options_(options), monitor_(options.monitor, options.min_delta) {
  if (!options.restore_best_weights) return;
  for (const NamedTensor& tensor : model) {
    best_.push_back({tensor.name, tensor.tensor.clone(), tensor.parameter, tensor.trainable});
  }
}

void EarlyStopping::on_epoch_end(int64_t epoch, const EpochLog& log, TrainingControl& control) {
  // The first epoch counts as the best so far even if its figure is NaN: trained weights are better
  // than the initial ones.
  if (monitor_.improved(log) || epoch == 0) {
    wait_ = 0;
    best_epoch_ = epoch;
    for (size_t i = 0; i < best_.size(); ++i) best_[i].tensor.copy_from(control.model[i].tensor);
  } else if (epoch >= options_.start_from_epoch && ++wait_ >= options_.patience && options_.stop) {
    control.stop = true;
  }
}

void EarlyStopping::on_training_end(TrainingControl& control) {
  for (size_t i = 0; i < best_.size(); ++i) {
    Tensor target = control.model[i].tensor;
    target.copy_from(best_[i].tensor);
  }
}

std::map<std::string, std::string> EarlyStopping::values() const {
  return {{"best", monitor_.value()},
          {"wait", std::to_string(wait_)},
          {"best_epoch", std::to_string(best_epoch_)}};
}

void EarlyStopping::restore(const std::map<std::string, std::string>& values) {
  monitor_.restore(value_of(values, "best"));
  wait_ = static_cast<int64_t>(exact_value(value_of(values, "wait")));
  best_epoch_ = static_cast<int64_t>(exact_value(value_of(values, "best_epoch")));
}

double LearningRateSchedule::learning_rate(int64_t epoch) const {
  const Options& o = options_;
  if (epoch < o.warmup) {
    return o.initial * static_cast<double>(epoch + 1) / static_cast<double>(o.warmup + 1);
  }
  const int64_t since = epoch - o.warmup;
  if (o.kind == Kind::step) {
    return o.initial *
           std::pow(o.factor, static_cast<double>(since / std::max<int64_t>(1, o.every)));
  }
  const double progress =
      static_cast<double>(since) / static_cast<double>(std::max<int64_t>(1, o.epochs - o.warmup));
  constexpr double pi = 3.14159265358979323846;
  return o.final_rate +
         (o.initial - o.final_rate) * 0.5 * (1 + std::cos(pi * std::min(1.0, progress)));
}

void LearningRateSchedule::on_epoch_begin(int64_t epoch, TrainingControl& control) {
  if (epoch < options_.first) return;
  control.optimizer.set_learning_rate(static_cast<float>(learning_rate(epoch - options_.first)));
}

}  // namespace fettle
