// Operations that move more than they compute, in bytes/s beside a measured triad. Every result is
// compared with the definition before it is timed.
//
//   bench_memory_bound --out memory_bound.json && python3 bench/ratios.py memory_bound.json
//
// With 16 pictures the arrays are larger than the caches.
#include "bench/memory_bound.h"

namespace {

using namespace fettle;

/// The arrays of an operation, and their addresses.
struct Arrays {
  explicit Arrays(const Operands& operands) {
    for (size_t i = 0; i < operands.size(); ++i) {
      values.push_back(operands[i].beginning(i + 1));
      addresses.push_back(values.back().data());
    }
  }
  std::vector<Floats> values;
  std::vector<float*> addresses;
};

class OnCpu {
 public:
  explicit OnCpu(Report& report) : report_(report) {}

  bool wants(const std::string& name, bool in_quick) const { return report_.wants(name, in_quick); }

  /// Ends the program unless run(Cpu{}) gives what run(Reference{}) gives.
  template <class Run, class Prepare = Nothing>
  void check(const std::string& name, const Operands& operands, const Run& run,
             const Prepare& prepare = {}) const {
    Arrays expected(operands), ours(operands);
    prepare(Cpu{}, ours.addresses.data());
    run(Reference{}, expected.addresses.data());
    run(Cpu{}, ours.addresses.data());
    // A sum within rounding of ReLU's bend falls on either side of it: a few of millions of
    // gradients are whole or zero.
    for (size_t i = 0; i < operands.size(); ++i)
      if (operands[i].is_written) require_equal(name, ours.values[i], expected.values[i], 1e-3);
  }

  template <class Run, class Prepare = Nothing>
  void time(const std::string& group, const std::string& name, int64_t floats_moved,
            const Operands& operands, const Run& run, const Prepare& prepare = {}) const {
    const Arrays arrays(operands);
    prepare(Cpu{}, arrays.addresses.data());
    const Contestant contestants[] = {{"fettle", [&] { run(Cpu{}, arrays.addresses.data()); }}};
    report_.add(group, name, 4.0 * static_cast<double>(floats_moved), contestants);
  }

  template <class Run, class Prepare = Nothing>
  void measure(const std::string& group, const std::string& name, int64_t floats_moved,
               const Operands& operands, const Run& run, const Prepare& prepare = {}) const {
    check(name, operands, run, prepare);
    time(group, name, floats_moved, operands, run, prepare);
  }

  auto integers(const std::vector<int32_t>& values) const {
    return [values](auto) { return values.data(); };
  }

 private:
  Report& report_;
};

}  // namespace

int main(int argc, char** argv) {
  const BenchOptions options = bench_options(
      "Times operations that are bound by memory beside a measured triad", argc, argv);
  Report report("bench_memory_bound", "bytes", options);
  OnCpu bench(report);
  report.for_threads([&](int) { memory_bound_operations(bench, 16); });
  return report.finish();
}
