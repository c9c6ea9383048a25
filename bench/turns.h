// Contestants that compute the same thing, timed by turns, and the report that every benchmark of
// the CPU writes for bench/ratios.py.
#pragma once

#include <cstdlib>
#include <functional>
#include <new>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "kernels/host_memory.h"

namespace fettle {

/// One way to compute something.
struct Contestant {
  std::string name;
  std::function<void()> run;
};

/// What the programs of bench/ are told alike.
struct BenchOptions {
  std::string filter, out;
  std::vector<int> threads = {1, 0};  ///< 0: all processors
  int rounds = 5;
  double milliseconds = 20;  ///< that a contestant is timed in a round, at least one call
  bool quick = false;        ///< one round, and only the cases that the program picks for it
};

/// Reads the command line; ends the program when it is wrong. `about` is for --help.
BenchOptions bench_options(const std::string& about, int argc, char** argv);

class Report {
 public:
  /// `unit` is FLOP or bytes, what the cases count. Ends the program when the file of --out cannot
  /// be written: better now than after an hour.
  Report(const std::string& program, const std::string& unit, const BenchOptions& options);

  /// Measures the machine's limits and runs `body`, once with each number of threads.
  void for_threads(const std::function<void(int threads)>& body);

  /// Whether the case is asked for.
  bool wants(const std::string& name, bool in_quick) const;

  /// Times the contestants by turns: in each round each of them first runs untimed for
  /// `lead_milliseconds`, so that its data is where it wants it and the others' idle threads have
  /// gone to sleep, then timed. Prints a line and keeps the case. `work` is FLOP or bytes a call.
  void add(const std::string& group, const std::string& name, double work,
           std::span<const Contestant> contestants, double lead_milliseconds = 20);

  /// Writes the file of --out, if there is one. Returns the program's exit code.
  int finish() const;

 private:
  std::string program_;
  BenchOptions options_;
  int threads_ = 1;
  nlohmann::ordered_json json_;
};

/// ||a - b|| / ||b||.
double relative_error(std::span<const float> a, std::span<const float> b);

/// Ends the program when the error is not below the limit: wrong results are not worth timing.
void require_equal(const std::string& name, std::span<const float> result,
                   std::span<const float> expected, double limit);

/// Memory as tensors have it: 64-byte aligned, and on huge pages if large.
template <class T>
struct HostAllocator {
  using value_type = T;
  T* allocate(size_t count) {
    void* p = host_memory(count * sizeof(T));
    if (!p) throw std::bad_alloc();
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t) { std::free(p); }
  bool operator==(const HostAllocator&) const = default;
};
using Floats = std::vector<float, HostAllocator<float>>;

/// `count` numbers in [low, high), always the same for a seed.
Floats random_values(int64_t count, float low = -1, float high = 1, uint64_t seed = 1);

/// The time in UTC, "2026-11-26T01:38:03Z".
std::string now();

/// Writes a report; the file is there whole or not at all. Says so and returns false when it cannot
/// be written.
bool write_report(const std::string& program, const std::string& path,
                  const nlohmann::ordered_json& report);

}  // namespace fettle
