// fettle's engine for prediction, as the embedded library has it, as a contestant of
// bench/peers.py:
//
//   bench_inference MODEL.fettle PICTURES BATCH HEIGHT WIDTH THREADS OUTPUT
//
// PICTURES holds BATCH pictures [H,W,C] of fp32. It predicts them once, writes the logits to OUTPUT
// and says "ready"; then it answers each number of seconds on stdin with a line: the mean time of a
// batch, as often predicted as fits into them. It ends with stdin.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <span>
#include <string>

#include "apps/embedded/load.h"
#include "engine/inference/plan.h"
#include "io/read_file.h"
#include "kernels/parallel.h"

namespace {

using namespace fettle;
using Clock = std::chrono::steady_clock;

/// A network ready for batches of one size.
class Batch {
 public:
  Batch(const inference::Network& network, int64_t pictures, int64_t height, int64_t width)
      : session_(std::make_shared<inference::PlannedNetwork>(
            network, plan(network, height, width, {.threads = threads(), .pictures = pictures}))),
        floats_(pictures * height * width * network.channels) {}

  int64_t floats() const { return floats_; }

  std::span<const float> predict(const float* x) {
    std::copy_n(x, floats_, session_.input());
    const float* y = session_.run();
    return {y, static_cast<size_t>(session_.plan().output().size())};
  }

 private:
  inference::Session session_;
  int64_t floats_;
};

void serve(char** arguments) {
  set_threads(std::atoi(arguments[5]));
  const SingleFile model = load_file(arguments[0]);
  const std::vector<uint8_t> pixels = read_file(arguments[1]);
  Batch batch(model.network, std::atoll(arguments[2]), std::atoll(arguments[3]),
              std::atoll(arguments[4]));
  require(std::ssize(pixels) == 4 * batch.floats(), "'", arguments[1], "' has ", pixels.size(),
          " bytes, not those of the batch");
  const auto* x = reinterpret_cast<const float*>(pixels.data());
  const std::span<const float> y = batch.predict(x);
  std::cout << "ready" << std::endl;
  std::FILE* file = std::fopen(arguments[6], "wb");
  require(file && std::fwrite(y.data(), 4, y.size(), file) == y.size() && !std::fclose(file), "'",
          arguments[6], "' cannot be written");
  for (double seconds; std::cin >> seconds;) {
    batch.predict(x);  // untimed: threads wake up, memory comes back
    const auto begin = Clock::now();
    int64_t batches = 0;
    double elapsed = 0;
    for (; elapsed < seconds || batches == 0; ++batches) {
      batch.predict(x);
      elapsed = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    std::cout << elapsed / static_cast<double>(batches) << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    std::fprintf(
        stderr, "usage: bench_inference MODEL.fettle PICTURES BATCH HEIGHT WIDTH THREADS OUTPUT\n");
    return 2;
  }
  try {
    serve(argv + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_inference: %s\n", error.what());
    return 1;
  }
}
