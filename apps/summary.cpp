// fettle summary: the layer table of a run or a model.
#include <iostream>

#include "apps/commands.h"
#include "apps/fine_tuning.h"
#include "apps/number_checks.h"
#include "apps/options.h"
#include "apps/predictor.h"
#include "apps/single_file.h"
#include "apps/table.h"
#include "apps/trained_model.h"
#include "engine/argument_error.h"

namespace fettle {
namespace {

struct Options {
  std::string run, model, head = "default";
  ImageSize image_size;
  int64_t classes = 2;
  std::set<std::string> given;
};

RunConfig config_of(const Options& o) {
  if (!o.run.empty()) return read_config(RunFolder(o.run));
  const ModelEntry& entry = model_entry(o.model);
  RunConfig config;
  config.model = o.model;
  config.height = o.image_size.height > 0 ? o.image_size.height : entry.height;
  config.width = o.image_size.width > 0 ? o.image_size.width : entry.width;
  config.channels = entry.channels;
  config.class_names.resize(static_cast<size_t>(o.classes));
  config.options["head"] = o.head;
  return config;
}

/// What one picture needs, with weights and program, as fettle-predict and the C library run it.
std::string memory_of(TrainedModel& model, int64_t height, int64_t width) {
  try {
    SingleFile file = to_single_file(model);
    file.memory = 4 * file.network.parameters();
    return mebibytes(Predictor(std::move(file)).memory_for({height, width}));
  } catch (const Error& error) {
    return cat("not known: ", error.what());
  }
}

void print_summary(const Options& o) {
  require_argument(o.run.empty() != o.model.empty(), "give either a run folder or --model NAME");
  for (const char* option : {"head", "image-size", "classes"})
    require_argument(o.run.empty() || !o.given.contains(option), "--", option,
                     " goes with --model; a run has its own");
  TrainedModel model = make_model(config_of(o));
  TransferOptions transfer;
  transfer.head = o.head;
  check(transfer, *model.layer, o.model);
  const LayerSummary summary = summary_of(model);
  std::vector<std::vector<std::string>> rows;
  for (const LayerRow& row : summary.rows)
    rows.push_back(
        {cat(row.name, " (", row.kind, ")"), cat(row.output), with_commas(row.parameters)});
  std::cout << "Model: " << model.config.model << ", input " << summary.height << "x"
            << summary.width << "x" << model.config.channels << "\n";
  print_table(std::cout, {"Layer (kind)", "Output shape of one picture", "Parameters"}, rows);
  std::cout << "Total parameters: " << with_commas(summary.parameters) << "\n"
            << "Trainable parameters: " << with_commas(summary.parameters - summary.non_trainable)
            << "\n"
            << "Non-trainable parameters: " << with_commas(summary.non_trainable) << "\n"
            << "Peak memory of a prediction: " << memory_of(model, summary.height, summary.width)
            << "\n";
}

}  // namespace

void add_summary(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "summary", "Print the layers of a run or a model, and their parameters");
  auto o = std::make_shared<Options>();
  command->add_option("run", o->run, "Run folder that fettle train wrote");
  command->add_option("--model", o->model, "Or the name of a model");
  add_image_size(*command, o->image_size);
  command->add_option("--classes", o->classes, "Classes of the model, or kinds of defects")
      ->check(whole_number(1, 100000))
      ->capture_default_str();
  add_head(*command, o->head);
  command->callback([o, command] {
    o->given = given_options(*command);
    print_summary(*o);
  });
}

}  // namespace fettle
