#include "apps/classifier.h"

#include <ostream>

#include "apps/table.h"
#include "engine/ops/losses.h"
#include "io/safetensors.h"

namespace fettle {

Classifier make_classifier(const RunConfig& config) {
  require(config.height > 0 && config.width > 0 && config.height <= max_image_size &&
              config.width <= max_image_size,
          "pictures of ", config.height, "x", config.width, " are not between 1x1 and ",
          max_image_size, "x", max_image_size);
  require(config.channels == 1 || config.channels == 3, "a picture has 1 or 3 channels, not ",
          config.channels);
  require(config.class_names.size() >= 2, "a classifier needs at least two classes, not ",
          config.class_names.size());
  const auto augment = config.options.find("augment");
  const ModelOptions options = {
      .classes = static_cast<int64_t>(config.class_names.size()),
      .augment = augment == config.options.end() ? "default" : augment->second};
  Classifier classifier{config, model_entry(config.model).make(options)};
  build(classifier.model, {1, config.height, config.width, config.channels}, config.seed);
  return classifier;
}

Classifier load_classifier(const std::string& run) {
  const RunFolder folder(run);
  Classifier classifier = make_classifier(read_config(folder));
  load_into(named_tensors(classifier.model), SafetensorsFile(folder.weights()));
  return classifier;
}

LossFunction cross_entropy(const std::vector<float>& class_weights, float label_smoothing) {
  return [=](const Tensor& logits, const Tensor& labels) {
    return logits.shape()[-1] == 1
               ? binary_cross_entropy(logits, labels, class_weights, label_smoothing)
               : sparse_categorical_cross_entropy(logits, labels, class_weights, label_smoothing);
  };
}

PictureSourceOptions prediction_options(const RunConfig& config, const RunOptions& options) {
  return {.height = config.height,
          .width = config.width,
          .channels = config.channels,
          .batch_size = options.batch_size,
          .skip_broken = options.skip_broken};
}

void print_metrics(std::ostream& out, const Metrics& metrics,
                   const std::vector<std::string>& class_names) {
  std::vector<std::vector<std::string>> rows;
  for (size_t k = 0; k < metrics.classes.size(); ++k) {
    const ClassMetrics& c = metrics.classes[k];
    rows.push_back({class_names[k], fixed(c.precision, 4), fixed(c.recall, 4), fixed(c.f1, 4),
                    fixed(c.auc, 4), with_commas(c.support)});
  }
  rows.push_back({"all", fixed(metrics.precision, 4), fixed(metrics.recall, 4),
                  fixed(metrics.f1, 4), fixed(metrics.auc, 4), with_commas(metrics.examples)});
  print_table(out, {"class", "precision", "recall", "f1", "auc", "pictures"}, rows);
  out << "accuracy " << fixed(metrics.accuracy, 4) << "   loss " << fixed(metrics.loss, 4)
      << "\n\n";

  std::vector<std::string> header = {"true \\ predicted"};
  header.insert(header.end(), class_names.begin(), class_names.end());
  rows.clear();
  for (size_t k = 0; k < metrics.confusion.size(); ++k) {
    rows.push_back({class_names[k]});
    for (int64_t count : metrics.confusion[k]) rows.back().push_back(with_commas(count));
  }
  print_table(out, header, rows);
}

}  // namespace fettle
