// fettle inspect: is there a defect, and if so, of which kinds and where?
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/findings.h"
#include "apps/number_checks.h"
#include "apps/progress.h"
#include "apps/table.h"
#include "engine/counted.h"
#include "io/csv.h"

namespace fettle {
namespace {

struct Options : RunOptions {
  std::string classifier, segmenter;
  std::optional<double> threshold, mask_threshold;  ///< else the runs'
  int64_t min_area = 1;
  ImageSize tile;
  std::vector<std::string> pictures;
};

/// --bn-statistics is for whichever of the two runs has batch-norm; every segmenter does.
TrainedModel load(const Options& o, const std::string& run, Device device) {
  RunOptions options = o;
  options.run = run;
  if (!o.bn_statistics.empty() &&
      !model_entry(read_config(RunFolder(run)).model).takes("bn-statistics"))
    options.bn_statistics.clear();
  return load_model(options, device);
}

/// "scratch (1,234 px in 2 regions, 0.93); hole (...)".
std::string text_of(const std::vector<FoundKind>& found) {
  std::string text;
  for (const FoundKind& f : found) {
    text += cat(text.empty() ? "" : "; ", f.kind, " (", with_commas(f.area), " px in ",
                counted(std::ssize(f.regions), "region"), ", ", fixed(f.confidence, 2), ")");
  }
  return text;
}

void inspect(const Options& o) {
  const Device device = choose_device(o);
  TrainedModel classifier = load(o, o.classifier, device), model = load(o, o.segmenter, device);
  require_task(classifier, Task::classification);
  require(!classifier.config.multi_label, "the classifier '", o.classifier,
          "' gives several labels a picture; inspection needs good and defective");
  require(classifier.config.class_names.size() == 2, "the classifier '", o.classifier, "' tells ",
          classifier.config.class_names.size(), " classes; inspection needs good and defective");
  const Segmenter segment(model, device, o.tile);
  const double threshold = o.threshold.value_or(classifier.config.threshold);
  const double mask_threshold = o.mask_threshold.value_or(model.config.threshold);

  const std::vector<NamedPicture> pictures = named_pictures(o.pictures, o.out);
  std::map<std::string, NamedPicture> by_path;
  std::vector<Example> examples;
  for (const NamedPicture& picture : pictures) {
    by_path[picture.path] = picture;
    examples.push_back({picture.path, 0});
  }
  const Probabilities all = classify(classifier, examples, o, device);

  Findings findings(o.out, model.config.class_names, mask_threshold, o.min_area);
  const std::string file = (std::filesystem::path(o.out) / "inspection.csv").string();
  AtomicFile table(file);
  table.write(csv_line({"path", "probability", "verdict", "kinds", "area", "overlay"}));
  Progress progress;
  int64_t defective = 0;
  for (size_t i = 0; i < all.paths.size(); ++i) {
    const NamedPicture& picture = by_path[all.paths[i]];
    const double probability = all.rows[i][1];
    if (probability < threshold) {
      findings.add_good(picture);
      table.write(csv_line({picture.path, fixed(probability, 4), "good", "", "0", ""}));
      progress.result(cat(picture.path, ": good, ", fixed(probability, 4)));
      continue;
    }
    ++defective;
    const std::vector<FoundKind> found = findings.add(
        picture, segment(picture.path), cat(picture.name, ": defective, ", fixed(probability, 2)));
    std::string kinds;
    int64_t area = 0;
    for (const FoundKind& f : found) {
      kinds += (kinds.empty() ? "" : " ") + f.kind;
      area += f.area;
    }
    table.write(csv_line({picture.path, fixed(probability, 4), "defective", kinds,
                          std::to_string(area), findings.overlay(picture)}));
    progress.result(cat(picture.path, ": defective, ", fixed(probability, 4), ": ",
                        found.empty() ? "no mask above the threshold" : text_of(found)));
  }
  findings.finish();
  table.commit();
  std::cerr << defective << " of " << all.paths.size() << " pictures are defective. Wrote " << file
            << ", regions.csv, masks.csv and overlays/\n";
}

}  // namespace

void add_inspect(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "inspect", "Tell good from defective pictures, and draw the defects of the defective ones");
  auto o = std::make_shared<Options>();
  o->out = "inspection";
  command->add_option("--classifier", o->classifier, "Run of a model that tells two classes")
      ->required();
  command->add_option("--segmenter", o->segmenter, "Run of a model that draws masks")->required();
  command
      ->add_option("--threshold", o->threshold,
                   "Probability of the second class from which a picture is defective [the "
                   "classifier's]")
      ->check(number_between(0, 1));
  command
      ->add_option("--mask-threshold", o->mask_threshold,
                   "Probability from which a pixel is of a kind [the segmenter's]")
      ->check(number_between(0, 1));
  command->add_option("--min-area", o->min_area, "Smaller regions, in pixels, are noise")
      ->check(whole_number(1))
      ->capture_default_str();
  add_tile(*command, o->tile);
  add_prediction_options(*command, *o);
  command->add_option("pictures", o->pictures, "Pictures, or folders of pictures")->required();
  command->add_option("--out", o->out, "Folder for the results")->capture_default_str();
  command->callback([o] { inspect(*o); });
}

}  // namespace fettle
