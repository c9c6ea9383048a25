#include "kernels/parallel.h"

#include <omp.h>

#include <atomic>

namespace fettle {
namespace {
std::atomic<int> thread_count{0};
}  // namespace

void set_threads(int count) {
  thread_count = count > 0 ? count : 0;
}

int threads() {
  const int chosen = thread_count;
  return chosen > 0 ? chosen : omp_get_num_procs();
}

void parallel_tasks(int64_t tasks, const std::function<void(int64_t)>& body) {
  const int workers = static_cast<int>(std::min<int64_t>(tasks, threads()));
  if (workers <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers)
  for (int64_t task = 0; task < tasks; ++task) body(task);
}

}  // namespace fettle
