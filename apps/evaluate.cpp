// fettle evaluate: the figures of a run on a folder of pictures, and the choice of its threshold
// and temperature.
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/evaluation.h"
#include "apps/number_checks.h"
#include "apps/resume.h"
#include "apps/segmenter.h"
#include "apps/table.h"
#include "apps/training_data.h"
#include "engine/argument_error.h"
#include "io/atomic_file.h"

namespace fettle {
namespace {

/// How --data is to be read: with a table of labels if the run learned from one.
FormatOptions format_of(const EvaluateOptions& o, const TrainedModel& model) {
  FormatOptions format = o.format;
  const bool asked = !format.labels.empty() || format.format == "labels";
  if (!model.config.multi_label) {
    require(!asked, "the run '", o.run,
            "' was not trained on a table of labels; leave --labels and --format labels out");
    return format;
  }
  require(asked || format.format == "auto", "the run '", o.run,
          "' gives several labels a picture; name their table by --labels instead of --format ",
          format.format);
  format.format = "labels";
  return format;
}

/// The pictures to measure on: those of --data or else the run's own validation pictures.
Data read_data(const EvaluateOptions& o, const TrainedModel& model) {
  const Task task = model.entry().task;
  if (!o.data.empty()) {
    Data data =
        read_data(o.data, task, format_of(o, model), o.skip_broken, model.config.class_names);
    fit_names(data, task, model.config.class_names, o.data, o.run);
    return data;
  }
  TrainOptions trained;
  take_from_run(trained, model.config);
  Data validation = read_data(trained, task).second;
  require(validation.size(task) > 0, "the run '", o.run,
          "' was trained without validation pictures; give --data");
  require(!validation.multi_label || validation.names == model.config.class_names,
          "the table of labels of '", trained.data, "' no longer has those of the run '", o.run,
          "'");
  return validation;
}

/// Refuses options that do not go together, before anything is read.
void check(const EvaluateOptions& o) {
  const bool chooses = !o.choose.empty();
  require_argument(
      !chooses || o.data.empty(),
      "--choose-threshold works on the run's own validation pictures; leave --data out");
  require_argument(!o.calibrate || o.data.empty(),
                   "--calibrate works on the run's own validation pictures; leave --data out");
  require_argument(!chooses || !o.threshold,
                   "give either --threshold or --choose-threshold, not both");
  require_argument(!o.calibrate || !o.threshold,
                   "give either --threshold or --calibrate, not both");
  if (chooses) goal_of(o.choose);
  const FormatOptions& f = o.format;
  const bool usual = f.format == "auto" && f.kinds == "auto" && f.labels.empty();
  require_argument(!o.data.empty() || (usual && f.rle_origin == 1),
                   "--format, --labels, --kinds and --rle-origin say how --data is read; give it");
}

/// Writes what was chosen into config.json.
void store(const EvaluateOptions& o, const RunConfig& chosen) {
  const RunFolder folder(o.run);
  RunConfig config = read_config(folder);
  config.temperature = chosen.temperature;
  config.threshold = chosen.threshold;
  write_config(folder, config);
  std::cerr << "Stored the threshold " << config.threshold;
  if (o.calibrate) std::cerr << " and the temperature " << config.temperature;
  std::cerr << " in " << folder.config() << "\n";
}

void evaluate_run(const EvaluateOptions& o) {
  check(o);
  const Device device = choose_device(o);
  TrainedModel model = load_model(o, device);
  const bool classifies = model.entry().task == Task::classification;
  require_argument(classifies || !o.calibrate, "--calibrate is for classifiers; ",
                   model.config.model, " draws masks");
  require_argument(!classifies || o.tile.height == 0, "--tile is for models that draw masks; ",
                   model.config.model, " classifies");
  if (o.threshold) use_threshold(model, *o.threshold);
  const Data data = read_data(o, model);
  make_folder(o.folder());
  const auto measure = !classifies                ? evaluate_segmenter
                       : model.config.multi_label ? evaluate_labels
                                                  : evaluate_classifier;
  const Json json = measure(o, model, data, device);
  if (!o.choose.empty() || o.calibrate) store(o, model.config);
  const std::string file = (std::filesystem::path(o.folder()) / "metrics.json").string();
  write_file(file, json.dump(2) + "\n");
  std::cerr << "Wrote " << file << "\n";
}

}  // namespace

ThresholdGoal goal_of(const std::string& text) {
  ThresholdGoal goal;
  if (text == "f1") return goal;
  require_argument(
      text.starts_with("recall=") && CLI::detail::lexical_cast(text.substr(7), goal.recall) &&
          goal.recall > 0 && goal.recall <= 1,
      "--choose-threshold ", text, " is neither f1 nor recall=R with R above 0 and up to 1");
  return goal;
}

void Calls::add(bool defective, bool called) {
  ++(defective ? (called ? found : missed) : (called ? false_alarms : quiet));
}

Json Calls::json() const {
  const auto ratio = [](int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  };
  return {{"accuracy", ratio(found + quiet, found + missed + false_alarms + quiet)},
          {"precision", ratio(found, found + false_alarms)},
          {"recall", ratio(found, found + missed)},
          {"f1", ratio(2 * found, 2 * found + missed + false_alarms)},
          {"found", found},
          {"missed", missed},
          {"false_alarms", false_alarms}};
}

void Calls::print(std::ostream& out, const std::string& what, double threshold) const {
  const Json figures = json();
  out << what << " at threshold " << threshold << ": ";
  for (const char* name : {"accuracy", "precision", "recall", "f1"})
    out << name << " " << fixed(figures[name], 4) << "  ";
  out << "(" << found << " found, " << missed << " missed, " << false_alarms << " false alarms)\n";
}

void add_evaluate(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "evaluate", "Measure a run on a folder of pictures whose classes or masks are known");
  auto o = std::make_shared<EvaluateOptions>();
  add_run_options(*command, *o);
  command->add_option("--data", o->data,
                      "Folder of pictures with the run's classes, labels or kinds [the run's own "
                      "validation pictures]");
  add_format_options(*command, o->format);
  add_tile(*command, o->tile);
  command
      ->add_option("--threshold", o->threshold,
                   "Probability from which a picture, or a pixel, counts as defective, or a "
                   "picture has a label [the run's]")
      ->check(number_between(0, 1));
  command->add_option("--choose-threshold", o->choose,
                      "Choose the run's threshold on its validation pictures and store it: f1 (the "
                      "best F1, over all labels, or mean Dice of masks), or recall=0.99 (the "
                      "highest one that reaches it)");
  command->add_flag("--calibrate", o->calibrate,
                    "Fit the temperature of a classifier's probabilities on the run's validation "
                    "pictures, so that they mean what they say, and store it; verdicts stay");
  command->add_option(
      "--out", o->out,
      "Folder for metrics.json, the curves of a classifier and pictures.csv of what "
      "draws masks [the run folder]");
  command->callback([o] { evaluate_run(*o); });
}

}  // namespace fettle
