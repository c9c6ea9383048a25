// fettle evaluate: the figures of a run on a folder of pictures.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/classifier.h"
#include "apps/commands.h"
#include "apps/options.h"
#include "apps/progress.h"
#include "engine/train/device_batches.h"
#include "io/atomic_file.h"

namespace fettle {
namespace {

struct Options : RunOptions {
  std::string data;
};

nlohmann::ordered_json json_of(const Metrics& m, const std::vector<std::string>& class_names) {
  nlohmann::ordered_json classes;
  for (size_t k = 0; k < m.classes.size(); ++k) {
    const ClassMetrics& c = m.classes[k];
    classes[class_names[k]] = {{"precision", c.precision},
                               {"recall", c.recall},
                               {"f1", c.f1},
                               {"auc", c.auc},
                               {"support", c.support}};
  }
  return {{"loss", m.loss},
          {"accuracy", m.accuracy},
          {"precision", m.precision},
          {"recall", m.recall},
          {"f1", m.f1},
          {"auc", m.auc},
          {"examples", m.examples},
          {"classes", classes},
          {"confusion_matrix", m.confusion}};
}

void evaluate_run(const Options& o) {
  Classifier classifier = load_classifier(o.run);
  const Device device = choose_device(o.device);
  move_to(classifier.model, device);
  const ClassFolder folder = read_class_folder(o.data, o.skip_broken);
  require(folder.class_names == classifier.config.class_names, "the classes of '", o.data,
          "' are not those of the run '", o.run, "'; the folder needs the same subfolders");
  PictureSource pictures(folder.examples, prediction_options(classifier.config, o));
  DeviceBatches source(pictures, device);
  Progress progress;
  const Metrics metrics =
      evaluate(classifier.function(), cross_entropy(), source,
               [&](int64_t batch) { progress.count("Evaluating", batch, source.batches()); });
  progress.clear();
  const std::filesystem::path out(o.out.empty() ? o.run : o.out);
  make_folder(out.string());
  write_file((out / "metrics.json").string(), json_of(metrics, folder.class_names).dump(2) + "\n");
  print_metrics(std::cout, metrics, folder.class_names);
  std::cerr << "Wrote " << (out / "metrics.json").string() << "\n";
}

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "evaluate", "Measure a run on a folder of pictures with one subfolder a class");
  auto o = std::make_shared<Options>();
  add_run_options(*command, *o);
  command->add_option("--data", o->data, "Folder of pictures with the run's classes")->required();
  command->add_option("--out", o->out, "Folder for metrics.json [the run folder]");
  command->callback([o] { evaluate_run(*o); });
}

}  // namespace fettle
