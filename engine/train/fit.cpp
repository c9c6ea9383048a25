#include "engine/train/fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "engine/autograd.h"
#include "engine/random.h"

namespace fettle {
namespace {

class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

void append(EpochLog& log, const std::string& prefix, const MetricsCounter& metrics) {
  for (const auto& [name, value] : metrics.figures()) log.emplace_back(prefix + name, value);
}

// History as text: a line an epoch, "name=value" separated by spaces.
std::string text_of(const std::vector<EpochLog>& history) {
  std::string text;
  for (const EpochLog& log : history) {
    for (const auto& [name, value] : log) text += name + "=" + exact_text(value) + " ";
    text += "\n";
  }
  return text;
}

std::vector<EpochLog> history_of(const std::string& text) {
  std::vector<EpochLog> history;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    EpochLog log;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      require(equals != std::string::npos, "the checkpoint's history holds '", word, "'");
      log.emplace_back(word.substr(0, equals), exact_value(word.substr(equals + 1)));
    }
    history.push_back(std::move(log));
  }
  return history;
}

void add_with_prefix(NamedTensors& all, const std::string& prefix, const NamedTensors& tensors) {
  for (NamedTensor tensor : tensors) {
    tensor.name = prefix + tensor.name;
    all.push_back(std::move(tensor));
  }
}

constexpr const char* smaller_steps =
    "; train with a smaller --learning-rate. The last checkpoint is untouched";

/// A loss is known before its step, so only this sees an epoch's last step going wrong.
void require_finite(const NamedTensors& tensors, int64_t epoch) {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.tensor.dtype() != DType::f32) continue;
    const Tensor here = tensor.tensor.to(Device::cpu());
    const float* first = here.data();
    require(
        std::all_of(first, first + here.size(), [](float value) { return std::isfinite(value); }),
        tensor.name, " is no longer finite after epoch ", epoch, smaller_steps);
  }
}

}  // namespace

Trainer::Trainer(ModelFunction model, NamedTensors tensors, LossFunction loss, Optimizer& optimizer,
                 std::vector<std::unique_ptr<Callback>> callbacks, FitOptions options)
    : model_(std::move(model)),
      tensors_(std::move(tensors)),
      loss_(std::move(loss)),
      optimizer_(optimizer),
      callbacks_(std::move(callbacks)),
      options_(std::move(options)) {}

void Trainer::check(bool validates) const {
  EpochLog names;
  append(names, "", *options_.counter());
  if (validates) append(names, "val_", *options_.counter());
  for (const auto& callback : callbacks_) callback->check(names);
}

FitEnd Trainer::fit(BatchSource& train, BatchSource* validation) {
  TrainingControl control{optimizer_, tensors_, stopped_};
  check(validation != nullptr);
  while (epochs_done_ < options_.epochs && !control.stop) {
    for (const auto& callback : callbacks_) callback->on_epoch_begin(epochs_done_, control);
    const Clock clock;
    const double learning_rate = optimizer_.learning_rate();
    const std::unique_ptr<MetricsCounter> metrics = options_.counter();
    if (!train_epoch(train, *metrics)) return FitEnd::interrupted;
    const double training_seconds = clock.seconds();
    require_finite(state_tensors(), epochs_done_ + 1);

    EpochLog log;
    append(log, "", *metrics);
    if (validation) {
      const std::unique_ptr<MetricsCounter> validated = options_.counter();
      evaluate(model_, loss_, *validation, *validated);
      append(log, "val_", *validated);
    }
    log.emplace_back("learning_rate", learning_rate);
    for (const auto& callback : callbacks_) callback->on_epoch_end(epochs_done_, log, control);
    ++epochs_done_;
    stopped_ = control.stop;
    history_.push_back(log);
    if (options_.checkpoint) options_.checkpoint(state());
    log.emplace_back("pictures_per_second",
                     static_cast<double>(train.examples()) / training_seconds);
    log.emplace_back("seconds", clock.seconds());
    if (options_.on_epoch) options_.on_epoch(epochs_done_, log);
  }
  graph_.reset();
  for (const auto& callback : callbacks_) callback->on_training_end(control);
  return stopped_ ? FitEnd::stopped_early : FitEnd::all_epochs;
}

StepResult Trainer::forward(const Batch& given) const {
  Batch batch = as_floats(given);
  if (options_.augment) options_.augment(batch);
  const Tensor logits = model_(batch.x);
  return {logits, batch.y, loss_(logits, batch.y)};
}

bool Trainer::train_epoch(BatchSource& source, MetricsCounter& metrics) {
  const Clock clock;
  source.start_epoch(static_cast<uint32_t>(epochs_done_));
  int64_t batches = 0, pictures = 0;
  double loss_sum = 0;
  if (optimizer_.rebindings() != captured_with_) graph_.reset();
  std::optional<Shape> before;  // of the last batch
  std::optional<Batch> batch = source.next();
  while (batch) {
    double loss_value = 0;
    const int64_t size = batch->x.shape()[0];
    {
      const TrainingScope training(options_.seed, static_cast<uint32_t>(step_));
      if (options_.cuda_graph && !graph_ && before == batch->x.shape()) {
        captured_with_ = optimizer_.rebindings();
        graph_.emplace(tensors_.front().tensor.device(), *batch, [this](const Batch& like) {
          StepResult result = forward(like);
          backward(result.loss);
          optimizer_.step();
          return result;
        });
      }
      before = batch->x.shape();
      const bool captured = graph_ && graph_->fits(*batch);
      const StepResult result = captured ? graph_->run(*batch) : forward(*batch);
      batch.reset();                        // what augmentation has replaced
      if (captured) batch = source.next();  // while the device works on the whole step
      loss_value = result.loss.item();
      require(std::isfinite(loss_value), "the loss became ", loss_value, " in epoch ",
              epochs_done_ + 1, ", batch ", batches + 1, smaller_steps);
      metrics.add(result.logits, result.targets, loss_value);
      if (!captured) {
        backward(result.loss);
        optimizer_.step();
        batch = source.next();  // while the device works on the gradients
      }
    }
    ++step_;
    ++batches;
    pictures += size;
    loss_sum += loss_value * static_cast<double>(size);
    if (options_.on_batch) {
      const double seconds = clock.seconds();
      options_.on_batch({.epoch = epochs_done_ + 1,
                         .epochs = options_.epochs,
                         .batch = batches,
                         .batches = source.batches(),
                         .loss = loss_sum / static_cast<double>(pictures),
                         .headline = [&] { return metrics.headline(); },
                         .pictures_per_second = static_cast<double>(pictures) / seconds,
                         .seconds_left = seconds / static_cast<double>(batches) *
                                         static_cast<double>(source.batches() - batches)});
    }
    if (options_.interrupted && options_.interrupted()) return false;
  }
  require(batches > 0, "there is no picture to train on");
  return true;
}

NamedTensors Trainer::state_tensors() const {
  NamedTensors all;
  add_with_prefix(all, "model/", tensors_);
  add_with_prefix(all, "optimizer/", optimizer_.slots());
  for (const auto& callback : callbacks_) {
    add_with_prefix(all, callback->name() + "/", callback->tensors());
  }
  return all;
}

TrainingState Trainer::state() const {
  TrainingState state{state_tensors(), {}};
  state.values = {{"epochs", std::to_string(epochs_done_)},
                  {"step", std::to_string(step_)},
                  {"optimizer_steps", std::to_string(optimizer_.steps())},
                  {"learning_rate", exact_text(optimizer_.learning_rate())},
                  {"stopped", stopped_ ? "1" : "0"},
                  {"seed", std::to_string(options_.seed)},
                  {"history", text_of(history_)}};
  for (const auto& callback : callbacks_) {
    for (const auto& [name, value] : callback->values()) {
      state.values[callback->name() + "/" + name] = value;
    }
  }
  return state;
}

void Trainer::restore(const TrainingState& state) {
  const NamedTensors mine = state_tensors();
  std::map<std::string, Tensor> theirs;
  for (const NamedTensor& tensor : state.tensors) theirs[tensor.name] = tensor.tensor;
  std::set<std::string> names;
  for (const NamedTensor& tensor : mine) {
    names.insert(tensor.name);
    const auto found = theirs.find(tensor.name);
    require(found != theirs.end(), "the checkpoint lacks ", tensor.name,
            "; resume with the model, optimizer and callbacks that it was started with");
    require(found->second.shape() == tensor.tensor.shape(), "the checkpoint's ", tensor.name,
            " has the shape ", found->second.shape(), ", not ", tensor.tensor.shape());
  }
  for (const auto& [name, tensor] : theirs) {
    require(names.contains(name), "the checkpoint holds ", name,
            ", which this training lacks; resume with the model, optimizer and callbacks that it "
            "was started with");
  }
  const auto value = [&](const std::string& name) -> const std::string& {
    const auto found = state.values.find(name);
    require(found != state.values.end(), "the checkpoint lacks the value '", name, "'");
    return found->second;
  };
  const auto integer = [&](const std::string& name) {
    return static_cast<int64_t>(exact_value(value(name)));
  };
  require(value("seed") == std::to_string(options_.seed), "the checkpoint was made with seed ",
          value("seed"), ", not ", options_.seed);
  std::vector<EpochLog> history = history_of(value("history"));
  for (const auto& callback : callbacks_) {
    std::map<std::string, std::string> values;
    const std::string prefix = callback->name() + "/";
    for (const auto& [name, text] : state.values) {
      if (name.starts_with(prefix)) values[name.substr(prefix.size())] = text;
    }
    callback->restore(values);
  }
  optimizer_.set_learning_rate(static_cast<float>(exact_value(value("learning_rate"))));
  optimizer_.set_steps(integer("optimizer_steps"));
  epochs_done_ = integer("epochs");
  step_ = integer("step");
  stopped_ = value("stopped") == "1";
  history_ = std::move(history);
  for (const NamedTensor& tensor : mine) {
    Tensor target = tensor.tensor;
    target.copy_from(theirs[tensor.name]);
  }
}

void evaluate(const ModelFunction& model, const LossFunction& loss, BatchSource& source,
              MetricsCounter& counter, const std::function<void(int64_t)>& on_batch) {
  const NoGrad no_grad;
  int64_t batches = 0;
  source.start_epoch(0);
  while (const std::optional<Batch> given = source.next()) {
    const Batch batch = as_floats(*given);
    const Tensor logits = model(batch.x);
    counter.add(logits, batch.y, loss(logits, batch.y).item());
    ++batches;
    if (on_batch) on_batch(batches);
  }
  require(batches > 0, "there is no picture to evaluate");
}

std::vector<float> balanced_class_weights(const std::vector<int64_t>& counts) {
  double total = 0;
  for (int64_t count : counts) total += static_cast<double>(count);
  std::vector<float> weights;
  for (int64_t count : counts) {
    require(count > 0, "class ", weights.size(), " has no example, so it can have no weight");
    weights.push_back(static_cast<float>(
        total / (static_cast<double>(counts.size()) * static_cast<double>(count))));
  }
  return weights;
}

std::vector<float> balanced_label_weights(const std::vector<int64_t>& counts, int64_t pictures) {
  std::vector<float> weights;
  for (size_t k = 0; k < counts.size(); ++k) {
    require(counts[k] > 0 && counts[k]<pictures, "label ", k, " is that of ", counts[k]> 0 ? "every"
                                                                                           : "no",
            " picture, so it can have no weight");
    for (const float weight : balanced_class_weights({pictures - counts[k], counts[k]}))
      weights.push_back(weight);
  }
  return weights;
}

}  // namespace fettle
