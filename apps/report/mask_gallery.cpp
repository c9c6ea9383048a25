// The pictures in which a segmenter is most wrong, and some in which it is right, with the outlines
// of the true and of the drawn masks.
#include <algorithm>

#include "apps/progress.h"
#include "apps/report/gallery.h"
#include "apps/report/report.h"
#include "apps/segmenter.h"
#include "apps/table.h"
#include "io/outline.h"
#include "io/overlay.h"

namespace fettle {
namespace {

constexpr double thumbnail_pixels = 420 * 420;

struct Group {
  std::string heading, text;
  Choice choice;
};

/// How a whole picture went.
struct Outcome {
  int64_t truth = 0, found = 0;
  double dice = 1;  ///< the mean over the kinds that occur
};

Outcome outcome_of(const SegmentedPicture& picture) {
  Outcome outcome;
  double sum = 0;
  int occurring = 0;
  for (const Overlap& kind : picture.kinds) {
    outcome.truth += kind.truth;
    outcome.found += kind.found;
    if (kind.truth + kind.found == 0) continue;
    sum += kind.dice();
    ++occurring;
  }
  if (occurring > 0) outcome.dice = sum / occurring;
  return outcome;
}

std::vector<Group> groups_of(const Report& r) {
  std::vector<Outcome> all;
  for (const SegmentedPicture& picture : r.evaluation.segmented) all.push_back(outcome_of(picture));
  const auto drawn = [&](size_t i) { return all[i].truth > 0 && all[i].found > 0; };
  const auto worse = [&](size_t a, size_t b) { return all[a].dice < all[b].dice; };
  std::vector<Group> groups;
  groups.push_back(
      {"Missed: a defect, but nothing was drawn", "The largest defects come first.",
       choose(
           all.size(), most_wrong, [&](size_t i) { return all[i].truth > 0 && all[i].found == 0; },
           [&](size_t a, size_t b) { return all[b].truth < all[a].truth; })});
  groups.push_back(
      {"False alarms: no defect, but something was drawn", "The largest areas come first.",
       choose(
           all.size(), most_wrong, [&](size_t i) { return all[i].truth == 0 && all[i].found > 0; },
           [&](size_t a, size_t b) { return all[b].found < all[a].found; })});
  // With few pictures the worst half is worst and the other one best.
  const size_t count = choose(all.size(), 0, drawn, worse).all;
  const size_t worst = std::min(most_wrong, (count + 1) / 2);
  const size_t best = std::min(most_right, count - worst);
  groups.push_back({"Found, but drawn worst", "Of the pictures with a defect that was found.",
                    choose(all.size(), worst, drawn, worse)});
  groups.push_back(
      {"Found and drawn best", "Of the same pictures.",
       choose(all.size(), best, drawn, [&](size_t a, size_t b) { return worse(b, a); })});
  return groups;
}

std::string colour(size_t kind) {
  const Colour c = overlay_colour(kind);
  return cat("rgb(", int{c[0]}, ",", int{c[1]}, ",", int{c[2]}, ")");
}

Html line(const std::string& style, const std::string& path, const std::string& colour,
          const std::string& title) {
  return element("path", {{"class", "halo"}, {"d", path}}) +
         element("g", {}, element("title", {}, title),
                 element("path", {{"class", style},
                                  {"d", path},
                                  {"stroke", colour},
                                  {"fill", style == "found" ? colour : "none"}}));
}

/// The outlines of the masks over a picture of that size.
Html outlines(const Report& r, const std::vector<Mask>& truth, const std::vector<Mask>& found,
              const Picture& small) {
  Html lines;
  const auto path = [&](const Mask& mask) {
    return outline_path(shrunk(mask, small.height, small.width));
  };
  for (size_t k = 0; k < found.size(); ++k) {
    const std::string drawn = path(found[k]);
    if (!drawn.empty()) lines += line("found", drawn, colour(k), "drawn: " + r.names()[k]);
  }
  for (size_t k = 0; k < truth.size(); ++k) {
    const std::string real = path(truth[k]);
    if (!real.empty()) lines += line("truth", real, "white", "true: " + r.names()[k]);
  }
  return element("svg",
                 {{"xmlns", "http://www.w3.org/2000/svg"},
                  {"viewBox", cat("0 0 ", small.width, " ", small.height)},
                  {"preserveAspectRatio", "none"},
                  {"role", "img"},
                  {"aria-label", "Outlines of the true and of the drawn masks"}},
                 lines);
}

Html caption_of(const Report& r, const SegmentedPicture& picture) {
  Html caption;
  for (size_t k = 0; k < picture.kinds.size(); ++k) {
    const Overlap& kind = picture.kinds[k];
    if (kind.truth + kind.found == 0) continue;
    caption += element(
        "p", {}, element("span", {{"class", "swatch"}, {"style", "background:" + colour(k)}}, ""),
        element("b", {}, r.names()[k]), ": Dice ", fixed(kind.dice(), 3), ", true ",
        with_commas(kind.truth), " pixels, drawn ", with_commas(kind.found));
  }
  return caption;
}

Html legend(const Report& r) {
  const auto entry = [](const std::string& style, const std::string& colour, const Html& text) {
    const std::string path = style == "found" ? "M5,4h30v10h-30z" : "M3,9h34";
    return element("li", {},
                   element("svg",
                           {{"xmlns", "http://www.w3.org/2000/svg"},
                            {"viewBox", "0 0 40 18"},
                            {"aria-hidden", "true"}},
                           line(style, path, colour, style)),
                   text);
  };
  Html entries = entry("truth", "white", "white and dashed: the true mask");
  for (size_t k = 0; k < r.names().size(); ++k)
    entries +=
        entry("found", colour(k), Html("closed line, filled: “" + r.names()[k] + "” as drawn"));
  return element("ul", {{"class", "legend"}}, entries);
}

}  // namespace

Html mask_gallery(const Report& r) {
  const Segmenter segmenter(r.subject.model, r.subject.device, r.options.tile);
  const MaskData& data = r.subject.data.masks;
  Html content =
      paragraph(
          "Where the dashed and the closed line run together, the mask is drawn as it should be.") +
      legend(r);
  const std::vector<Group> groups = groups_of(r);
  int64_t done = 0, all = 0;
  for (const Group& group : groups) all += std::ssize(group.choice.picked);
  Progress progress;
  for (const auto& [heading, text, choice] : groups) {
    std::vector<Html> shots;
    for (const size_t i : choice.picked) {
      const SegmentedPicture& picture = r.evaluation.segmented[i];
      const MaskedPicture& masked = data.pictures[picture.index];
      const Segmentation s = segmenter(masked.path);
      const Picture small = thumbnail(s.picture, thumbnail_pixels);
      const std::string name = r.name_of(masked.path);
      const Html drawn =
          element("div", {{"class", "drawn"}}, photo(small, "The picture " + name),
                  outlines(r, masks_of(data, masked), s.masks(r.config().threshold), small));
      shots.push_back(
          shot(name, double{1} * small.width / small.height, drawn, caption_of(r, picture)));
      progress.count("Drawing", ++done, all);
    }
    content += gallery(heading, text, shots, choice.all, true);
  }
  progress.clear();
  return content;
}

}  // namespace fettle
