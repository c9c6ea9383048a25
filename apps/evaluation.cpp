#include "apps/evaluation.h"

#include "apps/number_checks.h"
#include "apps/resume.h"
#include "apps/segmenter.h"
#include "apps/table.h"
#include "apps/training_data.h"
#include "engine/argument_error.h"

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

/// The folder, and the pictures in it, to measure on: those of --data or else the run's own
/// validation pictures.
std::pair<std::string, Data> read_pictures(const EvaluateOptions& o, const TrainedModel& model) {
  const Task task = model.entry().task;
  if (!o.data.empty()) {
    Data data =
        read_data(o.data, task, format_of(o, model), o.skip_broken, model.config.class_names);
    fit_names(data, task, model.config.class_names, o.data, o.run);
    return {o.data, std::move(data)};
  }
  TrainOptions trained;
  take_from_run(trained, model.config);
  Data validation = read_data(trained, task).second;
  require(validation.size(task) > 0, "the run '", o.run,
          "' was trained without validation pictures; give --data");
  require(!validation.multi_label || validation.names == model.config.class_names,
          "the table of labels of '", trained.data, "' no longer has those of the run '", o.run,
          "'");
  return {trained.validation_data.empty() ? trained.data : trained.validation_data,
          std::move(validation)};
}

}  // namespace

void add_measure_options(CLI::App& command, EvaluateOptions& o) {
  add_run_options(command, o);
  command.add_option("--data", o.data,
                     "Folder of pictures with the run's classes, labels or kinds [the run's own "
                     "validation pictures]");
  add_format_options(command, o.format);
  add_tile(command, o.tile);
  command
      .add_option("--threshold", o.threshold,
                  "Probability from which a picture, or a pixel, counts as defective, or a "
                  "picture has a label [the run's]")
      ->check(number_between(0, 1));
}

Subject subject_of(const EvaluateOptions& o) {
  check(o);
  const Device device = choose_device(o);
  Subject subject{device, load_model(o, device), {}, {}};
  TrainedModel& model = subject.model;
  const bool classifies = model.entry().task == Task::classification;
  require_argument(classifies || !o.calibrate, "--calibrate is for classifiers; ",
                   model.config.model, " draws masks");
  require_argument(!classifies || o.tile.height == 0, "--tile is for models that draw masks; ",
                   model.config.model, " classifies");
  if (o.threshold) use_threshold(model, *o.threshold);
  std::tie(subject.folder, subject.data) = read_pictures(o, model);
  return subject;
}

Evaluation evaluate(const EvaluateOptions& o, Subject& subject) {
  if (subject.model.entry().task == Task::segmentation) return evaluate_segmenter(o, subject);
  return subject.model.config.multi_label ? evaluate_labels(o, subject)
                                          : evaluate_classifier(o, subject);
}

ThresholdGoal goal_of(const std::string& text) {
  ThresholdGoal goal;
  if (text == "f1") return goal;
  require_argument(
      text.starts_with("recall=") && CLI::detail::lexical_cast(text.substr(7), goal.recall) &&
          goal.recall > 0 && goal.recall <= 1,
      "--choose-threshold ", text, " is neither f1 nor recall=R with R above 0 and up to 1");
  return goal;
}

void choose(RunConfig& config, const ThresholdChoice& choice, const std::string& goal) {
  config.threshold = choice.threshold;
  config.threshold_goal = goal;
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

Json json_of(const ClassAverages& mean) {
  return {{"precision", mean.precision}, {"recall", mean.recall}, {"f1", mean.f1}};
}

std::vector<Curves> curves_of(const std::vector<JudgedPicture>& pictures, size_t classes) {
  std::vector<Curves> curves;
  for (size_t k = 0; k < classes; ++k) {
    std::vector<float> probabilities;
    std::vector<bool> positive;
    for (const JudgedPicture& picture : pictures) {
      probabilities.push_back(picture.probabilities[k]);
      positive.push_back(picture.truth[k]);
    }
    curves.push_back(curves_of(probabilities, positive));
  }
  return curves;
}

}  // namespace fettle
