// Tables of a segmenter: the pixels, and the pictures.
#include "apps/report/report.h"

namespace fettle {

Html mask_figures(const Report& r) {
  using Pointer = Figures::Pointer;
  Table kinds{"The pixels of each kind, over all pictures",
              {"Kind", "Dice", "IoU", "Recall", "Precision", "True pixels"},
              {}};
  for (const std::string& name : r.names()) {
    const Pointer place = Pointer("/classes") / name;
    if (r.figures.count(place / "pixels") == 0 && r.figures.number(place / "dice") == 1) {
      kinds.rows.push_back({name + " (not there, not drawn)", "–", "–", "–", "–", "0"});
      continue;
    }
    kinds.rows.push_back({name, r.figures.fixed(place / "dice", 4),
                          r.figures.fixed(place / "iou", 4), r.figures.percent(place / "recall"),
                          r.figures.percent(place / "precision"),
                          r.figures.counted(place / "pixels")});
  }
  kinds.rows.push_back({"Mean of the kinds that occur", r.figures.fixed(Pointer("/dice"), 4),
                        r.figures.fixed(Pointer("/iou"), 4), r.figures.percent(Pointer("/recall")),
                        r.figures.percent(Pointer("/precision")), ""});

  const Pointer place("/pictures");
  Table pictures{
      "Whole pictures: defective where any pixel is",
      {"Pictures", "Found", "Missed", "False alarms", "Recall", "Precision", "Accuracy"},
      {{"with any mask", r.figures.counted(place / "found"), r.figures.counted(place / "missed"),
        r.figures.counted(place / "false_alarms"), r.figures.percent(place / "recall"),
        r.figures.percent(place / "precision"), r.figures.percent(place / "accuracy")}}};
  return table(kinds) + table(pictures);
}

}  // namespace fettle
