// A pool of threads without barriers. The caller publishes a job, works on it itself, and waits
// only for tasks that others have begun: when a core is busy with something else, the job is done
// by those that are there, and a step slows down in proportion.
//
// Each thread begins with a share of its own, the same part of every job, and then takes what is
// left of the others'. So what one kernel wrote lies in the caches of the thread whose share of the
// next one reads it.
#include "kernels/parallel.h"

#include <sched.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace fettle {
namespace {

std::atomic<int> chosen_threads{0};
thread_local const ThreadPool* scoped = nullptr;

int processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  return std::max(1, CPU_COUNT(&allowed));
}

int threads_for(int chosen) {
  static const int available = processors();
  return chosen > 0 ? chosen : available;
}

class Job {
 public:
  /// `threads` may work on it, the caller's among them; at most one for each task.
  Job(int64_t tasks, int threads, const TaskBody& body)
      : body_(body),
        shares_(static_cast<int>(std::min<int64_t>({tasks, threads, most_shares}))),
        helpers_(static_cast<int>(std::min<int64_t>(tasks, threads)) - 1) {
    for (int i = 0; i < shares_; ++i) {
      share_[i].next = tasks * i / shares_;
      share_[i].end = tasks * (i + 1) / shares_;
    }
  }

  int helpers() const { return helpers_; }  // that may still join

  /// A thread joins, and leaves after work(). The job lives until nobody is inside.
  void join() { --helpers_, inside.fetch_add(1); }
  bool leave() { return inside.fetch_sub(1) == 1; }
  std::atomic<int> inside{0};

  /// Thread 0 is the caller's.
  void work(int thread) noexcept {
    try {
      for (int i = 0; i < shares_; ++i) {
        Share& share = share_[(thread + i) % shares_];
        for (int64_t task; (task = share.take()) < share.end;) body_(task);
      }
    } catch (...) {
      for (int i = 0; i < shares_; ++i) share_[i].next = share_[i].end;
      if (!failed_.exchange(true)) exception_ = std::current_exception();
    }
  }

  /// Once nobody works on it: throws what a task has thrown.
  void rethrow() const {
    if (failed_) std::rethrow_exception(exception_);
  }

 private:
  static constexpr int most_shares = 64;
  struct alignas(64) Share {  // in a cache line of its own, which others touch at the end only
    std::atomic<int64_t> next;
    int64_t end;
    int64_t take() {
      return next.load(std::memory_order_relaxed) < end
                 ? next.fetch_add(1, std::memory_order_relaxed)
                 : end;
    }
  };

  const TaskBody& body_;
  const int shares_;
  int helpers_;
  std::atomic<bool> failed_{false};
  std::exception_ptr exception_ = nullptr;  // of the one that set `failed_`
  Share share_[most_shares];
};

}  // namespace

class ThreadPool::Workers {
 public:
  explicit Workers(const ThreadPool* owner) : owner_(owner) {}

  ~Workers() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    published_.fetch_add(1);
    published_.notify_all();
    for (std::thread& worker : threads_) worker.join();
  }

  /// Runs the job with up to `helpers` threads beside the caller's. A second job at the same time
  /// (from another thread, or from inside a task) is done by its caller alone.
  void run(Job& job) {
    const std::unique_lock only(one_job_, std::try_to_lock);
    if (!only.owns_lock()) return job.work(0);
    {
      const std::scoped_lock lock(mutex_);
      start(job.helpers());
      job_ = &job;
    }
    published_.fetch_add(1);
    published_.notify_all();
    job.work(0);
    {
      const std::scoped_lock lock(mutex_);
      job_ = nullptr;  // nobody joins any more
    }
    for (int inside; (inside = job.inside.load()) > 0;) wait(job.inside, inside);
    const std::scoped_lock lock(mutex_);  // the last helper has let go of the job
  }

 private:
  /// Has that many threads, or as many as the system gives: fewer are slower, not wrong.
  void start(int count) {
    try {
      while (std::ssize(threads_) < count)
        threads_.emplace_back([this, i = static_cast<int>(threads_.size()) + 1] { serve(i); });
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {
    }
  }

  void serve(int thread) {
    scoped = owner_;
    for (uint32_t seen = 0;;) {
      wait(published_, seen);
      seen = published_.load();
      Job* job = nullptr;
      {
        const std::scoped_lock lock(mutex_);
        if (stopping_) return;
        if (!job_ || job_->helpers() == 0) continue;
        job = job_;
        job->join();
      }
      job->work(thread);
      const std::scoped_lock lock(mutex_);  // the job lives until its caller sees inside == 0
      if (job->leave()) job->inside.notify_one();
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

  const ThreadPool* const owner_;
  std::mutex one_job_, mutex_;
  std::atomic<uint32_t> published_{0};
  bool stopping_ = false;  // under mutex_
  Job* job_ = nullptr;     // under mutex_
  std::vector<std::thread> threads_;
};

ThreadPool::ThreadPool(int count)
    : threads_(threads_for(count)), workers_(std::make_unique<Workers>(this)) {}

ThreadPool::~ThreadPool() = default;

ThreadScope::ThreadScope(const ThreadPool& pool) : outer_(std::exchange(scoped, &pool)) {}

ThreadScope::~ThreadScope() {
  scoped = outer_;
}

namespace {

// Never destroyed: its threads wait for jobs until the process ends.
const ThreadPool& pool_of_process() {
  static const ThreadPool* const pool = new ThreadPool(0);
  return *pool;
}

}  // namespace

void set_threads(int count) {
  chosen_threads = std::max(0, count);
}

int threads() {
  return scoped ? scoped->threads() : threads_for(chosen_threads);
}

void parallel_tasks(int64_t tasks, const TaskBody& body) {
  if (tasks <= 0) return;
  Job job(tasks, threads(), body);
  if (job.helpers() <= 0) {
    job.work(0);
  } else {
    (scoped ? *scoped : pool_of_process()).workers_->run(job);
  }
  job.rethrow();
}

}  // namespace fettle
