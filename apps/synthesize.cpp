// fettle synthesize: made data sets with known answers.
#include <iostream>

#include "apps/commands.h"
#include "apps/number_checks.h"
#include "engine/counted.h"
#include "io/folder.h"
#include "io/synthesize_steel.h"
#include "io/synthesize_tyres.h"

namespace fettle {
namespace {

struct TyreOptions {
  std::string folder;
  int64_t count = 120;
  int64_t image_size = 160;
  uint64_t seed = 0;
};

void add_tyres(CLI::App& command) {
  CLI::App* tyres = command.add_subcommand(
      "tyres", "Tyre treads as JPEGs in the class folders good/ and defective/, and defects.csv");
  auto options = std::make_shared<TyreOptions>();
  tyres->add_option("folder", options->folder, "Folder to write to, new or empty")->required();
  tyres->add_option("--count", options->count, "Pictures of each class")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  tyres->add_option("--image-size", options->image_size, "Height and width of a picture")
      ->check(whole_number(32, 4096))
      ->capture_default_str();
  tyres->add_option("--seed", options->seed, "The same seed makes the same pictures")
      ->check(seeds())
      ->capture_default_str();
  tyres->callback([options] {
    check_unused(options->folder);
    synthesize_tyres(options->folder, options->count, options->image_size, options->seed);
    std::cerr << "Wrote " << options->count << " good and "
              << counted(options->count, "defective tread") << " to " << options->folder << "\n";
  });
}

void add_steel(CLI::App& command) {
  CLI::App* steel = command.add_subcommand(
      "steel", "Sheets of steel as Severstal's: train_images/ and the masks in train.csv");
  struct Options : SyntheticSteelOptions {
    std::string folder;
  };
  auto options = std::make_shared<Options>();
  steel->add_option("folder", options->folder, "Folder to write to, new or empty")->required();
  steel->add_option("--count", options->count, "Pictures")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  steel->add_option("--good-share", options->good_share, "Share of pictures without a defect")
      ->check(number_between(0, 1))
      ->capture_default_str();
  steel->add_option("--height", options->height, "Height of a picture")
      ->check(whole_number(32, 8192))
      ->capture_default_str();
  steel->add_option("--width", options->width, "Width of a picture, no less than its height")
      ->check(whole_number(32, 8192))
      ->capture_default_str();
  steel->add_option("--seed", options->seed, "The same seed makes the same pictures")
      ->check(seeds())
      ->capture_default_str();
  steel->callback([options] {
    check_unused(options->folder);
    synthesize_steel(options->folder, *options);
    std::cerr << "Wrote " << counted(options->count, "sheet") << " of steel to " << options->folder
              << "\n";
  });
}

}  // namespace

void add_synthesize(CLI::App& program) {
  CLI::App* command =
      program.add_subcommand("synthesize", "Make a data set of pictures with known answers");
  command->require_subcommand(1);
  add_tyres(*command);
  add_steel(*command);
}

}  // namespace fettle
