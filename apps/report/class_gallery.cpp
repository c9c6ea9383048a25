// The pictures that a classifier is wrong about, the surest mistakes first, and some that it is
// right about, each with the heat map of what it was called.
#include <algorithm>

#include "apps/explain.h"
#include "apps/report/gallery.h"
#include "apps/report/report.h"
#include "io/csv.h"
#include "io/heat_map.h"
#include "models/tiles.h"

namespace fettle {
namespace {

constexpr double thumbnail_pixels = 240 * 240;

/// A class or label of a picture to show.
struct Answer {
  size_t picture = 0, said = 0;
  bool truth = false, called = false;
  double probability = 0;
};

struct Group {
  std::string heading, text;
  std::vector<Answer> answers;
  size_t all = 0;
};

/// What a picture was called, one answer each; of labels every label of every picture.
std::vector<Answer> answers_of(const Report& r) {
  std::vector<Answer> all;
  for (size_t i = 0; i < r.evaluation.judged.size(); ++i) {
    const JudgedPicture& picture = r.evaluation.judged[i];
    for (size_t k = 0; k < picture.called.size(); ++k)
      if (picture.called[k] || r.config().multi_label)
        all.push_back(
            {i, k, picture.truth[k], picture.called[k], double{picture.probabilities[k]}});
  }
  return all;
}

/// The true class of a picture.
size_t truth_of(const JudgedPicture& picture) {
  return static_cast<size_t>(std::find(picture.truth.begin(), picture.truth.end(), true) -
                             picture.truth.begin());
}

class Picker {
 public:
  explicit Picker(const Report& r) : r_(r), all_(answers_of(r)) {}

  /// The answers that `wanted` accepts, the surest or the least sure first.
  template <class Wanted>
  void add(const std::string& heading, const std::string& text, size_t most, bool surest,
           const Wanted& wanted) {
    const Choice choice = choose(
        all_.size(), most, [&](size_t i) { return wanted(all_[i]); },
        [&](size_t a, size_t b) {
          return surest ? sureness(all_[b]) < sureness(all_[a])
                        : sureness(all_[a]) < sureness(all_[b]);
        });
    Group group{heading, text, {}, choice.all};
    for (const size_t i : choice.picked) group.answers.push_back(all_[i]);
    groups_.push_back(std::move(group));
  }
  std::vector<Group> groups() && { return std::move(groups_); }

 private:
  /// How far the probability lies on its side of what decides: the threshold, or the rest.
  double sureness(const Answer& a) const {
    const double t = r_.config().threshold;
    if (r_.config().multi_label) return a.called ? a.probability - t : t - a.probability;
    if (r_.has_two_classes()) return a.probability - (a.said == 1 ? t : 1 - t);
    return a.probability;
  }

  const Report& r_;
  std::vector<Answer> all_;
  std::vector<Group> groups_;
};

void add_wrong(const Report& r, Picker& picker) {
  const std::vector<std::string>& names = r.names();
  const auto truth = [&](const Answer& a) { return truth_of(r.evaluation.judged[a.picture]); };
  const std::string sure = "The surest mistakes come first.";
  if (r.config().multi_label) {
    picker.add("Missed labels", sure, most_wrong, true,
               [](const Answer& a) { return a.truth && !a.called; });
    picker.add("Labels given in vain", sure, most_wrong, true,
               [](const Answer& a) { return !a.truth && a.called; });
  } else if (r.good) {
    const size_t good = *r.good;
    picker.add("Missed: defective, but called “" + names[good] + "”", sure, most_wrong, true,
               [&](const Answer& a) { return !a.truth && a.said == good; });
    picker.add("False alarms: “" + names[good] + "”, but called defective", sure, most_wrong, true,
               [&](const Answer& a) { return !a.truth && truth(a) == good; });
    if (names.size() > 2)
      picker.add("Defective, but of another class", sure, most_wrong, true,
                 [&](const Answer& a) { return !a.truth && a.said != good && truth(a) != good; });
  } else if (r.has_two_classes()) {
    for (const size_t said : {0u, 1u})
      picker.add("“" + names[1 - said] + "”, but called “" + names[said] + "”", sure, most_wrong,
                 true, [&](const Answer& a) { return !a.truth && a.said == said; });
  } else {
    picker.add("Wrong class", sure, 2 * most_wrong, true, [](const Answer& a) { return !a.truth; });
  }
}

void add_right(const Report& r, Picker& picker) {
  const std::string sure = "The surest come first.", unsure = "The least sure come first.";
  const auto right = [&](const Answer& a) { return a.truth && a.called; };
  if (!r.good) {
    picker.add("Right, but only just", unsure, most_right, false, right);
    picker.add("Right and sure", sure, most_right, true, right);
    return;
  }
  const auto found = [&](const Answer& a) { return right(a) && a.said != *r.good; };
  picker.add("Found, but only just", unsure, most_right, false, found);
  picker.add("Found and sure", sure, most_right, true, found);
  picker.add("“" + r.names()[*r.good] + "” and called so, but only just", unsure, most_right, false,
             [&](const Answer& a) { return right(a) && a.said == *r.good; });
}

std::vector<Group> groups_of(const Report& r) {
  Picker picker(r);
  add_wrong(r, picker);
  add_right(r, picker);
  return std::move(picker).groups();
}

Html caption_of(const Report& r, const Answer& a) {
  const JudgedPicture& picture = r.evaluation.judged[a.picture];
  const Html probability = element(
      "data", {{"value", number_text(static_cast<float>(a.probability))}}, percent(a.probability));
  const std::string& said = r.names()[a.said];
  if (r.config().multi_label)
    return element("p", {}, "“", element("b", {}, said), "” ", probability,
                   a.called ? ": given" : ": not given",
                   a.truth ? ", and the picture has it" : ", and the picture does not have it");
  const std::string& truth = r.names()[truth_of(picture)];
  return element("p", {}, "Called ", element("b", {}, said), " with ", probability) +
         element("p", {}, a.truth ? "which is right" : "but it is ",
                 a.truth ? Html() : element("b", {}, truth));
}

}  // namespace

Html class_gallery(const Report& r) {
  const std::vector<Group> groups = groups_of(r);
  std::vector<Explained> explained;
  for (const Group& group : groups)
    for (const Answer& a : group.answers) {
      const std::string& path = r.evaluation.judged[a.picture].path;
      explained.push_back({{path, r.name_of(path)}, a.said, static_cast<float>(a.probability)});
    }
  std::vector<Html> pictures(explained.size());
  const auto show = [&](size_t i, const Tensor& map) {
    const auto& [named, said, probability] = explained[i];
    const Picture small = thumbnail(read_picture(named.path, static_cast<int>(r.config().channels)),
                                    thumbnail_pixels);
    const Tensor heat = resize_bilinear(map, small.height, small.width);
    const Picture warm = draw_heat_map(small, {heat.data(), static_cast<size_t>(heat.size())}, "");
    const bool wide = small.width > 3 * small.height;
    pictures[i] = element(
        "div", {{"class", wide ? "pair stacked" : "pair"}},
        photo(small, "The picture " + named.name),
        photo(warm, "The same, with what speaks for “" + r.names()[said] + "” in yellow and red"));
  };
  if (!explained.empty())
    for_each_heat_map(r.subject.model, explained, r.options, r.subject.device, show);

  Html content = paragraph(
      "Beside each picture stands its heat map (Grad-CAM): yellow and red are the places that "
      "speak for what it was called. Heat beside the part, on its background or its border, is a "
      "sign that the model learned something else than the defect. What speaks for a good picture "
      "may lie anywhere.");
  size_t next = 0;
  for (const Group& group : groups) {
    std::vector<Html> shots;
    for (const Answer& a : group.answers) {
      shots.push_back(shot(explained[next].picture.name, 1, pictures[next], caption_of(r, a)));
      ++next;
    }
    content += gallery(group.heading, group.text, shots, group.all, false);
  }
  return content;
}

}  // namespace fettle
