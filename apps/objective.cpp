#include "apps/objective.h"

#include <algorithm>
#include <iostream>

#include "apps/trained_model.h"
#include "engine/argument_error.h"
#include "engine/train/label_metrics.h"
#include "io/data_sets/label_table.h"
#include "models/augmentation.h"
#include "models/mask_loss.h"

namespace fettle {
namespace {

/// Pictures of each class, or with each label.
std::vector<int64_t> class_counts(const Data& data) {
  if (data.multi_label) return label_counts(data.examples);
  std::vector<int64_t> counts(data.names.size());
  for (const Example& example : data.examples) ++counts[static_cast<size_t>(example.label)];
  return counts;
}

std::vector<float> class_weights(const TrainOptions& o, const Data& data) {
  if (o.class_weights != "balanced") return {};
  const std::vector<int64_t> counts = class_counts(data);
  if (!data.multi_label) return balanced_class_weights(counts);
  const auto pictures = std::ssize(data.examples);
  for (size_t k = 0; k < counts.size(); ++k)
    require(counts[k] > 0 && counts[k] < pictures,
            "--class-weights balanced: ", counts[k] == 0 ? "no" : "every",
            " picture to train on has the label '", data.names[k],
            "', so nothing balances it; leave the label or the option out");
  return balanced_label_weights(counts, pictures);
}

}  // namespace

void check_classes(const Training& t) {
  if (t.task != Task::classification || t.train.multi_label) return;
  const std::vector<int64_t> counts = class_counts(t.train);
  for (size_t k = 0; k < counts.size(); ++k)
    require(
        counts[k] > 0, "no picture to train on is of the class '", t.train.names[k],
        "', which cannot be learned so; add some, or take another --validation-split or --seed");
}

void print_data(const TrainOptions& o, const Training& t) {
  std::cerr << "Pictures: " << t.train.size(t.task) << " to train, " << t.validation.size(t.task)
            << " to validate";
  if (t.task == Task::classification) {
    const std::vector<int64_t> counts = class_counts(t.train);
    const char* what = t.train.multi_label ? ", with the labels " : ", of the classes ";
    for (size_t k = 0; k < counts.size(); ++k)
      std::cerr << (k ? ", " : what) << t.train.names[k] << " (" << counts[k] << ")";
  }
  std::cerr << "  [" << o.data << "]\n";
}

void check_validation(const TrainOptions& o, const Training& t) {
  if (t.task != Task::classification || !t.validates()) return;
  const std::vector<int64_t> counts = class_counts(t.validation);
  const int64_t pictures = t.validation.size(t.task);
  const auto part = [&](int64_t count) { return count > 0 && count < pictures; };
  if (std::any_of(counts.begin(), counts.end(), part)) return;
  const auto only =
      static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin());
  const bool split = o.validation_data.empty();
  const std::string alike =
      cat("all pictures to validate in '", split ? o.data : o.validation_data, "' ",
          t.validation.multi_label ? "have the same labels"
                                   : cat("are of the class '", t.validation.names[only], "'"));
  const std::string mend = split ? "take more pictures, or another --validation-split or --seed"
                                 : "add pictures of other classes or labels there";
  require(o.monitor != "val_auc", alike,
          ", so that val_auc is 0 at every epoch and --monitor val_auc finds no best one; ", mend,
          ", or give another --monitor");
  std::cerr << "Note: " << alike << ", so that val_auc means nothing; " << mend << "\n";
}

LossFunction loss_of(const TrainOptions& o, const Training& t) {
  if (t.task == Task::segmentation) {
    return mask_loss(o.loss == "default" ? model_entry(o.model).loss : o.loss,
                     {.false_negative_weight = static_cast<float>(o.false_negative_weight),
                      .false_positive_weight = static_cast<float>(o.false_positive_weight),
                      .focal_exponent = static_cast<float>(o.focal_exponent)});
  }
  const bool focal = o.loss == "focal";
  return cross_entropy(class_weights(o, t.train), static_cast<float>(o.label_smoothing),
                       focal ? static_cast<float>(o.focal_gamma) : 0);
}

void add_measures(const TrainOptions& o, const Training& t, FitOptions& fit) {
  if (t.train.multi_label) {
    fit.counter = [names = t.train.names] { return std::make_unique<LabelMetricsCounter>(names); };
  }
  if (t.task == Task::classification) return;
  const ModelEntry& entry = model_entry(o.model);
  fit.counter = [kinds = t.train.names] { return std::make_unique<MaskMetricsCounter>(kinds); };
  require_argument(!entry.standardize || o.augment.find("brightness") == std::string::npos,
                   "--augment brightness changes nothing for ", o.model,
                   ", whose pictures are standardised; leave it out");
  auto layers = std::make_shared<Augmentation>(augmentation(o.augment, entry.augment));
  fit.augment = [layers](Batch& batch) { layers->apply(batch.x, &batch.y); };
}

}  // namespace fettle
