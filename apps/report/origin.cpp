// Where a run comes from: its model, its data, and the command that trains it again.
#include <algorithm>

#include "apps/report/report.h"
#include "apps/resume.h"
#include "apps/table.h"
#include "apps/train_command.h"
#include "engine/device_name.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

/// "“a”, “b” and 3 others".
std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t most = 8;
  std::string list;
  for (size_t i = 0; i < std::min(names.size(), most); ++i)
    list += (i == 0 ? "“" : ", “") + names[i] + "”";
  if (names.size() > most) list += cat(" and ", names.size() - most, " others");
  return list;
}

std::string input_of(const RunConfig& config, const LayerSummary& summary) {
  const std::string channels = config.channels == 1 ? "grey" : "colour";
  const std::string size = cat(summary.height, " x ", summary.width, " pixels, ", channels);
  if (config.height == 0) return size + "; parts of the pictures at their own size";
  return config.crop_height > 0 ? size + "; parts of the pictures" : size;
}

std::string validation_of(const TrainOptions& o) {
  if (!o.validation_data.empty()) return o.validation_data;
  if (o.validation_split == 0) return "none";
  return percent(o.validation_split) + " of the pictures, drawn by the seed";
}

Html options_of(const RunConfig& config) {
  std::vector<std::pair<std::string, Html>> options;
  for (const auto& [name, value] : option_texts(config))
    options.emplace_back("--" + name, value.empty() ? "–" : value);
  return details("All options of the training", facts(options));
}

}  // namespace

Html origin_part(const Report& r) {
  const RunConfig& config = r.config();
  const LayerSummary summary = summary_of(r.subject.model);
  TrainOptions trained;
  take_from_run(trained, config);
  const Html content = facts({
      {"Model", config.model + ": " + r.subject.model.entry().description},
      {"Input", input_of(config, summary)},
      {"Parameters", with_commas(summary.parameters)},
      {r.segments()         ? "Kinds of defects"
       : config.multi_label ? "Labels"
                            : "Classes",
       list_of(config.class_names)},
      {"Learned from", trained.data},
      {"Validated with", validation_of(trained)},
      {"Epochs", r.history.empty() ? cat(trained.epochs, " at the most")
                                   : cat(r.history.size(), " of ", trained.epochs)},
      {"Optimizer", cat(trained.optimizer, ", ", trained.batch_size, " pictures a step")},
      {"Seed", std::to_string(config.seed)},
      {"Precision", trained.compute.precision.empty() ? "fp32" : trained.compute.precision},
      {"Weights to begin with",
       trained.transfer.weights.empty() ? "random" : trained.transfer.weights},
      {"Temperature", config.temperature == 1 ? "1 (probabilities are not calibrated)"
                                              : fixed(config.temperature, 4)},
      {"Measured on", r.subject.folder},
      {"Computed by", description(r.subject.device, threads())},
  });
  return content +
         paragraph("The same training once more, with the same bits on the same kind of device:") +
         element("pre", {}, element("code", {}, train_command(config, r.options.run))) +
         options_of(config);
}

Html glossary(const Report& r) {
  std::vector<std::pair<std::string, std::string>> words = {
      {"Probability and threshold",
       "The model gives a number from 0 to 1; from the threshold on it counts as a yes. A lower "
       "threshold finds more and raises more false alarms."},
      {"Recall", "Of those that really are of a class or kind, the share that was found."},
      {"Precision", "Of those that were called so, the share for which it is true."},
      {"F1", "One figure for both, the harmonic mean of recall and precision."},
      {"True rate, probably between",
       "The range in which the rate on very many pictures of this sort lies, with 95 % confidence "
       "(Wilson's interval). The fewer the pictures, the wider."},
  };
  if (r.segments()) {
    words.push_back({"Dice",
                     "Twice the common pixels by the sum of the true and the drawn ones; "
                     "for pixels the same as F1."});
    words.push_back({"IoU", "The common pixels by all that either mask has."});
  } else {
    words.push_back({"Accuracy",
                     "The share of right answers. Where one class is rare it says "
                     "little: whoever always says the other one is mostly right."});
    words.push_back({"AUC",
                     "The area under the ROC curve: the chance that a picture of the class "
                     "gets a higher probability than one that is not of it."});
    words.push_back({"Average precision", "The area under the curve of precision and recall."});
    words.push_back({"Calibration",
                     "Whether probabilities mean what they say: of the answers "
                     "given with 80 %, are 80 of 100 right?"});
  }
  Html list;
  for (const auto& [word, meaning] : words)
    list += element("dt", {}, word) + element("dd", {}, meaning);
  return details("What the words mean", element("dl", {{"class", "glossary"}}, list));
}

}  // namespace fettle
