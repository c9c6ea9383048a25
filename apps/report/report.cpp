// fettle report: one page about a run, for people who have to rely on it.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/report/report.h"
#include "apps/resume.h"
#include "apps/table.h"
#include "apps/train_command.h"
#include "engine/inference/decision.h"
#include "io/atomic_file.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

/// The class that --good names, or the one that is called so.
std::optional<size_t> good_of(const ReportOptions& o, const Subject& subject) {
  const std::vector<std::string>& names = subject.data.names;
  const bool has_classes =
      subject.model.entry().task == Task::classification && !subject.model.config.multi_label;
  if (o.good.empty()) return has_classes ? good_class(names) : std::nullopt;
  require(has_classes, "--good is for runs that tell classes apart, which '", o.run, "' does not");
  const auto found = std::find(names.begin(), names.end(), o.good);
  require(found != names.end(), "--good ", o.good, " is no class of the run '", o.run, "'; it has ",
          label_text(names, std::vector<bool>(names.size(), true)));
  return static_cast<size_t>(found - names.begin());
}

/// Takes the epochs from the run folder, if they are there.
void read_training(Report& r) {
  const RunFolder run(r.options.run);
  if (!fs::exists(run.history())) return;
  r.history = read_history(run.history());
  if (r.history.empty()) return;
  const EpochLog& first = r.history.front();
  const auto has = [&](const std::string& name) {
    return std::any_of(first.begin(), first.end(),
                       [&](const auto& figure) { return figure.first == name; });
  };
  TrainOptions trained;
  take_from_run(trained, r.config());
  r.watched = watched_figure(trained, has("val_loss"));
  if (has(r.watched)) r.kept = static_cast<size_t>(best_epoch(r.history, r.watched));
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::tm date{};
  std::strftime(text, sizeof text, "%Y-%m-%d", localtime_r(&now, &date));
  return text;
}

std::string purpose_of(const Report& r) {
  const size_t count = r.names().size();
  const std::string& model = r.config().model;
  if (r.segments())
    return cat(model, ", which draws ", count == 1 ? "defects" : cat(count, " kinds of defects"));
  if (r.config().multi_label) return cat(model, ", which gives pictures any of ", count, " labels");
  if (count == 2) return cat(model, ", which tells “", r.names()[0], "” from “", r.names()[1], "”");
  return cat(model, ", which tells ", count, " classes apart");
}

std::string page_of(const Report& r) {
  const std::string name = fs::weakly_canonical(r.options.run).filename().string();
  const Html header = element("p", {{"class", "kicker"}}, "fettle report · " + today()) +
                      element("h1", {}, name) + element("p", {{"class", "quiet"}}, purpose_of(r));
  const std::string heading = r.segments()             ? "By kind of defect"
                              : r.config().multi_label ? "By label"
                                                       : "By class";
  const Html figures = r.segments() ? mask_figures(r) : class_figures(r);
  const Html origin = origin_part(r);
  const Html pictures = r.segments() ? mask_gallery(r) : class_gallery(r);
  const Html content = section("outcome", "Outcome", headline(r)) +
                       section("caution", "Before you rely on it", warnings(r)) +
                       section("threshold", "The threshold", threshold_part(r)) +
                       section("figures", heading, figures) +
                       section("pictures", "Mistakes, and what went well", pictures) +
                       section("training", "How it was trained", training_part(r)) +
                       section("origin", "Where it comes from", origin) +
                       section("words", "Words", glossary(r));
  return page(name + " · fettle report", header, content,
              {{"outcome", "Outcome"},
               {"caution", "Caution"},
               {"threshold", "Threshold"},
               {"figures", "Figures"},
               {"pictures", "Pictures"},
               {"training", "Training"},
               {"origin", "Origin"},
               {"words", "Words"}},
              "Made by fettle " FETTLE_VERSION " on " + today() + " from the run " + r.options.run +
                  ". This page holds all that it shows and fetches nothing.");
}

void report_run(const ReportOptions& o) {
  Subject subject = subject_of(o);
  const std::optional<size_t> good = good_of(o, subject);
  const std::string path = o.out.empty() ? (fs::path(o.run) / "report.html").string() : o.out;
  if (fs::path(path).has_parent_path()) make_folder(fs::path(path).parent_path().string());
  AtomicFile file(path);  // now, so that a place that cannot be written is known at once
  const Evaluation evaluation = evaluate(o, subject);
  Report report{o, subject, evaluation, Figures(evaluation.metrics), good};
  read_training(report);
  file.write(page_of(report));
  file.commit();
  std::cerr << "Wrote " << path << ": open it in a browser, mail it, print it\n";
}

}  // namespace

void add_report(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "report", "Measure a run and write one page about it, with curves and its mistakes");
  auto o = std::make_shared<ReportOptions>();
  add_measure_options(*command, *o);
  command->add_option("--good", o->good,
                      "Class of the faultless pictures [the one whose name says so: good, ok, "
                      "normal, no_defect ...]");
  command->add_option("--out", o->out, "Page to write [RUN/report.html]");
  command->callback([o] { report_run(*o); });
}

}  // namespace fettle
