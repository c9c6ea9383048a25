// The commands of the program. Each adds itself to the command line and runs when it is chosen.
#pragma once

#include <CLI/CLI.hpp>

namespace fettle {

void add_train(CLI::App& program);
void add_evaluate(CLI::App& program);
void add_predict(CLI::App& program);
void add_inspect(CLI::App& program);
void add_report(CLI::App& program);
void add_export(CLI::App& program);
void add_summary(CLI::App& program);
void add_synthesize(CLI::App& program);
void add_devices(CLI::App& program);

}  // namespace fettle
