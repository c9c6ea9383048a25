// fettle evaluate of a segmenter: the pixels and the pictures that it gets right.
#include <sstream>

#include "apps/evaluation.h"
#include "apps/progress.h"
#include "apps/segmenter.h"
#include "apps/table.h"
#include "engine/train/mask_metrics.h"

namespace fettle {
namespace {

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

/// Calls f for each picture of the data, by its index, with its segmentation and its true masks.
template <class F>
void for_each_segmented(const EvaluateOptions& o, Subject& subject, const F& f) {
  const MaskData& masks = subject.data.masks;
  const Segmenter segmenter(subject.model, subject.device, o.tile);
  Progress progress;
  for (size_t i = 0; i < masks.pictures.size(); ++i) {
    f(i, segmenter(masks.pictures[i].path), masks_of(masks, masks.pictures[i]));
    progress.count("Segmenting", static_cast<int64_t>(i) + 1, std::ssize(masks.pictures));
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

Overlap overlap_of(const Mask& truth, const Mask& found) {
  Overlap overlap;
  for (size_t i = 0; i < truth.pixels.size(); ++i) {
    overlap.truth += truth.pixels[i];
    overlap.found += found.pixels[i];
    overlap.both += truth.pixels[i] & found.pixels[i];
  }
  return overlap;
}

}  // namespace

double Overlap::dice() const {
  const auto sum = static_cast<double>(truth + found);
  return sum > 0 ? 2 * static_cast<double>(both) / sum : 1;
}

Evaluation evaluate_segmenter(const EvaluateOptions& o, Subject& subject) {
  const std::vector<std::string>& names = subject.data.names;
  RunConfig& config = subject.model.config;
  MaskMetricsCounter counter(names, config.threshold);
  const auto count = [&](size_t, const Segmentation& s, const std::vector<Mask>& truth) {
    counter.add_probabilities(s.probabilities, tensor_of(truth));
  };
  if (!o.choose.empty()) {
    for_each_segmented(o, subject, count);
    choose(config, choose_threshold(counter, goal_of(o.choose)), o.choose);
    counter = MaskMetricsCounter(names, config.threshold);
  }
  const double threshold = config.threshold;
  Evaluation e;
  std::ostringstream text;
  Calls calls;
  double dice_sum = 0;
  for_each_segmented(o, subject,
                     [&](size_t index, const Segmentation& s, const std::vector<Mask>& truth) {
                       count(index, s, truth);
                       const std::vector<Mask> found = s.masks(threshold);
                       SegmentedPicture picture{index, {}};
                       bool defective = false, called = false;
                       for (size_t k = 0; k < truth.size(); ++k) {
                         const Overlap pixels = overlap_of(truth[k], found[k]);
                         defective |= pixels.truth > 0;
                         called |= pixels.found > 0;
                         dice_sum += pixels.dice();
                         picture.kinds.push_back(pixels);
                       }
                       calls.add(defective, called);
                       e.segmented.push_back(std::move(picture));
                     });
  e.thresholds = threshold_choices(counter);

  const std::vector<MaskCounts> counts = counter.counts();
  std::vector<std::vector<std::string>> rows;
  Json kinds, &json = e.metrics;
  for (size_t k = 0; k < counts.size(); ++k) {
    rows.push_back(table_row(names[k], counts[k]));
    kinds[names[k]] = json_of(counts[k]);
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
  print_table(text,
              {"kind", "precision", "recall", "dice", "iou", "tversky", "accuracy", "true pixels"},
              rows);
  json["dice_per_picture"] = dice_sum / static_cast<double>(e.segmented.size() * names.size());
  text << "pixels from threshold " << threshold
       << " on; mean dice of each picture and kind, 1 where both masks are empty: "
       << fixed(json["dice_per_picture"], 4) << "\n";
  calls.print(text, "Pictures with any mask", threshold);
  json["threshold"] = threshold;
  json["examples"] = e.segmented.size();
  json["classes"] = kinds;
  json["pictures"] = calls.json();
  e.text = text.str();
  return e;
}

}  // namespace fettle
