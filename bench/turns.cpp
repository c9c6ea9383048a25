#include "bench/turns.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <regex>
#include <thread>

#include "bench/roof.h"
#include "kernels/parallel.h"
#include "kernels/philox.h"

namespace fettle {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Calls until the time is over, at least once; seconds a call.
double time_calls(const std::function<void()>& run, double seconds) {
  const auto begin = Clock::now();
  int64_t calls = 0;
  double elapsed = 0;
  do {
    run();
    ++calls;
    elapsed = seconds_since(begin);
  } while (elapsed < seconds);
  return elapsed / static_cast<double>(calls);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string load_average() {
  std::string text;
  std::getline(std::ifstream("/proc/loadavg"), text);
  return text;
}

}  // namespace

std::string now() {
  char text[32];
  const std::time_t time = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&time));
  return text;
}

BenchOptions bench_options(const std::string& about, int argc, char** argv) {
  BenchOptions o;
  CLI::App program(about);
  program.add_option("--filter", o.filter, "Only cases in whose name this regular expression is");
  program.add_option("--out", o.out, "JSON file to write");
  program.add_option("--threads", o.threads, "Numbers of threads; 0: one a processor")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  program.add_option("--rounds", o.rounds, "Turns of each contestant")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--milliseconds", o.milliseconds, "Time of a turn, at least one call")
      ->check(CLI::Range(0.0, 60'000.0))
      ->capture_default_str();
  program.add_flag("--quick", o.quick, "One round of a few cases");
  try {
    program.parse(argc, argv);
    std::regex{o.filter};
  } catch (const CLI::ParseError& error) {
    std::exit(program.exit(error) == 0 ? 0 : 2);
  } catch (const std::regex_error& error) {
    std::fprintf(stderr, "--filter is not a regular expression: %s\n", error.what());
    std::exit(2);
  }
  if (o.quick) o.rounds = 1;
  const int processors = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  std::replace(o.threads.begin(), o.threads.end(), 0, processors);
  std::sort(o.threads.begin(), o.threads.end());
  o.threads.erase(std::unique(o.threads.begin(), o.threads.end()), o.threads.end());
  return o;
}

Report::Report(const std::string& program, const std::string& unit, const BenchOptions& options)
    : program_(program), options_(options) {
  json_ = {{"program", program}, {"unit", unit},           {"date", now()},
           {"cpu", processor()}, {"load", load_average()}, {"rounds", options.rounds}};
  json_["limits"] = json_["cases"] = nlohmann::ordered_json::array();
  if (finish() != 0) std::exit(1);
}

void Report::for_threads(const std::function<void(int threads)>& body) {
  for (const int threads : options_.threads) {
    set_threads(threads);
    threads_ = threads;
    const double peak = measured_fma_peak(), triad = measured_triad();
    std::fprintf(stderr, "%s, %d threads: FMA peak %.1f GFLOP/s, triad %.1f GB/s\n",
                 program_.c_str(), threads, peak / 1e9, triad / 1e9);
    json_["limits"].push_back({{"threads", threads}, {"FLOP/s", peak}, {"bytes/s", triad}});
    body(threads);
  }
}

bool Report::wants(const std::string& name, bool in_quick) const {
  if (options_.quick && !in_quick) return false;
  return std::regex_search(name, std::regex(options_.filter));
}

void Report::add(const std::string& group, const std::string& name, double work,
                 std::span<const Contestant> contestants, double lead_milliseconds) {
  std::vector<std::vector<double>> seconds(contestants.size());
  for (int round = 0; round < options_.rounds; ++round) {
    for (size_t i = 0; i < contestants.size(); ++i) {
      // Whoever comes first in one round comes last in the next.
      const size_t who = round % 2 == 0 ? i : contestants.size() - 1 - i;
      time_calls(contestants[who].run, lead_milliseconds / 1e3);
      seconds[who].push_back(time_calls(contestants[who].run, options_.milliseconds / 1e3));
    }
  }
  nlohmann::ordered_json row = {
      {"group", group}, {"case", name}, {"threads", threads_}, {"work", work}};
  std::fprintf(stderr, "%-58s", name.c_str());
  for (size_t i = 0; i < contestants.size(); ++i) {
    row["seconds"][contestants[i].name] = seconds[i];
    std::fprintf(stderr, "  %s %.1f", contestants[i].name.c_str(), work / median(seconds[i]) / 1e9);
  }
  std::fprintf(stderr, "\n");
  json_["cases"].push_back(row);
}

int Report::finish() const {
  return options_.out.empty() || write_report(program_, options_.out, json_) ? 0 : 1;
}

bool write_report(const std::string& program, const std::string& path,
                  const nlohmann::ordered_json& report) {
  const std::string part = path + ".part";
  if (std::ofstream(part) << report.dump(1) << "\n" && !std::rename(part.c_str(), path.c_str()))
    return true;
  std::fprintf(stderr, "%s: '%s' cannot be written\n", program.c_str(), path.c_str());
  return false;
}

double relative_error(std::span<const float> a, std::span<const float> b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

void require_equal(const std::string& name, std::span<const float> result,
                   std::span<const float> expected, double limit) {
  const double error = relative_error(result, expected);
  if (error < limit) return;
  std::fprintf(stderr, "%s: the results differ by %g, so there is nothing to time\n", name.c_str(),
               error);
  std::exit(1);
}

Floats random_values(int64_t count, float low, float high, uint64_t seed) {
  Floats values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); i += 4) {
    const Philox4 words = philox4x32({.seed = seed}, i / 4);
    for (size_t j = i; j < std::min(i + 4, values.size()); ++j)
      values[j] = low + (high - low) * unit_float(words.v[j - i]);
  }
  return values;
}

}  // namespace fettle
