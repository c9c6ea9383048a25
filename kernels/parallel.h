// Threads for CPU kernels. Work is cut into chunks whose limits depend on the problem alone, never
// on the number of threads, so that every sum is formed in the same order on any machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace fettle {

/// Sets how many threads kernels use, from 1; 0 means one for each processor this process may use.
void set_threads(int count);

/// How many threads kernels use.
int threads();

/// Calls body(task) once for every task in [0, tasks), on several threads, in no fixed order.
/// `body` must not throw, and tasks must write to disjoint memory.
void parallel_tasks(int64_t tasks, const std::function<void(int64_t task)>& body);

/// Cuts [0, count) into chunks of `grain` (the last may be shorter) and calls body(begin, end) for
/// each as a task. `grain` must depend only on the problem.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
  const int64_t chunks = (count + grain - 1) / grain;
  if (chunks <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  parallel_tasks(chunks,
                 [&](int64_t chunk) { body(chunk * grain, std::min(count, (chunk + 1) * grain)); });
}

}  // namespace fettle
