#include "kernels/parallel.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <new>
#include <numeric>
#include <thread>
#include <utility>
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

TEST(Parallel, EveryTaskIsDoneOnce) {
  for (const int count : {1, 2, 3, 5, 70}) {
    const ThreadPool pool(count);
    const ThreadScope scope(pool);
    for (const int64_t tasks : {0, 1, 2, 3, 7, 64, 71, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(tasks));
      for (int round = 0; round < 3; ++round)
        parallel_tasks(tasks, [&](int64_t task) { ++done[static_cast<size_t>(task)]; });
      for (const std::atomic<int>& times : done)
        EXPECT_EQ(times, 3) << tasks << " tasks, " << count << " threads";
    }
  }
}

TEST(Parallel, EachThreadBeginsWithItsOwnShare) {
  const ThreadPool pool(3);
  const ThreadScope scope(pool);
  std::array<std::thread::id, 3> owners = {std::this_thread::get_id()};
  for (int round = 0; round < 20; ++round) {
    // Nobody goes on before each thread has its first task.
    std::latch all(3);
    std::array<std::atomic<bool>, 12> first{};
    std::array<std::thread::id, 12> by{};
    parallel_tasks(12, [&](int64_t task) {
      thread_local int seen = -1;
      const auto i = static_cast<size_t>(task);
      by[i] = std::this_thread::get_id();
      if (std::exchange(seen, round) == round) return;
      first[i] = true;
      all.arrive_and_wait();
    });
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(first[i], i % 4 == 0) << i;
    for (size_t share = 0; share < 3; ++share) {
      if (share > 0 && round == 0) owners[share] = by[4 * share];
      EXPECT_EQ(by[4 * share], owners[share]) << "in round " << round;
    }
  }
}

TEST(Parallel, OneThreadDoesAllWhereTheOthersAreBusy) {
  const ThreadPool pool(3);
  const ThreadScope scope(pool);
  constexpr int64_t tasks = 30;
  std::atomic<int64_t> done{0};
  std::atomic<int> busy{0};
  parallel_tasks(tasks, [&](int64_t) {
    // Two threads stay in their first task until the third has done all others.
    if (busy.fetch_add(1) < 2)
      while (done < tasks - 2) std::this_thread::yield();
    ++done;
  });
  EXPECT_EQ(done, tasks);
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
