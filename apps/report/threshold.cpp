// The threshold of a report: where it comes from, and what others would do.
#include "apps/report/report.h"
#include "apps/table.h"

namespace fettle {
namespace {

/// The rates of two classes at a threshold: of the pictures of class `of`, how many are called so,
/// and of the others, how many are called so wrongly.
struct OperatingPoint {
  double threshold, found, false_alarms;
};

/// All that differ, by falling threshold for class 1.
std::vector<OperatingPoint> operating_points(const Report& r, size_t of) {
  const std::vector<Curves::Point>& points = r.evaluation.curves[1].points;
  std::vector<OperatingPoint> all;
  const auto add = [&](double above, double below, double tpr, double fpr) {
    const double threshold = (above + below) / 2;
    if (of == 1) {
      all.push_back({threshold, tpr, fpr});
    } else {
      all.push_back({threshold, 1 - fpr, 1 - tpr});
    }
  };
  if (!points.empty()) add(1, points[0].threshold, 0, 0);
  for (size_t i = 0; i < points.size(); ++i)
    add(points[i].threshold, i + 1 < points.size() ? points[i + 1].threshold : 0,
        points[i].true_positive_rate, points[i].false_positive_rate);
  return all;
}

/// The class that the rates are told of: the defective one, or the second.
size_t told_class(const Report& r) {
  return r.good ? 1 - *r.good : 1;
}

/// How the threshold that was used came about.
Html origin_of(const Report& r) {
  const std::string& goal = r.config().threshold_goal;
  if (r.options.threshold)
    return Html("It was given for this report by ") + code("--threshold") + Html(".");
  if (goal == "f1")
    return r.segments() ? "It was chosen on the validation pictures, for the best Dice."
                        : "It was chosen on the validation pictures, for the best F1: a balance of "
                          "what is missed and what is called in vain.";
  if (!goal.empty())
    return "It was chosen on the validation pictures, as the highest that reaches a recall of " +
           percent(goal_of(goal).recall) +
           (r.has_two_classes() ? " of “" + r.names()[1] + "”." : ".");
  if (r.config().threshold != 0.5) return "It is kept in the run; how it was chosen is not.";
  const Html usual = "That is the usual one; none was chosen for this run. ";
  // A recall can be asked for of the second class alone.
  if (r.has_two_classes() && told_class(r) == 0)
    return usual + code("--threshold") + Html(" tries another one.");
  return usual + code("fettle evaluate RUN --choose-threshold f1|recall=0.99") +
         Html(" chooses one and keeps it.");
}

Html threshold_text(const Report& r) {
  const std::string what = r.segments()             ? "a pixel counts as defective"
                           : r.config().multi_label ? "a picture has a label"
                                                    : "a picture is called “" + r.names()[1] + "”";
  return paragraph("From a probability of ",
                   element("b", {}, r.figures.fixed(Figures::Pointer("/threshold"), 4)), " on, ",
                   what, ". ", origin_of(r));
}

Html threshold_chart(const Report& r, const std::vector<OperatingPoint>& points) {
  const size_t of = told_class(r);
  ChartLine found{"“" + r.names()[of] + "” found", {}};
  ChartLine false_alarms{"“" + r.names()[1 - of] + "” called so wrongly", {}};
  double above = 1;
  for (size_t i = 0; i < points.size(); ++i) {
    const double below = i + 1 < points.size() ? points[i].threshold : 0;
    for (const double x : {above, below}) {
      found.points.emplace_back(x, points[i].found);
      false_alarms.points.emplace_back(x, points[i].false_alarms);
    }
    above = below;
  }
  const double threshold = r.config().threshold;
  return figure({.title = "What each threshold would do",
                 .x = {"Threshold"},
                 .y = {"Share of the pictures"},
                 .lines = {found, false_alarms},
                 .rules = {{"threshold in use, " + fixed(threshold, 3), threshold}}},
                "The first line should be high and the second low. Where they are far apart, the "
                "model has room for another threshold.");
}

/// For some rates that somebody may want to reach: the threshold and its price.
Html goal_table(const Report& r, const std::vector<OperatingPoint>& points) {
  const size_t of = told_class(r);
  Table goals{"To find so many of “" + r.names()[of] + "”, at the price of so many of “" +
                  r.names()[1 - of] + "”",
              {"To find", "Threshold", "Found", "False alarms"},
              {}};
  const OperatingPoint* dearer = nullptr;  // the one for a higher goal
  for (const double goal : {1.0, 0.99, 0.95, 0.9, 0.8}) {
    const OperatingPoint* best = nullptr;
    for (const OperatingPoint& point : points)
      if (point.found >= goal - 1e-9 && (!best || point.false_alarms < best->false_alarms))
        best = &point;
    if (!best || (dearer && best->false_alarms >= dearer->false_alarms)) continue;
    dearer = best;
    goals.rows.push_back({cat("at least ", 100 * goal, "\u00A0%"), fixed(best->threshold, 4),
                          percent(best->found), percent(best->false_alarms)});
  }
  return table(goals);
}

/// Dice, precision and recall of the pixels.
Html mask_chart(const Report& r) {
  ChartLine dice{"Dice", {}}, recall{"found of the true pixels (recall)", {}},
      precision{"right of the drawn pixels (precision)", {}};
  for (const ThresholdChoice& choice : r.evaluation.thresholds) {
    dice.points.emplace_back(choice.threshold, choice.f1);
    recall.points.emplace_back(choice.threshold, choice.recall);
    precision.points.emplace_back(choice.threshold, choice.precision);
  }
  const double threshold = r.config().threshold;
  return figure({.title = "What each threshold would do",
                 .x = {"Threshold"},
                 .y = {"Mean over the kinds"},
                 .lines = {dice, recall, precision},
                 .rules = {{"threshold in use, " + fixed(threshold, 3), threshold}}},
                "A low threshold draws more: it finds more of the true pixels, and draws more in "
                "vain. Dice balances both.");
}

}  // namespace

Html threshold_part(const Report& r) {
  if (!r.segments() && !r.config().multi_label && !r.has_two_classes())
    return paragraph("With ", std::to_string(r.names().size()),
                     " classes there is no threshold: a picture gets the class with the largest "
                     "probability.");
  Html content = threshold_text(r);
  if (r.segments()) {
    content += element("div", {{"class", "charts"}}, mask_chart(r));
  } else if (r.has_two_classes()) {
    const std::vector<OperatingPoint> points = operating_points(r, told_class(r));
    content += element("div", {{"class", "charts"}}, threshold_chart(r, points),
                       element("div", {}, goal_table(r, points)));
  }
  return content;
}

}  // namespace fettle
