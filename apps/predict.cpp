// fettle predict: what a run says of pictures it has not seen.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "apps/classifier.h"
#include "apps/commands.h"
#include "apps/options.h"
#include "apps/progress.h"
#include "engine/autograd.h"
#include "engine/train/device_batches.h"
#include "io/atomic_file.h"

namespace fettle {
namespace {

struct Options : RunOptions {
  std::vector<std::string> pictures;
};

std::vector<Prediction> predict(Classifier& classifier, PictureSource& pictures,
                                const std::vector<Example>& examples, Device device) {
  const NoGrad no_grad;
  Progress progress;
  std::vector<std::vector<float>> rows;
  int64_t batches = 0;
  DeviceBatches source(pictures, device);
  source.start_epoch(0);
  while (const std::optional<Batch> batch = source.next()) {
    for (std::vector<float>& row : probabilities_of(classifier.model(batch->x))) {
      rows.push_back(std::move(row));
    }
    progress.count("Predicting", ++batches, source.batches());
  }
  progress.clear();

  const auto skipped = pictures.skipped();
  for (const auto& [path, reason] : skipped) std::cerr << "Left out: " << reason << "\n";
  std::vector<Prediction> predictions;
  for (const Example& example : examples) {
    if (skipped.contains(example.path)) continue;
    const std::vector<float>& row = rows.at(predictions.size());
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    predictions.push_back(
        {example.path, classifier.config.class_names[static_cast<size_t>(best)], row});
  }
  return predictions;
}

void predict_run(const Options& o) {
  Classifier classifier = load_classifier(o.run);
  const Device device = choose_device(o.device);
  move_to(classifier.model, device);
  std::vector<Example> examples;
  for (const std::string& given : o.pictures) {
    for (const std::string& path : list_pictures(given)) examples.push_back({path, 0});
  }
  PictureSource source(examples, prediction_options(classifier.config, o));
  const std::vector<Prediction> predictions = predict(classifier, source, examples, device);
  make_folder(o.out);
  const std::string file = (std::filesystem::path(o.out) / "predictions.csv").string();
  write_predictions(file, classifier.config.class_names, predictions);
  std::cerr << "Wrote " << predictions.size() << " predictions to " << file << "\n";
}

}  // namespace

void add_predict(CLI::App& program) {
  CLI::App* command = program.add_subcommand("predict", "Classify pictures with a trained run");
  auto o = std::make_shared<Options>();
  add_run_options(*command, *o);
  command->add_option("pictures", o->pictures, "Pictures, or folders of pictures")->required();
  command->add_option("--out", o->out, "Folder for predictions.csv")->required();
  command->callback([o] { predict_run(*o); });
}

}  // namespace fettle
