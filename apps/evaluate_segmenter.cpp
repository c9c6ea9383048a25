// fettle evaluate of a segmenter: the pixels and the pictures that it gets right.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "apps/evaluation.h"
#include "apps/progress.h"
#include "apps/segmenter.h"
#include "apps/table.h"
#include "engine/train/mask_metrics.h"
#include "io/atomic_file.h"
#include "io/csv.h"

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

/// Calls f for each picture of the data with its segmentation and its true masks.
template <class F>
void for_each_segmented(const EvaluateOptions& o, TrainedModel& model, const Data& data,
                        Device device, const F& f) {
  const Segmenter segmenter(model, device, o.tile);
  Progress progress;
  int64_t done = 0;
  for (const MaskedPicture& picture : data.masks.pictures) {
    f(picture, segmenter(picture.path), masks_of(data.masks, picture));
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

/// Pixels of a true and of a found mask.
struct Overlap {
  int64_t truth = 0, found = 0, both = 0;

  Overlap(const Mask& true_mask, const Mask& found_mask) {
    for (size_t i = 0; i < true_mask.pixels.size(); ++i) {
      truth += true_mask.pixels[i];
      found += found_mask.pixels[i];
      both += true_mask.pixels[i] & found_mask.pixels[i];
    }
  }
  /// 1 where both masks are empty.
  double dice() const {
    const auto sum = static_cast<double>(truth + found);
    return sum > 0 ? 2 * static_cast<double>(both) / sum : 1;
  }
};

}  // namespace

Json evaluate_segmenter(const EvaluateOptions& o, TrainedModel& model, const Data& data,
                        Device device) {
  MaskMetricsCounter counter(data.names, model.config.threshold);
  const auto count = [&](const MaskedPicture&, const Segmentation& s,
                         const std::vector<Mask>& truth) {
    counter.add_probabilities(s.probabilities, tensor_of(truth));
  };
  if (!o.choose.empty()) {
    for_each_segmented(o, model, data, device, count);
    model.config.threshold = choose_threshold(counter, goal_of(o.choose)).threshold;
    counter = MaskMetricsCounter(data.names, model.config.threshold);
  }
  const double threshold = model.config.threshold;
  Calls calls;
  double dice_sum = 0;
  int64_t masks_seen = 0;
  AtomicFile table((std::filesystem::path(o.folder()) / "pictures.csv").string());
  table.write(csv_line({"path", "kind", "dice", "true_pixels", "found_pixels", "common_pixels"}));
  for_each_segmented(
      o, model, data, device,
      [&](const MaskedPicture& picture, const Segmentation& s, const std::vector<Mask>& truth) {
        count(picture, s, truth);
        const std::vector<Mask> found = s.masks(threshold);
        bool defective = false, called = false;
        for (size_t k = 0; k < truth.size(); ++k, ++masks_seen) {
          const Overlap pixels(truth[k], found[k]);
          defective |= pixels.truth > 0;
          called |= pixels.found > 0;
          dice_sum += pixels.dice();
          table.write(csv_line({picture.path, data.names[k], fixed(pixels.dice(), 4),
                                std::to_string(pixels.truth), std::to_string(pixels.found),
                                std::to_string(pixels.both)}));
        }
        calls.add(defective, called);
      });
  table.commit();

  const std::vector<MaskCounts> counts = counter.counts();
  std::vector<std::vector<std::string>> rows;
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

}  // namespace fettle
