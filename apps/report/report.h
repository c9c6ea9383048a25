// What fettle report shows, part by part.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/evaluation.h"
#include "apps/report/page.h"
#include "engine/train/metrics.h"

namespace fettle {

struct ReportOptions : EvaluateOptions {
  std::string good;  // "": the class that is called so
};

/// A run that was measured, with what its folder tells of its training.
struct Report {
  const ReportOptions& options;
  Subject& subject;
  const Evaluation& evaluation;
  Figures figures;
  std::optional<size_t> good = {};  ///< of a classifier: the class of faultless pictures
  std::vector<EpochLog> history = {};
  std::string watched = {};         ///< the figure that says which epoch is the best
  std::optional<size_t> kept = {};  ///< the epoch, from 0, whose weights the run has

  const RunConfig& config() const { return subject.model.config; }
  const std::vector<std::string>& names() const { return subject.data.names; }
  bool segments() const { return subject.model.entry().task == Task::segmentation; }
  bool has_two_classes() const {
    return !segments() && !config().multi_label && names().size() == 2;
  }
  /// Whether the run is measured on the pictures that its training was validated with.
  bool on_validation() const { return options.data.empty() || is_folder_of("validation-data"); }
  /// Whether --data is the folder that this option of the training named.
  bool is_folder_of(const std::string& option) const;
  /// A picture's path under the folder of the data.
  std::string name_of(const std::string& path) const;
};

/// The class whose name says that nothing is wrong: good, ok, negative, no_defect, undamaged ...;
/// nothing where none or several do.
std::optional<size_t> good_class(const std::vector<std::string>& names);

/// Defective pictures against good ones; for a picture with labels, any against none.
struct Verdicts {
  Calls calls;
  Html found, missed, false_alarms, recall;
};
/// Nothing where it is not known which class is the good one.
std::optional<Verdicts> verdicts_of(const Report& report);

/// "The true rate is probably between 80.1 % and 97.2 %."
std::string likely_range(int64_t part, int64_t whole);

/// The outcome in one sentence and a few large figures.
Html headline(const Report& report);
/// What to know before the figures are relied on.
Html warnings(const Report& report);
/// The threshold, where it comes from, and what others would do.
Html threshold_part(const Report& report);
/// Tables and curves by class or label, or by kind.
Html class_figures(const Report& report);
Html mask_figures(const Report& report);
/// The pictures that went wrong, and some that went right. Freezes the model.
Html class_gallery(const Report& report);
Html mask_gallery(const Report& report);
/// The epochs.
Html training_part(const Report& report);
/// Which model on which data, and how to repeat it.
Html origin_part(const Report& report);
/// The words that the page uses.
Html glossary(const Report& report);

}  // namespace fettle
