// How a run was trained: its epochs as curves and as a table.
#include <algorithm>

#include "apps/report/report.h"
#include "apps/table.h"
#include "io/csv.h"

namespace fettle {
namespace {

constexpr size_t most_dots = 40;

ChartLine line_of(const Report& r, const std::string& figure_of_epoch, const std::string& name) {
  ChartLine line{name, {}, r.history.size() <= most_dots};
  for (size_t epoch = 0; epoch < r.history.size(); ++epoch)
    for (const auto& [key, value] : r.history[epoch])
      if (key == figure_of_epoch) line.points.emplace_back(epoch + 1, value);
  return line;
}

/// A chart over the epochs of those of the figures that the history has; nothing without any.
Html epoch_chart(const Report& r, const std::string& title,
                 const std::vector<std::pair<std::string, std::string>>& figures,
                 const std::string& caption) {
  std::vector<ChartLine> lines;
  std::vector<double> values;
  for (const auto& [key, name] : figures) {
    ChartLine line = line_of(r, key, name);
    for (const auto& [epoch, value] : line.points) values.push_back(value);
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return {};
  // One epoch stands in the middle.
  const auto epochs = static_cast<double>(r.history.size());
  Chart chart{.title = title,
              .x = {"Epoch", epochs > 1 ? 1.0 : 0.0, std::max(epochs, 2.0), true},
              .y = axis_over("", values),
              .lines = std::move(lines)};
  if (r.kept)
    chart.rules = {
        {cat("epoch ", *r.kept + 1, ", which is kept"), static_cast<double>(*r.kept + 1)}};
  return figure(chart, caption);
}

Html epoch_table(const Report& r) {
  Table rows{"All figures of each epoch", {"Epoch"}, {}};
  for (const auto& [name, value] : r.history[0]) rows.header.push_back(name);
  for (size_t epoch = 0; epoch < r.history.size(); ++epoch) {
    rows.rows.push_back({std::to_string(epoch + 1)});
    for (const auto& [name, value] : r.history[epoch])
      rows.rows.back().push_back(name == "learning_rate" ? number_text(static_cast<float>(value))
                                                         : fixed(value, 4));
  }
  if (r.kept) rows.marked = *r.kept;
  return details(cat("Table of the ", r.history.size(), " epochs"), table(rows));
}

}  // namespace

Html training_part(const Report& r) {
  if (r.history.empty())
    return paragraph("The run folder has no history.csv, so nothing is known of the epochs.");
  Html text("An epoch is one pass over the pictures to learn from. ");
  if (r.kept)
    text += Html(cat("The weights are those of epoch ", *r.kept + 1, " of ", r.history.size(),
                     ", the best one by ", r.watched, "."));
  const Html charts =
      epoch_chart(r, "Loss", {{"loss", "learning"}, {"val_loss", "validation"}},
                  "What the training makes small. Validation that rises while learning still falls "
                  "means learning by heart.") +
      epoch_chart(
          r, r.segments() ? "Agreement of the masks" : "Right answers",
          r.segments()
              ? std::vector<std::pair<std::string, std::string>>{{"dice", "Dice, learning"},
                                                                 {"val_dice", "Dice, validation"},
                                                                 {"val_iou", "IoU, validation"}}
              : std::vector<std::pair<std::string, std::string>>{{"accuracy", "accuracy, learning"},
                                                                 {"val_accuracy",
                                                                  "accuracy, validation"},
                                                                 {"val_micro_f1",
                                                                  "F1 of all labels, validation"},
                                                                 {"val_auc", "AUC, validation"}},
          "Higher is better. Learning is measured on pictures that are changed at random, "
          "so it may lie below validation.");
  return element("p", {}, text) + element("div", {{"class", "charts"}}, charts) + epoch_table(r);
}

}  // namespace fettle
