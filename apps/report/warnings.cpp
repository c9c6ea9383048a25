// What to know before the figures are relied on, in plain words.
#include "apps/report/report.h"
#include "apps/table.h"

namespace fettle {
namespace {

using Pointer = Figures::Pointer;

constexpr int64_t few_pictures = 30;

/// Warnings, each with a word in front that says what it is about.
class Notes {
 public:
  void add(const std::string& about, const Html& text) {
    items_ += element("li", {}, element("strong", {}, about + ". "), text);
  }
  Html html() const {
    if (items_.empty()) return paragraph("Nothing about these figures gives cause for a warning.");
    return element("ul", {{"class", "notes"}}, items_);
  }

 private:
  Html items_;
};

void add_where_measured(const Report& r, Notes& notes) {
  if (r.on_validation()) {
    notes.add(
        "Measured on the validation pictures",
        Html("The epoch whose weights are kept was chosen by these same pictures, so the figures "
             "are a little better than new pictures would give. Pictures that played no part in "
             "the training tell the truth: ") +
            code("fettle report RUN --data FOLDER") + Html("."));
  } else if (r.is_folder_of("data")) {
    notes.add("Measured on the pictures it learned from",
              "The folder is the one that the model was trained on. These figures say nothing "
              "about new pictures.");
  }
  if (r.on_validation() && !r.config().threshold_goal.empty() && !r.options.threshold) {
    notes.add("The threshold was chosen on these pictures",
              "It suits them better than it will suit others.");
  }
}

void add_few(const Report& r, Notes& notes) {
  if (const std::optional<Verdicts> v = verdicts_of(r)) {
    const int64_t bad = v->calls.found + v->calls.missed;
    const int64_t good = v->calls.false_alarms + v->calls.quiet;
    const bool labels = r.config().multi_label;
    if (bad < few_pictures || good < few_pictures)
      notes.add("Few pictures",
                with_commas(bad) + (labels ? " with a label and " : " defective and ") +
                    with_commas(good) + (labels ? " without" : " good") +
                    " ones: one more or less right changes the rates visibly. Look at the ranges, "
                    "not at the figures alone.");
  }
  if (r.segments()) return;
  std::string rare, absent;
  for (const std::string& name : r.names()) {
    const int64_t support = r.figures.count(Pointer("/classes") / name / "support");
    std::string& list = support == 0 ? absent : rare;
    if (support < few_pictures) list += (list.empty() ? "“" : ", “") + name + "”";
  }
  const bool already_said = r.good && r.has_two_classes();
  if (!rare.empty() && !already_said)
    notes.add(r.config().multi_label ? "Few pictures of a label" : "Few pictures of a class",
              "There are fewer than " + std::to_string(few_pictures) + " of " + rare +
                  ": take their rates as rough ones.");
  if (!absent.empty())
    notes.add(
        r.config().multi_label ? "A label is missing" : "A class is missing",
        "There is no picture of " + absent + ", so its figures are empty and the means too low.");
}

void add_quality(const Report& r, Notes& notes) {
  if (r.segments()) {
    if (r.names().size() > 1)
      notes.add(
          "Kinds are counted one by one, and drawn masks exclude each other",
          "The figures by kind, and what each threshold would do, ask of every kind by itself "
          "whether a pixel belongs to it. Where masks are drawn a pixel belongs to its "
          "likeliest kind alone: in whole pictures, in Dice picture by picture, in the "
          "pictures below, and in what fettle predict writes.");
    for (const std::string& name : r.names())
      if (r.figures.count(Pointer("/classes") / name / "pixels") == 0)
        notes.add("A kind is missing", "No picture has a defect of kind “" + name + "”.");
    return;
  }
  if (r.figures.number(Pointer("/auc")) < 0.6)
    notes.add("Hardly better than guessing",
              "An AUC near 0.5 means that the probabilities do not tell the classes apart. More "
              "pictures, more epochs or a larger image size may help.");
  if (r.figures.number(Pointer("/expected_calibration_error")) > 0.1)
    notes.add(
        "Probabilities are not to be taken at their word",
        Html("On average they are off by more than ten points; see “Are the probabilities true?”. "
             "The verdicts are not affected. ") +
            code("fettle evaluate RUN --calibrate") + Html(" mends it."));
}

void add_training(const Report& r, Notes& notes) {
  if (r.history.empty()) {
    notes.add("No history of the training",
              "history.csv is missing in the run folder or empty, so the curves of the epochs "
              "cannot be shown.");
    return;
  }
  if (r.kept && *r.kept + 1 == r.history.size() && r.history.size() > 1)
    notes.add(
        "The last epoch was the best",
        Html("The model was still getting better when the training ended. More epochs may make "
             "it better still: ") +
            code("fettle train --resume --out RUN --epochs N") + Html("."));
}

}  // namespace

Html warnings(const Report& r) {
  Notes notes;
  add_where_measured(r, notes);
  add_few(r, notes);
  add_quality(r, notes);
  add_training(r, notes);
  return notes.html();
}

}  // namespace fettle
