// fettle predict: what a run says of pictures it has not seen.
#include <filesystem>
#include <iostream>
#include <map>

#include "apps/commands.h"
#include "apps/explain.h"
#include "apps/number_checks.h"
#include "apps/progress.h"
#include "engine/argument_error.h"
#include "engine/counted.h"
#include "engine/inference/decision.h"
#include "io/atomic_file.h"

namespace fettle {
namespace {

struct Options : RunOptions {
  std::vector<std::string> pictures;
  ImageSize tile;
  std::optional<double> threshold;  ///< else the run's
  int64_t min_area = 1;
  bool explain = false;
};

/// predictions.csv of a classifier.
void predict_classes(const Options& o, TrainedModel& model,
                     const std::vector<NamedPicture>& pictures, Device device) {
  std::vector<Example> examples;
  std::map<std::string, NamedPicture> by_path;
  for (const NamedPicture& picture : pictures) {
    examples.push_back({picture.path, 0});
    by_path[picture.path] = picture;
  }
  const Probabilities all = classify(model, examples, o, device);
  std::vector<Prediction> predictions;
  std::vector<Explained> explained;
  for (size_t i = 0; i < all.paths.size(); ++i) {
    const std::vector<float>& row = all.rows[i];
    const std::vector<bool> holds = answers(model.config, row);
    predictions.push_back({all.paths[i], label_text(model.config.class_names, holds), row});
    for (size_t k = 0; k < holds.size(); ++k)
      if (holds[k]) explained.push_back({by_path[all.paths[i]], k, row[k]});
  }
  make_folder(o.out);
  const std::string file = (std::filesystem::path(o.out) / "predictions.csv").string();
  write_predictions(file, model.config.class_names, predictions,
                    model.config.multi_label ? "labels" : "class");
  std::cerr << "Wrote " << counted(std::ssize(predictions), "prediction") << " to " << file << "\n";
  if (o.explain) explain(model, explained, o.out, o, device);
}

/// Masks, regions and overlays of a segmenter.
void predict_masks(const Options& o, TrainedModel& model, const std::vector<NamedPicture>& pictures,
                   Device device) {
  const Segmenter segment(model, device, o.tile);
  Findings findings(o.out, model.config.class_names, model.config.threshold, o.min_area);
  Progress progress;
  int64_t done = 0, with_defects = 0;
  for (const NamedPicture& picture : pictures) {
    std::optional<Segmentation> segmentation;
    try {
      segmentation = segment(picture.path);
    } catch (const Error& error) {
      if (!o.skip_broken) throw;
      progress.line(cat("Left out: ", error.what()));
      continue;
    }
    with_defects += !findings.add(picture, *segmentation, picture.name).empty();
    progress.count("Predicting", ++done, std::ssize(pictures));
  }
  progress.clear();
  findings.finish();
  std::cerr << "Found defects in " << with_defects << " of " << done
            << " pictures. Wrote masks.csv, regions.csv and overlays/ to " << o.out << "\n";
}

void predict_run(const Options& o) {
  const Device device = choose_device(o);
  TrainedModel model = load_model(o, device);
  if (o.threshold) use_threshold(model, *o.threshold);
  const std::vector<NamedPicture> pictures = named_pictures(o.pictures, o.out);
  if (model.entry().task == Task::segmentation) {
    require_argument(!o.explain, "--explain is for classifiers; ", model.config.model,
                     " shows the place of a defect by its mask");
    predict_masks(o, model, pictures, device);
  } else {
    require_argument(o.tile.height == 0 && o.min_area == 1,
                     "--tile and --min-area are for models that draw masks; ", model.config.model,
                     " classifies");
    predict_classes(o, model, pictures, device);
  }
}

}  // namespace

void add_predict(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "predict", "Classify pictures with a trained run, or draw the defects in them");
  auto o = std::make_shared<Options>();
  add_run_options(*command, *o);
  command->add_option("pictures", o->pictures, "Pictures, or folders of pictures")->required();
  command
      ->add_option("--threshold", o->threshold,
                   "Probability from which a picture, or a pixel, counts as defective, or a "
                   "picture has a label [the run's]")
      ->check(number_between(0, 1));
  command->add_option("--min-area", o->min_area, "Smaller regions of masks, in pixels, are noise")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_flag("--explain", o->explain,
                    "Show in explanations/ where a classifier sees what speaks for the class, or "
                    "each of the labels, that it predicts, as heat maps (Grad-CAM), with the "
                    "hottest places in explanations.csv");
  add_tile(*command, o->tile);
  command
      ->add_option("--out", o->out,
                   "Folder for predictions.csv, or for masks.csv, regions.csv and overlays/")
      ->required();
  command->callback([o] { predict_run(*o); });
}

}  // namespace fettle
