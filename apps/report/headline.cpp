// The outcome first: a sentence and a few large figures.
#include <array>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <set>

#include "apps/report/report.h"
#include "apps/table.h"
#include "engine/train/interval.h"
#include "io/folder.h"

namespace fettle {
namespace {

using Pointer = Figures::Pointer;

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

/// The words of a name such as "no-defect_2": no, defect.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : lower(name)) {
    if (c >= 'a' && c <= 'z') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

/// Whether a name says that nothing is wrong: "good", "no-defect", but neither "not_ok" nor
/// "defective".
bool says_good(const std::string& name) {
  static const std::set<std::string> good = {
      "good",  "ok",        "okay",       "normal",     "negative",   "negatives", "intact",
      "clean", "undamaged", "faultless",  "flawless",   "healthy",    "pass",      "passed",
      "free",  "perfect",   "conforming", "acceptable", "undefective"};
  static const std::set<std::string> denials = {"no", "non", "not", "without"};
  constexpr std::array<std::string_view, 8> faults = {"defect", "damage",  "fault", "flaw",
                                                      "crack",  "scratch", "error", "anomal"};
  bool is_good = false, is_denied = false, has_fault = false;
  for (const std::string& word : words_of(name)) {
    is_good |= good.contains(word);
    is_denied |= denials.contains(word);
    for (const std::string_view fault : faults) has_fault |= word.starts_with(fault);
  }
  return is_denied ? has_fault && !is_good : is_good;
}

/// Of two classes, from the counts of [true class][called class].
Verdicts verdicts_of_two(const Report& r, size_t good) {
  const size_t bad = 1 - good;
  const auto place = [](size_t truth, size_t called) {
    return Pointer("/at_threshold/confusion_matrix") / truth / called;
  };
  const Figures& f = r.figures;
  return {{f.count(place(bad, bad)), f.count(place(bad, good)), f.count(place(good, bad)),
           f.count(place(good, good))},
          f.counted(place(bad, bad)),
          f.counted(place(bad, good)),
          f.counted(place(good, bad)),
          f.percent(Pointer("/at_threshold/classes") / r.names()[bad] / "recall")};
}

/// Of more classes: any of the others is defective.
Verdicts verdicts_of_many(const Report& r, size_t good) {
  Calls calls;
  const size_t K = r.names().size();
  for (size_t truth = 0; truth < K; ++truth) {
    for (size_t called = 0; called < K; ++called) {
      int64_t& count = truth != good ? (called != good ? calls.found : calls.missed)
                                     : (called != good ? calls.false_alarms : calls.quiet);
      count += r.figures.count(Pointer("/confusion_matrix") / truth / called);
    }
  }
  return {calls, with_commas(calls.found), with_commas(calls.missed),
          with_commas(calls.false_alarms), percent(share(calls.found, calls.found + calls.missed))};
}

/// Of masks and labels, which are counted by picture.
Verdicts verdicts_of_pictures(const Report& r) {
  const Figures& f = r.figures;
  const Pointer place("/pictures");
  Calls calls{f.count(place / "found"), f.count(place / "missed"), f.count(place / "false_alarms"),
              0};
  calls.quiet = f.count(Pointer("/examples")) - calls.found - calls.missed - calls.false_alarms;
  return {calls, f.counted(place / "found"), f.counted(place / "missed"),
          f.counted(place / "false_alarms"), f.percent(place / "recall")};
}

/// What a picture with something wrong, and one without, are called.
std::pair<std::string, std::string> sides(const Report& r) {
  if (r.config().multi_label) return {"labelled", "unlabelled"};
  return {"defective", "good"};
}

std::string capital(std::string word) {
  word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
  return word;
}

std::string which_pictures(const Report& r) {
  return r.on_validation() ? "the validation pictures, which the model has not learned from"
                           : "the pictures in " + r.subject.folder;
}

Html sentence_of(const Report& r, const std::optional<Verdicts>& verdicts) {
  const Figures& f = r.figures;
  Html text("The model looked at ");
  text += element("b", {}, f.counted(Pointer("/examples")), " pictures");
  text += Html(": " + which_pictures(r) + ". ");
  if (verdicts) {
    const auto [bad, good] = sides(r);
    const Calls& c = verdicts->calls;
    text += element("b", {}, "It found ", verdicts->found, " of ", with_commas(c.found + c.missed),
                    " " + bad + " ones");
    text += Html(" and missed ");
    text += verdicts->missed;
    text +=
        Html(". Among " + with_commas(c.false_alarms + c.quiet) + " " + good + " ones it raised ");
    text += element("b", {}, verdicts->false_alarms,
                    c.false_alarms == 1 ? " false alarm." : " false alarms.");
  } else {
    const Pointer accuracy(r.has_two_classes() ? "/at_threshold/accuracy" : "/accuracy");
    const auto right =
        std::llround(f.number(accuracy) * static_cast<double>(f.count(Pointer("/examples"))));
    text += element("b", {}, "It gave the right answer for ", with_commas(right), " of them.");
  }
  return element("p", {{"class", "lead"}}, text);
}

Html verdict_tiles(const Report& r, const Verdicts& v) {
  const auto [bad, good] = sides(r);
  const Calls& c = v.calls;
  const int64_t with_defect = c.found + c.missed, without = c.false_alarms + c.quiet;
  return element(
      "div", {{"class", "tiles"}},
      tile(capital(bad) + " pictures found", with_defect > 0 ? v.recall : Html("–"),
           Html(with_commas(c.found) + " of " + with_commas(with_defect) + ", " +
                with_commas(c.missed) + " missed. " + likely_range(c.found, with_defect)),
           c.missed == 0 ? "good" : "bad"),
      tile("False alarms among " + good + " pictures",
           without > 0 ? Html(percent(share(c.false_alarms, without))) : Html("–"),
           Html(with_commas(c.false_alarms) + " of " + with_commas(without) + ". " +
                likely_range(c.false_alarms, without)),
           c.false_alarms == 0 ? "good" : "bad"));
}

/// Of two classes of which neither is known to be the good one: how many of each were recognised.
Html class_tiles(const Report& r) {
  Html tiles;
  for (size_t k = 0; k < 2; ++k) {
    const Pointer row = Pointer("/at_threshold/confusion_matrix") / k;
    const int64_t right = r.figures.count(row / k), all = right + r.figures.count(row / (1 - k));
    tiles += tile(
        "Recognised: " + r.names()[k],
        r.figures.percent(Pointer("/at_threshold/classes") / r.names()[k] / "recall"),
        Html(with_commas(right) + " of " + with_commas(all) + ". " + likely_range(right, all)));
  }
  return element("div", {{"class", "tiles"}}, tiles);
}

/// Of several classes, the one that is recognised worst.
Html weakest_tile(const Report& r) {
  const auto recall = [&](size_t k) { return Pointer("/classes") / r.names()[k] / "recall"; };
  const auto support = [&](size_t k) {
    return r.figures.count(Pointer("/classes") / r.names()[k] / "support");
  };
  size_t worst = 0;
  for (size_t k = 1; k < r.names().size(); ++k)
    if (support(worst) == 0 ||
        (support(k) > 0 && r.figures.number(recall(k)) < r.figures.number(recall(worst))))
      worst = k;
  const int64_t right = r.figures.count(Pointer("/confusion_matrix") / worst / worst);
  return tile("Recognised worst: " + r.names()[worst], r.figures.percent(recall(worst)),
              Html(with_commas(right) + " of " + with_commas(support(worst)) + ". " +
                   likely_range(right, support(worst))));
}

Html figure_tiles(const Report& r) {
  const Figures& f = r.figures;
  if (r.segments()) {
    return element(
        "div", {{"class", "tiles"}},
        tile("Agreement of the masks (Dice)", f.fixed(Pointer("/dice"), 3),
             "Of all pixels, the mean over the kinds. 1: drawn exactly as in the true masks."),
        tile("Overlap (IoU)", f.fixed(Pointer("/iou"), 3),
             "What both masks cover of what either covers. 1 is perfect."),
        tile("Dice, picture by picture", f.fixed(Pointer("/dice_per_picture"), 3),
             "The mean over pictures and kinds; 1 where there is nothing and nothing was drawn."));
  }
  if (r.config().multi_label) {
    return element("div", {{"class", "tiles"}},
                   tile("All labels right", f.percent(Pointer("/exact_match")),
                        "Of all pictures, those without a wrong or a missed label."),
                   tile("Right answers (accuracy)", f.percent(Pointer("/accuracy")),
                        "Each label of each picture counts as one answer, yes or no."),
                   tile("Separation (AUC)", f.fixed(Pointer("/auc"), 3),
                        "Whatever the threshold. 1 is perfect, 0.5 is guessing."));
  }
  const Pointer accuracy(r.has_two_classes() ? "/at_threshold/accuracy" : "/accuracy");
  std::string most;
  int64_t support = -1;
  for (const std::string& name : r.names()) {
    const int64_t here = f.count(Pointer("/classes") / name / "support");
    if (here > support) most = name, support = here;
  }
  const double always = share(support, f.count(Pointer("/examples")));
  Html weakest;
  if (!r.has_two_classes()) weakest = weakest_tile(r);
  return element("div", {{"class", "tiles"}},
                 tile("Right answers (accuracy)", f.percent(accuracy),
                      "Whoever says “" + most + "” every time has " + percent(always) + "."),
                 weakest,
                 tile("Separation of the classes (AUC)", f.fixed(Pointer("/auc"), 3),
                      r.has_two_classes()
                          ? "Whatever the threshold. 1 is perfect, 0.5 is guessing."
                          : "Each against the rest, the mean. 1 is perfect, 0.5 is guessing."));
}

}  // namespace

std::string Report::name_of(const std::string& path) const {
  namespace fs = std::filesystem;
  const fs::path folder = fs::is_directory(subject.folder) ? fs::path(subject.folder)
                                                           : fs::path(subject.folder).parent_path();
  const fs::path name = fs::path(path).lexically_relative(folder);
  return name.empty() || *name.begin() == ".." ? fs::path(path).filename().string() : name.string();
}

bool Report::is_folder_of(const std::string& option) const {
  const auto found = config().options.find(option);
  if (options.data.empty() || found == config().options.end() || found->second.empty())
    return false;
  std::error_code error;
  return std::filesystem::equivalent(found->second, options.data, error) && !error;
}

std::optional<size_t> good_class(const std::vector<std::string>& names) {
  std::optional<size_t> found;
  for (size_t k = 0; k < names.size(); ++k) {
    if (!says_good(names[k])) continue;
    if (found) return {};
    found = k;
  }
  return found;
}

std::optional<Verdicts> verdicts_of(const Report& r) {
  if (r.segments() || r.config().multi_label) return verdicts_of_pictures(r);
  if (!r.good) return {};
  return r.has_two_classes() ? verdicts_of_two(r, *r.good) : verdicts_of_many(r, *r.good);
}

std::string likely_range(int64_t part, int64_t whole) {
  if (whole == 0) return "There was none to judge by.";
  const auto [low, high] = wilson_interval(part, whole);
  return "The true rate is probably between " + percent(low) + " and " + percent(high) + ".";
}

Html headline(const Report& r) {
  const std::optional<Verdicts> verdicts = verdicts_of(r);
  Html content = sentence_of(r, verdicts);
  if (verdicts) {
    content += verdict_tiles(r, *verdicts);
  } else if (r.has_two_classes()) {
    content += class_tiles(r);
  }
  content += figure_tiles(r);
  if (r.good) {
    content += element(
        "p", {{"class", "quiet"}}, "Good pictures are those of the class “", r.names()[*r.good],
        "”", r.options.good.empty() ? ", by its name. If it is another, say so by --good." : ".");
  }
  return content;
}

}  // namespace fettle
