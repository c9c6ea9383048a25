// The executor must catch each planted mistake, at its line and in every order of the threads, and
// nothing in kernels that are right.
#include "tests/simt/executor.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "tests/simt/broken_kernels.h"

namespace fettle {
namespace {

using simt::Kind;

/// "file:line" of each marked line.
std::map<std::string, std::string> marked_lines() {
  std::map<std::string, std::string> lines;
  for (const std::string file : {"broken_kernels.cu", "broken_hopper_kernels.cu"}) {
    std::ifstream source(FETTLE_BROKEN_KERNELS "/" + file);
    int number = 0;
    for (std::string line; std::getline(source, line);) {
      ++number;
      if (const size_t at = line.find("// <- "); at != std::string::npos) {
        lines[line.substr(at + 6)] = file + ":" + std::to_string(number);
      }
    }
  }
  return lines;
}

std::vector<KernelCase> joined(std::vector<KernelCase> cases, std::vector<KernelCase> more) {
  cases.insert(cases.end(), more.begin(), more.end());
  return cases;
}

std::vector<simt::Finding> findings_of(const KernelCase& c, simt::Order order) {
  simt::options().order = order;
  simt::options().throw_findings = false;
  c.launch();
  simt::options() = {};
  return simt::take_findings();
}

constexpr simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};

/// Only the build with hooks sees plain loads and stores; AddressSanitizer watches the other.
bool can_be_seen(Kind kind) {
  return simt::sees_accesses || kind == Kind::divergence || kind == Kind::deadlock ||
         kind == Kind::launch;
}

TEST(Executor, CatchesEveryPlantedMistakeAtItsLine) {
  const std::map<std::string, std::string> lines = marked_lines();
  const std::vector<KernelCase> cases = joined(broken_hopper_kernels(), broken_kernels());
  EXPECT_GE(cases.size(), 55u);
  for (const KernelCase& c : cases) {
    if (!can_be_seen(c.kind)) continue;
    for (const simt::Order order : orders) {
      const auto findings = findings_of(c, order);
      std::string all;
      bool found = false;
      for (const simt::Finding& finding : findings) {
        all += finding.text + "\n";
        if (finding.kind != c.kind) continue;
        const auto line = lines.find(c.name);
        const std::string place = line == lines.end() ? "" : line->second;
        // Of a race, either access may come second.
        found = found || (finding.text + " ").find(place) != std::string::npos;
      }
      EXPECT_TRUE(found) << c.name << " in order " << static_cast<int>(order) << ": no "
                         << name_of(c.kind) << " at its line, but:\n"
                         << all;
    }
  }
}

TEST(Executor, ReportsNothingInRightKernels) {
  for (const KernelCase& c : joined(right_kernels(), right_hopper_kernels())) {
    for (const simt::Order order : orders) {
      for (const simt::Finding& finding : findings_of(c, order)) {
        ADD_FAILURE() << c.name << ": " << finding.text;
      }
    }
  }
}

/// What the read of such a kernel takes: sectors of global memory or passes over the banks.
int64_t counted(bool shared, const std::function<void()>& kernel) {
  simt::options().count = true;
  kernel();
  simt::options() = {};
  int64_t count = 0;
  for (const simt::LineCounts& line : simt::take_counts()) {
    if (line.shared == shared && !line.write) count += shared ? line.wavefronts : line.sectors;
  }
  return count;
}

TEST(Executor, CountsSectorsAndBankConflicts) {
  if (!simt::sees_accesses) GTEST_SKIP() << "AddressSanitizer watches the accesses of this build";
  EXPECT_EQ(counted(false, [] { read_global_with_stride(1); }), 4);
  EXPECT_EQ(counted(false, [] { read_global_with_stride(2); }), 8);
  EXPECT_EQ(counted(false, [] { read_global_with_stride(8); }), 32);
  EXPECT_EQ(counted(false, [] { read_global_with_stride(0); }), 1);
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(1, 1); }), 1);
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(0, 1); }), 1);  // one word for all
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(2, 1); }), 2);
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(32, 1); }), 32);
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(33, 1); }), 1);
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(4, 4); }), 4);  // 512 bytes
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(32, 4); }), 32);
  EXPECT_EQ(counted(true, [] { read_shared_with_stride(20, 4); }), 4);
}

TEST(Executor, ThrowsTheFindingsOfALaunch) {
  const std::vector<KernelCase> cases = broken_kernels();
  try {
    cases.back().launch();
    FAIL() << "nothing was thrown";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("too_much_shared_memory"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace fettle
