// Optimisers and metrics beside Keras, callbacks, and the training loop's promise: the same bits
// when resumed and with any number of threads.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/ops/arithmetic.h"
#include "engine/ops/dense.h"
#include "engine/ops/dropout.h"
#include "engine/ops/losses.h"
#include "engine/random.h"
#include "engine/train/fit.h"
#include "kernels/parallel.h"
#include "tests/stored_values.h"

namespace fettle {
namespace {

TEST(Optimizers, FollowKerasStepByStep) {
  const auto stored = stored_values("operations.json", "optimizers");
  const std::map<std::string, OptimizerOptions> options = {
      {"sgd", {.name = "sgd", .learning_rate = 0.05f}},
      {"sgd_momentum", {.name = "sgd", .learning_rate = 0.05f, .momentum = 0.9f}},
      {"sgd_nesterov", {.name = "sgd", .learning_rate = 0.05f, .momentum = 0.9f, .nesterov = true}},
      {"adam", {.name = "adam", .learning_rate = 0.01f}},
      {"adamw", {.name = "adamw", .learning_rate = 0.01f, .weight_decay = 0.1f}},
      {"nadam", {.name = "nadam", .learning_rate = 0.01f}}};
  for (const auto& [name, steps] : stored["after"].items()) {
    const Tensor w = leaf(stored_tensor({6}, stored["w"]));
    const auto optimizer = make_optimizer(options.at(name), {{"w", w}});
    for (size_t t = 0; t < steps.size(); ++t) {
      backward_with(rescale(w, 1), stored_tensor({6}, stored["gradients"][t]));
      optimizer->step();
      expect_equal(w, steps[t], name + " step " + std::to_string(t), 2e-6);
    }
    EXPECT_FALSE(w.grad().defined());
  }
}

TEST(Optimizers, LeaveFrozenAndUntouchedTensorsAlone) {
  const Tensor frozen = Tensor::full({2}, 1), untouched = leaf(Tensor::full({2}, 1));
  const auto optimizer =
      make_optimizer({}, {{"frozen", frozen, true, false}, {"untouched", untouched, true, true}});
  optimizer->step();
  EXPECT_EQ(frozen.to_vector(), untouched.to_vector());
  EXPECT_EQ(optimizer->slots().size(), 2u);
  EXPECT_THROW(make_optimizer({.name = "adagrad"}, {}), Error);
}

TEST(Metrics, EqualKerasForOneLogit) {
  const auto stored = stored_values("operations.json", "metrics");
  const auto logits = stored["logits"].get<std::vector<float>>();
  const auto labels = stored["labels"].get<std::vector<int32_t>>();
  ClassMetricsCounter counter;
  for (size_t first = 0; first < logits.size(); first += 20) {  // in batches
    const std::vector<float> z(logits.begin() + first, logits.begin() + first + 20);
    const std::vector<int32_t> y(labels.begin() + first, labels.begin() + first + 20);
    counter.add(Tensor::from({20, 1}, z), Tensor::from({20}, y), 0.5);
  }
  const Metrics m = counter.result();
  EXPECT_NEAR(m.auc, stored["auc"].get<double>(), 1e-6);
  EXPECT_NEAR(m.precision, stored["precision"].get<double>(), 1e-6);
  EXPECT_NEAR(m.recall, stored["recall"].get<double>(), 1e-6);
  EXPECT_NEAR(m.accuracy, stored["accuracy"].get<double>(), 1e-6);
  EXPECT_EQ(m.examples, 60);
  EXPECT_DOUBLE_EQ(m.loss, 0.5);
}

TEST(Metrics, OfSeveralClassesAreWeightedBySupport) {
  // Predicted classes 0 0 1 2 2 against the true 0 1 1 2 0.
  const Tensor logits =
      Tensor::from({5, 3}, std::vector<float>{9, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 9});
  ClassMetricsCounter counter;
  counter.add(logits, Tensor::from({5}, std::vector<int32_t>{0, 1, 1, 2, 0}), 1);
  const Metrics m = counter.result();
  EXPECT_EQ(m.confusion, (std::vector<std::vector<int64_t>>{{1, 0, 1}, {1, 1, 0}, {0, 0, 1}}));
  EXPECT_DOUBLE_EQ(m.accuracy, 0.6);
  EXPECT_DOUBLE_EQ(m.precision, (2 * 0.5 + 2 * 1.0 + 1 * 0.5) / 5);
  EXPECT_DOUBLE_EQ(m.recall, (2 * 0.5 + 2 * 0.5 + 1 * 1.0) / 5);
  EXPECT_EQ(m.classes[0].support, 2);
  EXPECT_DOUBLE_EQ(m.classes[2].f1, 2.0 / 3);
  // By hand: each class against the rest.
  EXPECT_NEAR(m.classes[0].auc, 7.0 / 12, 1e-12);
  EXPECT_NEAR(m.classes[1].auc, 0.75, 1e-12);
  EXPECT_NEAR(m.classes[2].auc, 0.875, 1e-12);
  EXPECT_NEAR(m.auc, (7.0 / 12 + 0.75 + 0.875) / 3, 1e-12);
}

TEST(Metrics, OfTwoLogitsHaveTheAucOfOne) {
  const auto stored = stored_values("operations.json", "metrics");
  std::vector<float> pairs;
  for (const float z : stored["logits"].get<std::vector<float>>()) {
    pairs.insert(pairs.end(), {-z / 2, z / 2});
  }
  ClassMetricsCounter counter;
  counter.add(Tensor::from({60, 2}, pairs),
              Tensor::from({60}, stored["labels"].get<std::vector<int32_t>>()), 0.5);
  const Metrics m = counter.result();
  EXPECT_NEAR(m.auc, stored["auc"].get<double>(), 1e-6);
  EXPECT_NEAR(m.accuracy, stored["accuracy"].get<double>(), 1e-6);
  EXPECT_NEAR(m.classes[1].recall, stored["recall"].get<double>(), 1e-6);
}

/// Gives one figure an epoch to a callback and tells after which epoch it stopped.
struct Rehearsal {
  Tensor w = leaf(Tensor::full({1}, 0));
  NamedTensors model = {{"w", w}};
  std::unique_ptr<Optimizer> optimizer = make_optimizer({.learning_rate = 1.0f}, model);
  TrainingControl control{*optimizer, model};

  std::vector<float> rates(Callback& callback, const std::vector<double>& losses) {
    std::vector<float> rates;
    for (size_t epoch = 0; epoch < losses.size() && !control.stop; ++epoch) {
      w.fill(static_cast<float>(epoch));
      callback.on_epoch_begin(static_cast<int64_t>(epoch), control);
      callback.on_epoch_end(static_cast<int64_t>(epoch), {{"val_loss", losses[epoch]}}, control);
      rates.push_back(optimizer->learning_rate());
    }
    callback.on_training_end(control);
    return rates;
  }
};

TEST(Callbacks, ReduceLROnPlateauCountsAsKeras) {
  Rehearsal rehearsal;
  ReduceLROnPlateau callback({.monitor = "val_loss", .factor = 0.5, .patience = 2, .min_lr = 0.2});
  EXPECT_EQ(rehearsal.rates(callback, {1, 1, 1, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95, 0.95}),
            (std::vector<float>{1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2f, 0.2f, 0.2f}));
}

TEST(Callbacks, ReduceLROnPlateauWaitsOutItsCooldownAsKeras) {
  Rehearsal rehearsal;
  ReduceLROnPlateau callback({.factor = 0.5, .patience = 2, .cooldown = 2, .min_lr = 0.125});
  EXPECT_EQ(rehearsal.rates(callback, {1, 1, 1, 1, 1, 1, 1, 1, 0.9, 1, 1, 1, 1, 1, 1, 1}),
            (std::vector<float>{1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.25, 0.125, 0.125,
                                0.125, 0.125, 0.125, 0.125}));
}

TEST(Callbacks, EarlyStoppingPutsTheBestWeightsBack) {
  Rehearsal rehearsal;
  EarlyStopping callback({.monitor = "val_loss", .patience = 3}, rehearsal.model);
  const auto rates = rehearsal.rates(callback, {5, 4, 4.5, 4, 6, 1});
  EXPECT_EQ(rates.size(), 5u);  // three epochs after the best, the second
  EXPECT_EQ(rehearsal.w.item(), 1);
  EXPECT_EQ(callback.best_epoch(), 1);
}

TEST(Callbacks, EarlyStoppingWaitsForItsFirstEpoch) {
  Rehearsal rehearsal;
  EarlyStopping callback({.patience = 2, .start_from_epoch = 4}, rehearsal.model);
  EXPECT_EQ(rehearsal.rates(callback, {1, 2, 2, 2, 2, 2, 2}).size(), 6u);
  EXPECT_EQ(rehearsal.w.item(), 0);  // the best before it count
}

TEST(Callbacks, EarlyStoppingNeverPutsUntrainedWeightsBack) {
  Rehearsal rehearsal;
  rehearsal.w.fill(-7);
  EarlyStopping callback({.patience = 2}, rehearsal.model);
  EXPECT_EQ(rehearsal.rates(callback, {NAN, NAN, NAN, 1}).size(), 3u);
  EXPECT_EQ(rehearsal.w.item(), 0);  // those of the first epoch
}

// A history says afterwards whose weights were put back.
TEST(Callbacks, TheBestEpochIsTheOneOfEarlyStopping) {
  for (const std::vector<double>& losses : std::vector<std::vector<double>>{
           {5, 4, 4.5, 4, 6, 1}, {3}, {1, 2, 2}, {NAN, NAN}, {NAN, 3, NAN, 2}}) {
    Rehearsal rehearsal;
    EarlyStopping callback({.stop = false}, rehearsal.model);
    rehearsal.rates(callback, losses);
    std::vector<EpochLog> history;
    for (const double loss : losses) history.push_back({{"loss", -loss}, {"val_loss", loss}});
    EXPECT_EQ(best_epoch(history, "val_loss"), callback.best_epoch());
  }
  EXPECT_EQ(best_epoch({{{"val_auc", 0.5}}, {{"val_auc", 0.9}}, {{"val_auc", 0.9}}}, "val_auc"), 1);
  EXPECT_NE(message_of([] {
              best_epoch({{{"loss", 1}}}, "val_loss");
            }).find("val_loss"),
            std::string::npos);
}

TEST(Callbacks, AnUnknownFigureIsNamedWithTheKnownOnes) {
  EXPECT_EQ(message_of([] {
              figure({{"loss", 1}, {"auc", 2}}, "val_loss");
            }),
            "there is no figure 'val_loss' to watch; this training has loss, auc");
}

TEST(Callbacks, SchedulesFollowTheirCurves) {
  const LearningRateSchedule cosine({.initial = 2, .epochs = 12, .warmup = 2});
  EXPECT_DOUBLE_EQ(cosine.learning_rate(0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(cosine.learning_rate(2), 2);
  EXPECT_NEAR(cosine.learning_rate(7), 1, 1e-12);
  const LearningRateSchedule step(
      {.kind = LearningRateSchedule::Kind::step, .initial = 1, .factor = 0.1, .every = 3});
  EXPECT_DOUBLE_EQ(step.learning_rate(2), 1);
  EXPECT_NEAR(step.learning_rate(6), 0.01, 1e-12);
}

TEST(Callbacks, AScheduleActsFromItsFirstEpoch) {
  Rehearsal rehearsal;
  LearningRateSchedule callback({.initial = 3, .epochs = 2, .first = 2});
  const auto rates = rehearsal.rates(callback, {1, 1, 1, 1, 1});
  EXPECT_EQ(rates[0], rates[1]);
  EXPECT_NE(rates[1], 3);
  EXPECT_EQ(rates[2], 3);
  EXPECT_EQ(rates[3], 1.5);
}

/// 100 points in the plane, inside or outside a circle, in a new order each epoch.
class Circle : public BatchSource {
 public:
  void start_epoch(uint32_t epoch) override { epoch_ = epoch, next_ = 0; }
  std::optional<Batch> next() override {
    if (next_ == batches()) return {};
    std::vector<float> x;
    std::vector<int32_t> y;
    for (int i = 0; i < 20; ++i) {
      const auto point = static_cast<uint64_t>((next_ * 20 + i) * 37 % 100 + epoch_ % 3);
      const float a = 2 * uniform({1, 0, 0}, 2 * point) - 1;
      const float b = 2 * uniform({1, 0, 0}, 2 * point + 1) - 1;
      x.insert(x.end(), {a, b});
      y.push_back(a * a + b * b < 0.6f);
    }
    ++next_;
    return Batch{Tensor::from({20, 2}, x), Tensor::from({20}, y)};
  }
  int64_t batches() const override { return 5; }
  int64_t examples() const override { return 100; }

 private:
  uint32_t epoch_ = 0;
  int64_t next_ = 0;
};

/// A small network with dropout, its optimiser, callbacks and everything that a run has.
struct SmallRun {
  Tensor w1 = parameter({16, 2}, 1), b1 = leaf(Tensor::zeros({16}));
  Tensor w2 = parameter({2, 16}, 2), b2 = leaf(Tensor::zeros({2}));
  NamedTensors tensors = {{"w1", w1}, {"b1", b1}, {"w2", w2}, {"b2", b2}};
  std::unique_ptr<Optimizer> optimizer =
      make_optimizer({.name = "nadam", .learning_rate = 0.05f}, tensors);
  Circle train, validation;
  TrainingState last;
  bool interrupt = false;
  double min_delta = 1e-4;
  LossFunction loss = [](const Tensor& logits, const Tensor& labels) {
    return sparse_categorical_cross_entropy(logits, labels);
  };

  static Tensor parameter(const Shape& shape, uint32_t seed) {
    return leaf(random_tensor(shape, seed));
  }
  Trainer trainer(int64_t epochs) {
    std::vector<std::unique_ptr<Callback>> callbacks;
    callbacks.push_back(std::make_unique<ReduceLROnPlateau>(
        ReduceLROnPlateau::Options{.factor = 0.7, .patience = 2, .min_delta = min_delta}));
    callbacks.push_back(std::make_unique<EarlyStopping>(
        EarlyStopping::Options{.patience = 100, .min_delta = min_delta}, tensors));
    const ModelFunction model = [this](const Tensor& x) {
      const Tensor y = dense(x, w1, b1, Epilogue::relu);
      return dense(is_training() ? dropout(y, 0.2f, next_random_key()) : y, w2, b2);
    };
    return Trainer(model, tensors, loss, *optimizer, std::move(callbacks),
                   {.epochs = epochs,
                    .seed = 11,
                    .on_batch = {},
                    .on_epoch = {},
                    .checkpoint =
                        [this](const TrainingState& state) {
                          last.values = state.values;
                          last.tensors.clear();
                          for (const NamedTensor& t : state.tensors) {
                            last.tensors.push_back({t.name, t.tensor.clone()});
                          }
                        },
                    .interrupted = [this] { return interrupt; }});
  }
};

void expect_same_bits(const TrainingState& a, const TrainingState& b) {
  EXPECT_EQ(a.values, b.values);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].tensor.to_vector(), b.tensors[i].tensor.to_vector())
        << a.tensors[i].name;
  }
}

TEST(Fit, Learns) {
  SmallRun run;
  Trainer trainer = run.trainer(40);
  EXPECT_EQ(trainer.fit(run.train, &run.validation), FitEnd::all_epochs);
  EXPECT_GT(figure(trainer.history().back(), "val_accuracy"), 0.9);
  EXPECT_EQ(trainer.history().size(), 40u);
}

TEST(Fit, AResumedRunHasTheBitsOfAnUninterruptedOne) {
  SmallRun whole, first, second;
  // Epochs 3 and 4, on either side of the resumption, do not improve by so much.
  for (SmallRun* run : {&whole, &first, &second}) run->min_delta = 0.5;
  whole.trainer(7).fit(whole.train, &whole.validation);
  first.trainer(3).fit(first.train, &first.validation);
  Trainer resumed = second.trainer(7);
  resumed.restore(first.last);
  EXPECT_EQ(resumed.epochs_done(), 3);
  EXPECT_EQ(first.last.values["reduce_lr_on_plateau/wait"], "1");  // half of the patience
  resumed.fit(second.train, &second.validation);
  expect_same_bits(second.last, whole.last);
  EXPECT_FLOAT_EQ(whole.optimizer->learning_rate(), 0.05f * 0.7f);  // lowered after epoch 4
  EXPECT_EQ(whole.last.values["early_stopping/best_epoch"], "5");   // not the last, 6
  EXPECT_EQ(second.w1.to_vector(), whole.w1.to_vector());           // the best weights, put back
}

TEST(Fit, GivesTheSameBitsWithAnyNumberOfThreads) {
  SmallRun one, three;
  set_threads(1);
  one.trainer(3).fit(one.train, &one.validation);
  set_threads(3);
  three.trainer(3).fit(three.train, &three.validation);
  set_threads(0);
  expect_same_bits(one.last, three.last);
}

TEST(Fit, AnInterruptedEpochLeavesTheLastCheckpoint) {
  SmallRun run;
  run.interrupt = true;
  Trainer trainer = run.trainer(3);
  EXPECT_EQ(trainer.fit(run.train, &run.validation), FitEnd::interrupted);
  EXPECT_EQ(trainer.epochs_done(), 0);
  EXPECT_TRUE(run.last.tensors.empty());
}

TEST(Fit, StopsWithASentenceWhenTheLossIsNoNumber) {
  SmallRun run;
  run.w1.fill(NAN);
  const std::string message = message_of([&] { run.trainer(3).fit(run.train, &run.validation); });
  EXPECT_NE(message.find("epoch 1, batch 1"), std::string::npos) << message;
  EXPECT_NE(message.find("--learning-rate"), std::string::npos) << message;
}

TEST(Fit, NeverKeepsACheckpointThatIsNoNumber) {
  SmallRun run;
  int64_t batches = 0;
  const LossFunction loss = run.loss;
  run.loss = [&](const Tensor& logits, const Tensor& labels) {
    const Tensor value = loss(logits, labels);
    if (!is_training() || ++batches != 10) return value;
    // A finite loss with a gradient that overflowed, in the last batch of epoch 2.
    return record(value.clone(), {logits}, [shape = logits.shape()](const Tensor&, Grads& grads) {
      grads.pass(0, Tensor::full(shape, INFINITY));
    });
  };
  const std::string message = message_of([&] { run.trainer(3).fit(run.train, &run.validation); });
  EXPECT_NE(message.find("w1 is no longer finite after epoch 2"), std::string::npos) << message;
  EXPECT_EQ(run.last.values["epochs"], "1");
  SmallRun resumed;
  Trainer trainer = resumed.trainer(3);
  trainer.restore(run.last);
  EXPECT_EQ(trainer.fit(resumed.train, &resumed.validation), FitEnd::all_epochs);
}

TEST(Fit, RefusesAValidationWithoutPictures) {
  struct Nothing : Circle {
    std::optional<Batch> next() override { return {}; }
  } nothing;
  SmallRun run;
  EXPECT_EQ(message_of([&] { run.trainer(1).fit(run.train, &nothing); }),
            "there is no picture to evaluate");
}

TEST(Fit, RefusesACheckpointOfAnotherTraining) {
  SmallRun run, other;
  run.trainer(1).fit(run.train, &run.validation);
  TrainingState state = run.last;
  state.tensors[0].tensor = Tensor::zeros({9, 9});
  const std::string message = message_of([&] { other.trainer(2).restore(state); });
  EXPECT_NE(message.find("model/w1"), std::string::npos) << message;
  EXPECT_NE(message.find("[9, 9]"), std::string::npos) << message;
  state = run.last;
  state.tensors.pop_back();
  EXPECT_THROW(other.trainer(2).restore(state), Error);
  state = run.last;
  state.values["learning_rate"] = "fast";
  EXPECT_THROW(other.trainer(2).restore(state), Error);
  other.optimizer = make_optimizer({.name = "sgd"}, other.tensors);
  const std::string extra = message_of([&] { other.trainer(2).restore(run.last); });
  EXPECT_NE(extra.find("holds optimizer/b1/m, which"), std::string::npos) << extra;
}

TEST(Fit, BalancedWeightsGiveEveryClassTheSameShare) {
  EXPECT_EQ(balanced_class_weights({10, 30}), (std::vector<float>{2, 40.0f / 60}));
  EXPECT_THROW(balanced_class_weights({10, 0}), Error);
}

}  // namespace
}  // namespace fettle
