// fettle: finds defects in pictures. Exit codes: 0 done, 1 bad input, 2 wrong arguments.
#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>

#include "apps/commands.h"
#include "apps/options.h"
#include "engine/argument_error.h"

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the size limit is an Error that names it
  CLI::App program(
      "fettle trains a network on a folder of pictures and finds the defects in new ones.\n"
      "Start with:  fettle synthesize steel DATA\n"
      "             fettle train --model res_unet --data DATA --out RUN\n"
      "             fettle predict RUN PICTURE --out DIR",
      "fettle");
  program.set_version_flag("--version", "fettle " FETTLE_VERSION);
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  program.failure_message(fettle::sentence_of);
  fettle::add_train(program);
  fettle::add_evaluate(program);
  fettle::add_predict(program);
  fettle::add_inspect(program);
  fettle::add_report(program);
  fettle::add_export(program);
  fettle::add_summary(program);
  fettle::add_synthesize(program);
  fettle::add_devices(program);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? 0 : 2;
  } catch (const fettle::ArgumentError& error) {
    std::cerr << "fettle: " << error.what() << "\n";
    return 2;
  } catch (const std::filesystem::filesystem_error& error) {
    std::cerr << "fettle: '" << error.path1().string()
              << "' cannot be read: " << error.code().message()
              << "; give yourself the right to read it, or name another place\n";
    return 1;
  } catch (const fettle::Error& error) {
    std::cerr << "fettle: " << error.what() << "\n";
    return 1;
  } catch (const std::bad_alloc&) {
    std::cerr << "fettle: out of memory; take a smaller --batch-size or --image-size\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "fettle: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
