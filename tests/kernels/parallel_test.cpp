#include "kernels/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <numeric>
#include <thread>
#include <vector>

namespace fettle {
namespace {

TEST(Parallel, AScopeHasThreadsOfItsOwn) {
  const int outside = threads();
  const ThreadPool three(3), one(1);
  {
    const ThreadScope scope(three);
    EXPECT_EQ(threads(), 3);
    {
      const ThreadScope inner(one);
      EXPECT_EQ(threads(), 1);
    }
    std::vector<int> seen(100);
    parallel_tasks(100, [&](int64_t task) { seen[static_cast<size_t>(task)] = threads(); });
    EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 300);  // helpers are of the pool, too
    EXPECT_EQ(threads(), 3);
  }
  EXPECT_EQ(threads(), outside);
}

TEST(Parallel, WhatATaskThrowsArrives) {
  const ThreadPool pool(4);
  const ThreadScope scope(pool);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> done{0};
    EXPECT_THROW(parallel_tasks(1000,
                                [&](int64_t task) {
                                  if (task % 7 == 3) throw std::bad_alloc();
                                  ++done;
                                }),
                 std::bad_alloc);
    EXPECT_LT(done, 1000);
    std::atomic<int> all{0};  // and the pool goes on
    parallel_tasks(100, [&](int64_t) { ++all; });
    EXPECT_EQ(all, 100);
  }
}

TEST(Parallel, ManyCallersShareAPool) {
  const ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      const ThreadScope scope(pool);
      for (int round = 0; round < 100; ++round)
        parallel_tasks(10, [&](int64_t task) { sum += task; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 100 * 45);
}

}  // namespace
}  // namespace fettle
