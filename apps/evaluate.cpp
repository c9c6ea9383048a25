// fettle evaluate: the figures of a run on a folder of pictures, and the choice of its threshold.
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/progress.h"
#include "apps/segmenter.h"
#include "apps/table.h"
#include "apps/train_options.h"
#include "engine/train/device_batches.h"
#include "engine/train/threshold.h"
#include "io/atomic_file.h"

namespace fettle {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

struct Options : RunOptions {
  std::string data, choose;
  FormatOptions format;
  ImageSize tile;
  double threshold = 0;  // 0: the run's
};

/// "f1" or "recall=0.99".
ThresholdGoal goal_of(const std::string& text) {
  ThresholdGoal goal;
  if (text == "f1") return goal;
  require(text.starts_with("recall=") && CLI::detail::lexical_cast(text.substr(7), goal.recall) &&
              goal.recall > 0 && goal.recall <= 1,
          "--choose-threshold ", text, " is neither f1 nor recall=R with R above 0 and up to 1");
  return goal;
}

/// The pictures to measure on: those of --data or else the run's own validation pictures.
Data read_data(const Options& o, const TrainedModel& model) {
  const Task task = model.entry().task;
  if (!o.data.empty()) {
    Data data = read_data(o.data, task, o.format, o.skip_broken);
    fit_names(data, task, model.config.class_names, o.data, o.run);
    return data;
  }
  TrainOptions trained;
  take_from_run(trained, model.config);
  Data validation = read_data(trained, task).second;
  require(validation.size(task) > 0, "the run '", o.run,
          "' was trained without validation pictures; give --data");
  return validation;
}

// Classifiers.

void print_metrics(std::ostream& out, const Metrics& metrics,
                   const std::vector<std::string>& class_names) {
  Rows rows;
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

Json json_of(const Metrics& m, const std::vector<std::string>& class_names) {
  Json classes;
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

/// Right and wrong calls of "defective" at a threshold.
struct Calls {
  int64_t found = 0, missed = 0, false_alarms = 0, quiet = 0;

  void add(bool defective, bool called) {
    ++(defective ? (called ? found : missed) : (called ? false_alarms : quiet));
  }
  static double ratio(int64_t part, int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
  }
  double precision() const { return ratio(found, found + false_alarms); }
  double recall() const { return ratio(found, found + missed); }
  double f1() const { return ratio(2 * found, 2 * found + missed + false_alarms); }
  double accuracy() const { return ratio(found + quiet, found + missed + false_alarms + quiet); }

  Json json() const {
    return {{"accuracy", accuracy()},
            {"precision", precision()},
            {"recall", recall()},
            {"f1", f1()},
            {"found", found},
            {"missed", missed},
            {"false_alarms", false_alarms}};
  }
  void print(std::ostream& out, const std::string& what, double threshold) const {
    out << what << " at threshold " << threshold << ": accuracy " << fixed(accuracy(), 4)
        << "  precision " << fixed(precision(), 4) << "  recall " << fixed(recall(), 4) << "  f1 "
        << fixed(f1(), 4) << "  (" << found << " found, " << missed << " missed, " << false_alarms
        << " false alarms)\n";
  }
};

/// Chooses the threshold if that was asked for, and says how the run calls pictures with it.
Json judge_calls(const Options& o, TrainedModel& model, const Data& data, Device device) {
  const Probabilities all = classify(model, data.examples, o, device);
  std::map<std::string, bool> labels;
  for (const Example& example : data.examples) labels[example.path] = example.label == 1;
  std::vector<float> probabilities;
  std::vector<bool> positive;
  for (size_t i = 0; i < all.paths.size(); ++i) {
    probabilities.push_back(all.rows[i][1]);
    positive.push_back(labels[all.paths[i]]);
  }
  if (!o.choose.empty())
    model.config.threshold = choose_threshold(probabilities, positive, goal_of(o.choose)).threshold;
  Calls calls;
  for (size_t i = 0; i < positive.size(); ++i)
    calls.add(positive[i], class_of(model.config, all.rows[i]) == 1);
  calls.print(std::cout, model.config.class_names[1], model.config.threshold);
  return calls.json();
}

Json evaluate_classifier(const Options& o, TrainedModel& model, const Data& data, Device device) {
  PictureSource pictures(data.examples, prediction_options(model.config, o));
  DeviceBatches source(pictures, device);
  Progress progress;
  ClassMetricsCounter counter;
  evaluate(model.function(), cross_entropy(), source, counter,
           [&](int64_t batch) { progress.count("Evaluating", batch, source.batches()); });
  progress.clear();
  const Metrics metrics = counter.result();
  print_metrics(std::cout, metrics, data.names);
  Json json = json_of(metrics, data.names);
  const bool two_classes = data.names.size() == 2;
  require(two_classes || o.choose.empty(), "--choose-threshold needs a run of two classes, not ",
          data.names.size());
  if (two_classes) {
    const Json calls = judge_calls(o, model, data, device);
    json["threshold"] = model.config.threshold;
    json["at_threshold"] = calls;
  }
  return json;
}

// Segmenters.

Json json_of(const MaskCounts& c) {
  return {{"accuracy", c.accuracy()},
          {"precision", c.precision()},
          {"recall", c.recall()},
          {"dice", c.dice()},
          {"iou", c.iou()},
          {"tversky", c.tversky()},
          {"pixels", c.true_positives + c.false_negatives}};
}

std::vector<std::string> table_row(const std::string& name, const MaskCounts& c) {
  return {name,
          fixed(c.precision(), 4),
          fixed(c.recall(), 4),
          fixed(c.dice(), 4),
          fixed(c.iou(), 4),
          fixed(c.tversky(), 4),
          fixed(c.accuracy(), 4),
          with_commas(c.true_positives + c.false_negatives)};
}

/// Calls f for each picture of the data with its segmentation and its true masks.
template <class F>
void for_each_segmented(const Options& o, TrainedModel& model, const Data& data, Device device,
                        const F& f) {
  const Segmenter segmenter(model, device, o.tile);
  Progress progress;
  int64_t done = 0;
  for (const MaskedPicture& picture : data.masks.pictures) {
    f(segmenter(picture.path), masks_of(data.masks, picture));
    progress.count("Segmenting", ++done, std::ssize(data.masks.pictures));
  }
  progress.clear();
}

Tensor tensor_of(const std::vector<Mask>& masks) {
  const auto kinds = std::ssize(masks);
  Tensor all = Tensor::empty({1, masks[0].height, masks[0].width, kinds});
  for (int64_t k = 0; k < kinds; ++k)
    for (size_t i = 0; i < masks[0].pixels.size(); ++i)
      all.data()[static_cast<int64_t>(i) * kinds + k] = masks[static_cast<size_t>(k)].pixels[i];
  return all;
}

bool is_empty(const Mask& mask) {
  return std::all_of(mask.pixels.begin(), mask.pixels.end(), [](uint8_t p) { return p == 0; });
}

double dice(const Mask& a, const Mask& b) {
  int64_t both = 0, sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    both += a.pixels[i] & b.pixels[i];
    sum += a.pixels[i] + b.pixels[i];
  }
  return sum > 0 ? 2 * static_cast<double>(both) / static_cast<double>(sum) : 1;
}

Json evaluate_segmenter(const Options& o, TrainedModel& model, const Data& data, Device device) {
  MaskMetricsCounter counter(data.names);
  const auto count = [&](const Segmentation& s, const std::vector<Mask>& truth) {
    counter.add_probabilities(s.probabilities, tensor_of(truth));
  };
  if (!o.choose.empty()) {
    for_each_segmented(o, model, data, device, count);
    model.config.threshold = choose_threshold(counter, goal_of(o.choose)).threshold;
    counter = MaskMetricsCounter(data.names);
  }
  const double threshold = model.config.threshold;
  Calls calls;
  double dice_sum = 0;
  int64_t masks_seen = 0;
  for_each_segmented(o, model, data, device,
                     [&](const Segmentation& s, const std::vector<Mask>& truth) {
                       count(s, truth);
                       const std::vector<Mask> found = s.masks(threshold);
                       const auto any = [](const std::vector<Mask>& masks) {
                         return !std::all_of(masks.begin(), masks.end(), is_empty);
                       };
                       calls.add(any(truth), any(found));
                       for (size_t k = 0; k < truth.size(); ++k, ++masks_seen)
                         dice_sum += dice(truth[k], found[k]);
                     });

  const std::vector<MaskCounts> counts = counter.counts(threshold);
  Rows rows;
  Json kinds, json;
  for (size_t k = 0; k < counts.size(); ++k) {
    rows.push_back(table_row(data.names[k], counts[k]));
    kinds[data.names[k]] = json_of(counts[k]);
  }
  std::vector<std::string> mean_row = {"mean"};
  for (const auto& [name, figure] :
       std::initializer_list<std::pair<const char*, double (MaskCounts::*)() const>>{
           {"precision", &MaskCounts::precision},
           {"recall", &MaskCounts::recall},
           {"dice", &MaskCounts::dice},
           {"iou", &MaskCounts::iou},
           {"tversky", &MaskCounts::tversky},
           {"accuracy", &MaskCounts::accuracy}}) {
    json[name] = mean_over_kinds(counts, figure);
    mean_row.push_back(fixed(json[name], 4));
  }
  mean_row.push_back("");
  rows.push_back(mean_row);
  print_table(std::cout,
              {"kind", "precision", "recall", "dice", "iou", "tversky", "accuracy", "true pixels"},
              rows);
  json["dice_per_picture"] = dice_sum / static_cast<double>(masks_seen);
  std::cout << "pixels from threshold " << threshold
            << " on; mean dice of each picture and kind, 1 where both masks are empty: "
            << fixed(json["dice_per_picture"], 4) << "\n";
  calls.print(std::cout, "Pictures with any mask", threshold);
  json["threshold"] = threshold;
  json["examples"] = data.masks.pictures.size();
  json["classes"] = kinds;
  json["pictures"] = calls.json();
  return json;
}

void evaluate_run(const Options& o) {
  require(o.choose.empty() || o.data.empty(),
          "--choose-threshold works on the run's own validation pictures; leave --data out");
  require(o.choose.empty() || o.threshold == 0,
          "give either --threshold or --choose-threshold, not both");
  if (!o.choose.empty()) goal_of(o.choose);  // a wrong goal is told before anything is read
  const Device device = choose_device(o.device);
  TrainedModel model = load_model(o, device);
  if (o.threshold > 0) model.config.threshold = o.threshold;
  const Data data = read_data(o, model);
  const Json json = model.entry().task == Task::segmentation
                        ? evaluate_segmenter(o, model, data, device)
                        : evaluate_classifier(o, model, data, device);
  if (!o.choose.empty()) {
    RunConfig config = read_config(RunFolder(o.run));
    config.threshold = model.config.threshold;
    write_config(RunFolder(o.run), config);
    std::cerr << "Stored the threshold " << config.threshold << " in " << RunFolder(o.run).config()
              << "\n";
  }
  const std::filesystem::path out(o.out.empty() ? o.run : o.out);
  make_folder(out.string());
  write_file((out / "metrics.json").string(), json.dump(2) + "\n");
  std::cerr << "Wrote " << (out / "metrics.json").string() << "\n";
}

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "evaluate", "Measure a run on a folder of pictures whose classes or masks are known");
  auto o = std::make_shared<Options>();
  add_run_options(*command, *o);
  command->add_option("--data", o->data,
                      "Folder of pictures with the run's classes or kinds [the run's own "
                      "validation pictures]");
  add_format_options(*command, o->format);
  add_tile(*command, o->tile);
  command
      ->add_option("--threshold", o->threshold,
                   "Probability from which a picture, or a pixel, counts as defective [the run's]")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--choose-threshold", o->choose,
                      "Choose the run's threshold on its validation pictures and store it: f1 (the "
                      "best F1, or mean Dice of masks), or recall=0.99 (the highest one that "
                      "reaches it)");
  command->add_option("--out", o->out, "Folder for metrics.json [the run folder]");
  command->callback([o] { evaluate_run(*o); });
}

}  // namespace fettle
