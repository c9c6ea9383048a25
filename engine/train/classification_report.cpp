#include "engine/train/classification_report.h"

namespace fettle {
namespace {

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

ClassificationReport classification_report(const std::vector<std::vector<int64_t>>& confusion) {
  ClassificationReport report;
  int64_t pictures = 0, right = 0;
  for (size_t k = 0; k < confusion.size(); ++k) {
    ClassMetrics figures;
    int64_t predicted = 0;
    for (size_t j = 0; j < confusion.size(); ++j) {
      figures.support += confusion[k][j];
      predicted += confusion[j][k];
    }
    const auto hits = static_cast<double>(confusion[k][k]);
    figures.precision = ratio(hits, static_cast<double>(predicted));
    figures.recall = ratio(hits, static_cast<double>(figures.support));
    figures.f1 = ratio(2 * hits, static_cast<double>(predicted + figures.support));
    report.classes.push_back(figures);
    pictures += figures.support;
    right += confusion[k][k];
  }
  report.accuracy = ratio(static_cast<double>(right), static_cast<double>(pictures));
  for (const ClassMetrics& figures : report.classes) {
    const auto add = [&](ClassAverages& mean, double weight) {
      mean.precision += weight * figures.precision;
      mean.recall += weight * figures.recall;
      mean.f1 += weight * figures.f1;
    };
    add(report.macro, 1 / static_cast<double>(confusion.size()));
    add(report.weighted,
        ratio(static_cast<double>(figures.support), static_cast<double>(pictures)));
  }
  return report;
}

}  // namespace fettle
