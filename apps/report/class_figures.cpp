// Tables and curves of a classifier, by class or by label.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/curve_files.h"
#include "apps/report/report.h"
#include "apps/table.h"

namespace fettle {
namespace {

using Pointer = Figures::Pointer;

constexpr size_t most_classes_of_matrix = 20, most_lines = 7;

/// The counts of [true class][called class], shaded by their share of the row.
Html confusion_matrix(const Report& r) {
  const std::vector<std::string>& names = r.names();
  if (names.size() > most_classes_of_matrix)
    return paragraph("The confusion matrix of ", std::to_string(names.size()),
                     " classes is in metrics.json, which fettle evaluate writes.");
  const Pointer matrix(r.has_two_classes() ? "/at_threshold/confusion_matrix"
                                           : "/confusion_matrix");
  Html header = element("th", {{"scope", "col"}}, "true class");
  for (const std::string& name : names)
    header += element("th", {{"scope", "col"}}, element("small", {}, "called "), name);
  Html body;
  for (size_t truth = 0; truth < names.size(); ++truth) {
    int64_t row = 0;
    for (size_t called = 0; called < names.size(); ++called)
      row += r.figures.count(matrix / truth / called);
    Html cells = element("th", {{"scope", "row"}}, names[truth]);
    for (size_t called = 0; called < names.size(); ++called) {
      const Pointer place = matrix / truth / called;
      const double share = static_cast<double>(r.figures.count(place)) /
                           static_cast<double>(std::max<int64_t>(row, 1));
      cells += element(
          "td",
          {{"class", truth == called ? "right" : "wrong"}, {"style", "--share:" + fixed(share, 3)}},
          element("b", {}, r.figures.counted(place)), element("small", {}, percent(share)));
    }
    body += element("tr", {}, cells);
  }
  return paragraph(
             "A row for each true class shows what its pictures were called. Green is right, red "
             "is wrong; the stronger the colour, the larger the share of the row.") +
         element(
             "div",
             {{"class", "scroll confusion"},
              {"tabindex", "0"},
              {"role", "region"},
              {"aria-label", "Confusion matrix"}},
             element("table", {}, element("caption", {}, "Confusion matrix"),
                     element("thead", {}, element("tr", {}, header)), element("tbody", {}, body)));
}

/// A row for each class or label, then the means that metrics.json has.
Html class_table(const Report& r) {
  const bool labels = r.config().multi_label;
  Table rows{labels ? "Figures of each label" : "Figures of each class",
             {labels ? "Label" : "Class", "Pictures", "Recall", "Precision", "F1", "AUC",
              "Average precision"},
             {}};
  if (labels) rows.header.insert(rows.header.begin() + 2, {"Missed", "False alarms"});
  for (const std::string& name : r.names()) {
    const Pointer place = Pointer("/classes") / name;
    const Pointer at = r.has_two_classes() ? Pointer("/at_threshold/classes") / name : place;
    std::vector<Html> row = {name, r.figures.counted(place / "support")};
    if (labels) {
      row.push_back(r.figures.counted(place / "missed"));
      row.push_back(r.figures.counted(place / "false_alarms"));
    }
    for (const char* figure : {"recall", "precision", "f1"})
      row.push_back(r.figures.percent(at / figure));
    for (const char* figure : {"roc_auc", "average_precision"})
      row.push_back(r.figures.fixed(place / figure, 4));
    rows.rows.push_back(std::move(row));
  }
  if (!r.has_two_classes()) {
    for (const auto& [key, name] :
         std::vector<std::pair<std::string, std::string>>{{"micro_avg", "All labels together"},
                                                          {"macro_avg", "Mean"},
                                                          {"weighted_avg", "Mean, by pictures"}}) {
      const Pointer place = Pointer("") / key;
      if (!r.figures.has(place)) continue;
      std::vector<Html> row = {name, ""};
      if (labels) row.insert(row.end(), 2, "");
      for (const char* figure : {"recall", "precision", "f1"})
        row.push_back(r.figures.percent(place / figure));
      row.insert(row.end(), 2, "");
      rows.rows.push_back(std::move(row));
    }
  }
  return table(rows);
}

/// The classes whose curves are drawn: of two the defective one, else all, or the worst ones.
std::vector<size_t> drawn_classes(const Report& r) {
  if (r.has_two_classes()) return {r.good ? 1 - *r.good : 1};
  std::vector<size_t> classes(r.names().size());
  std::iota(classes.begin(), classes.end(), size_t{0});
  std::stable_sort(classes.begin(), classes.end(), [&](size_t a, size_t b) {
    return r.evaluation.curves[a].roc_auc < r.evaluation.curves[b].roc_auc;
  });
  classes.resize(std::min(classes.size(), most_lines));
  std::sort(classes.begin(), classes.end());
  return classes;
}

/// Where on its curves a class is with what the run calls: recall, false alarms and precision.
struct Operating {
  double recall, false_positive_rate, precision;
};
Operating operating(const Report& r, size_t k) {
  Calls calls;
  for (const JudgedPicture& picture : r.evaluation.judged)
    calls.add(picture.truth[k], picture.called[k]);
  const Json figures = calls.json();
  const int64_t negatives = std::max<int64_t>(calls.false_alarms + calls.quiet, 1);
  return {figures["recall"],
          static_cast<double>(calls.false_alarms) / static_cast<double>(negatives),
          figures["precision"]};
}

Html curve_charts(const Report& r) {
  Chart roc{.title = "ROC curve",
            .x = {"False alarms, of what is something else"},
            .y = {"Found (recall)"},
            .lines = {},
            .diagonal = true};
  Chart pr{.title = "Precision and recall",
           .x = {"Found (recall)"},
           .y = {"Right of what is called so (precision)"},
           .lines = {}};
  const std::vector<size_t> classes = drawn_classes(r);
  for (const size_t k : classes) {
    const Curves& curves = r.evaluation.curves[k];
    ChartLines lines = chart_lines(r.names()[k], curves);
    roc.lines.push_back(std::move(lines.roc));
    pr.lines.push_back(std::move(lines.precision_recall));
  }
  if (classes.size() == 1) {
    const Operating at = operating(r, classes[0]);
    const std::string name = "threshold in use, " + fixed(r.config().threshold, 3);
    roc.marks = {{name, at.false_positive_rate, at.recall}};
    pr.marks = {{name, at.recall, at.precision}};
  }
  const std::string only =
      classes.size() < r.names().size() && !r.has_two_classes()
          ? " Only the " + std::to_string(classes.size()) + " with the smallest areas are drawn."
          : "";
  return figure(roc,
                "The closer to the upper left corner, the better; the dashed line is guessing." +
                    only) +
         figure(pr, "The closer to the upper right corner, the better." + only);
}

/// The share of right answers against the probability they were given with.
Html reliability_chart(const Report& r) {
  ChartLine line{"answers of like probability; larger dots are more", {}};
  double most = 1;
  for (const CalibrationBin& bin : r.evaluation.calibration)
    most = std::max(most, static_cast<double>(bin.pictures));
  for (const auto& [pictures, sum, right] : r.evaluation.calibration) {
    const auto count = static_cast<double>(pictures);
    if (pictures == 0) continue;
    line.points.emplace_back(sum / count, right / count);
    line.radii.push_back(2 + 10 * std::sqrt(count / most));  // the area tells the number
  }
  return figure(
      {.title = "Are the probabilities true?",
       .x = {"Probability of the answer"},
       .y = {"Right answers"},
       .lines = {line},
       .diagonal = true},
      Html("On the dashed line, nine of ten answers given with 90 % are right. Below it the model "
           "is too sure of itself. Mean distance (expected calibration error): ") +
          r.figures.percent(Pointer("/expected_calibration_error")) + Html("."));
}

}  // namespace

Html class_figures(const Report& r) {
  Html content;
  if (!r.config().multi_label) content += confusion_matrix(r);
  content += class_table(r);
  content += element("div", {{"class", "charts"}}, curve_charts(r) + reliability_chart(r));
  return content;
}

}  // namespace fettle
