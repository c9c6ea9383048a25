#include "apps/curve_files.h"

#include <filesystem>

#include "apps/table.h"
#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/line_chart.h"

namespace fettle {

ChartLines chart_lines(const std::string& class_name, const Curves& curves) {
  ChartLines lines{{cat(class_name, ", AUC ", fixed(curves.roc_auc, 4)), {{0, 0}}},
                   {cat(class_name, ", AP ", fixed(curves.average_precision, 4)), {}}};
  double recall = 0;
  for (const Curves::Point& point : curves.points) {
    lines.roc.points.emplace_back(point.false_positive_rate, point.true_positive_rate);
    // A step whose area is what the point adds to the average precision.
    lines.precision_recall.points.emplace_back(recall, point.precision);
    lines.precision_recall.points.emplace_back(point.true_positive_rate, point.precision);
    recall = point.true_positive_rate;
  }
  return lines;
}

void write_curves(const std::string& folder, const std::vector<std::string>& class_names,
                  const std::vector<Curves>& curves) {
  const std::filesystem::path to(folder);
  std::string roc = csv_line({"class", "threshold", "false_positive_rate", "true_positive_rate"});
  std::string pr = csv_line({"class", "threshold", "precision", "recall"});
  std::vector<ChartLine> roc_lines, pr_lines;
  for (size_t k = 0; k < curves.size(); ++k) {
    const std::string& name = class_names[k];
    for (const Curves::Point& point : curves[k].points) {
      const std::string threshold = number_text(static_cast<float>(point.threshold));
      roc += csv_line({name, threshold, number_text(point.false_positive_rate),
                       number_text(point.true_positive_rate)});
      pr += csv_line(
          {name, threshold, number_text(point.precision), number_text(point.true_positive_rate)});
    }
    ChartLines lines = chart_lines(name, curves[k]);
    roc_lines.push_back(std::move(lines.roc));
    pr_lines.push_back(std::move(lines.precision_recall));
  }
  write_file((to / "roc_curve.csv").string(), roc);
  write_file((to / "precision_recall_curve.csv").string(), pr);
  write_file((to / "roc_curve.svg").string(), line_chart({.title = "ROC",
                                                          .x = {"False positive rate"},
                                                          .y = {"True positive rate"},
                                                          .lines = roc_lines,
                                                          .diagonal = true}));
  write_file((to / "precision_recall_curve.svg").string(),
             line_chart({.title = "Precision and recall",
                         .x = {"Recall"},
                         .y = {"Precision"},
                         .lines = pr_lines}));
}

}  // namespace fettle
