// A pool of threads without barriers. The caller publishes a job, works on it itself, and waits
// only for tasks that others have begun: when a core is busy with something else, the job is done
// by those that are there, and a step slows down in proportion.
#include "kernels/parallel.h"

#include <sched.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace fettle {
namespace {

std::atomic<int> chosen_threads{0};

int processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return std::max(1, CPU_COUNT(&allowed));
}

struct Job {
  const std::function<void(int64_t)>& body;
  const int64_t tasks;
  int helpers;  // that may still join
  std::atomic<int64_t> next{0};
  std::atomic<int> inside{0};  // helpers that are working

  void work() {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) body(task);
  }
};

class Pool {
 public:
  /// Runs the job with up to `helpers` threads beside the caller's. A second job at the same time
  /// (from another thread, or from inside a task) is done by its caller alone.
  void run(Job& job) {
    const std::unique_lock only(one_job_, std::try_to_lock);
    if (!only.owns_lock()) return job.work();
    {
      const std::scoped_lock lock(mutex_);
      while (static_cast<int>(workers_.size()) < job.helpers) {
        workers_.emplace_back([this] { serve(); });
      }
      job_ = &job;
    }
    published_.fetch_add(1);
    published_.notify_all();
    job.work();
    {
      const std::scoped_lock lock(mutex_);
      job_ = nullptr;  // nobody joins any more
    }
    for (int inside; (inside = job.inside.load()) > 0;) wait(job.inside, inside);
    const std::scoped_lock lock(mutex_);  // the last helper has let go of the job
  }

 private:
  void serve() {
    for (uint32_t seen = 0;;) {
      wait(published_, seen);
      seen = published_.load();
      Job* job = nullptr;
      {
        const std::scoped_lock lock(mutex_);
        if (!job_ || job_->helpers == 0) continue;
        job = job_;
        --job->helpers;
        job->inside.fetch_add(1);
      }
      job->work();
      const std::scoped_lock lock(mutex_);  // the job lives until its caller sees inside == 0
      if (job->inside.fetch_sub(1) == 1) job->inside.notify_one();
    }
  }

  /// Waits until the value differs: spins a moment, since the next job of a step comes soon.
  template <class T>
  static void wait(std::atomic<T>& value, T old) {
    for (int spin = 0; spin < 2000; ++spin) {
      if (value.load() != old) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    value.wait(old);
  }

  std::mutex one_job_, mutex_;
  std::atomic<uint32_t> published_{0};
  Job* job_ = nullptr;  // under mutex_
  std::vector<std::thread> workers_;
};

// Never destroyed: its threads wait for jobs until the process ends.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

void set_threads(int count) {
  chosen_threads = std::max(0, count);
}

int threads() {
  static const int available = processors();
  const int chosen = chosen_threads;
  return chosen > 0 ? chosen : available;
}

void parallel_tasks(int64_t tasks, const std::function<void(int64_t)>& body) {
  Job job{body, tasks, static_cast<int>(std::min<int64_t>(tasks, threads())) - 1};
  if (job.helpers <= 0) return job.work();
  pool().run(job);
}

}  // namespace fettle
