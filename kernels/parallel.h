// Threads for CPU kernels. Work is cut into chunks whose limits depend on the problem alone, never
// on the number of threads, so that every sum is formed in the same order on any machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "kernels/divide.h"

namespace fettle {

/// Sets how many threads kernels use, from 1; 0 means one for each processor this process may use.
void set_threads(int count);

/// How many threads kernels use here: those of the ThreadScope around the call, or of the process.
int threads();

/// What is done for each task: a function that lives elsewhere, so that nothing is allocated.
class TaskBody {
 public:
  template <class Body>
  explicit TaskBody(const Body& body)
      : body_(&body),
        call_([](const void* f, int64_t task) { (*static_cast<const Body*>(f))(task); }) {}
  void operator()(int64_t task) const { call_(body_, task); }

 private:
  const void* body_;
  void (*call_)(const void*, int64_t);
};

/// Threads of their own for whoever must not share those of the process. They start with the first
/// work and end with the object. Several callers at a time are served: one by all threads, the
/// others each by itself alone.
class ThreadPool {
 public:
  /// `count` as in set_threads().
  explicit ThreadPool(int count);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  int threads() const { return threads_; }

 private:
  friend class ThreadScope;
  friend void parallel_tasks(int64_t, const TaskBody&);
  class Workers;
  int threads_;
  std::unique_ptr<Workers> workers_;
};

/// While it lives, kernels that this thread runs use the pool.
class ThreadScope {
 public:
  explicit ThreadScope(const ThreadPool& pool);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  const ThreadPool* outer_;
};

/// Calls body(task) once for every task in [0, tasks), on several threads, in no fixed order. Each
/// thread begins with tasks that follow one another, the same part of all in every call: tasks that
/// go through memory from its begin to its end find there what the same thread wrote before. Tasks
/// must write to disjoint memory. What a task throws (std::bad_alloc) is thrown here, once; tasks
/// that have not begun by then are left out.
void parallel_tasks(int64_t tasks, const TaskBody& body);
template <class Body>
void parallel_tasks(int64_t tasks, const Body& body) {
  parallel_tasks(tasks, TaskBody(body));
}

/// Cuts [0, count) into chunks of `grain` (the last may be shorter) and calls body(begin, end) for
/// each as a task. `grain` must depend only on the problem.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  const int64_t chunks = ceil_div(count, grain);
  if (chunks <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  parallel_tasks(chunks,
                 [&](int64_t chunk) { body(chunk * grain, std::min(count, (chunk + 1) * grain)); });
}

}  // namespace fettle
