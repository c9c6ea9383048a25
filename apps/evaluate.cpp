// fettle evaluate: the figures of a run on a folder of pictures, and the choice of its threshold
// and temperature.
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/curve_files.h"
#include "apps/evaluation.h"
#include "apps/table.h"
#include "io/atomic_file.h"
#include "io/csv.h"

namespace fettle {
namespace {

/// Writes what was chosen into config.json.
void store(const EvaluateOptions& o, const RunConfig& chosen) {
  const RunFolder folder(o.run);
  RunConfig config = read_config(folder);
  config.temperature = chosen.temperature;
  config.threshold = chosen.threshold;
  config.threshold_goal = chosen.threshold_goal;
  write_config(folder, config);
  std::cerr << "Stored the threshold " << config.threshold;
  if (o.calibrate) std::cerr << " and the temperature " << config.temperature;
  std::cerr << " in " << folder.config() << "\n";
}

/// pictures.csv: a line for each picture and kind.
void write_pictures(const std::string& file, const Data& data,
                    const std::vector<SegmentedPicture>& pictures) {
  AtomicFile table(file);
  table.write(csv_line({"path", "kind", "dice", "true_pixels", "found_pixels", "common_pixels"}));
  for (const auto& [index, kinds] : pictures) {
    for (size_t k = 0; k < kinds.size(); ++k) {
      const Overlap& pixels = kinds[k];
      table.write(csv_line({data.masks.pictures[index].path, data.names[k], fixed(pixels.dice(), 4),
                            std::to_string(pixels.truth), std::to_string(pixels.found),
                            std::to_string(pixels.both)}));
    }
  }
  table.commit();
}

void evaluate_run(const EvaluateOptions& o) {
  Subject subject = subject_of(o);
  const std::filesystem::path folder(o.out.empty() ? o.run : o.out);
  make_folder(folder.string());
  const Evaluation evaluation = evaluate(o, subject);
  std::cout << evaluation.text;
  if (subject.model.entry().task == Task::segmentation) {
    write_pictures((folder / "pictures.csv").string(), subject.data, evaluation.segmented);
  } else {
    write_curves(folder.string(), subject.data.names, evaluation.curves);
  }
  if (!o.choose.empty() || o.calibrate) store(o, subject.model.config);
  const std::string file = (folder / "metrics.json").string();
  write_file(file, evaluation.metrics.dump(2) + "\n");
  std::cerr << "Wrote " << file << "\n";
}

}  // namespace

void add_evaluate(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "evaluate", "Measure a run on a folder of pictures whose classes or masks are known");
  auto o = std::make_shared<EvaluateOptions>();
  add_measure_options(*command, *o);
  command->add_option("--choose-threshold", o->choose,
                      "Choose the run's threshold on its validation pictures and store it: f1 (the "
                      "best F1, over all labels, or mean Dice of masks), or recall=0.99 (the "
                      "highest one that reaches it)");
  command->add_flag("--calibrate", o->calibrate,
                    "Fit the temperature of a classifier's probabilities on the run's validation "
                    "pictures, so that they mean what they say, and store it; verdicts stay");
  command->add_option(
      "--out", o->out,
      "Folder for metrics.json, the curves of a classifier and pictures.csv of what "
      "draws masks [the run folder]");
  command->callback([o] { evaluate_run(*o); });
}

}  // namespace fettle
