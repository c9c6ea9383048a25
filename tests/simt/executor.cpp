#include "tests/simt/executor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/simt/state.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) static_cast<void>(0)
#endif

namespace simt {
namespace {

constexpr unsigned max_threads = 1024;
constexpr size_t stack_bytes = 128 * 1024;

struct NoDeallocation {
  void deallocate(boost::context::stack_context&) noexcept {}
};

/// AddressSanitizer wants to know when the stack changes.
struct StackSwitch {
#if defined(__SANITIZE_ADDRESS__)
  static inline const void* host_bottom = nullptr;
  static inline size_t host_size = 0;
  void* fake = nullptr;
  void leave(const void* bottom, size_t size) {
    __sanitizer_start_switch_fiber(&fake, bottom, size);
  }
  void leave_for_ever(const void* bottom, size_t size) {
    __sanitizer_start_switch_fiber(nullptr, bottom, size);
  }
  void arrive() {
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
  }
  static void arrive_first() {
    __sanitizer_finish_switch_fiber(nullptr, &host_bottom, &host_size);
  }
#else
  static constexpr const void* host_bottom = nullptr;
  static constexpr size_t host_size = 0;
  void leave(const void*, size_t) {}
  void leave_for_ever(const void*, size_t) {}
  void arrive() {}
  static void arrive_first() {}
#endif
};

class Executor {
 public:
  void run(const char* kernel, dim3 grid, dim3 block, size_t dynamic_bytes, Body body) {
    const std::scoped_lock lock(mutex_);
    body_ = &body;
    launch.kernel = kernel;
    launch.grid = grid;
    launch.block = block;
    launch.aborted = false;
    ++launch.serial;
    reported_.clear();
    if (check_launch(dynamic_bytes)) {
      const DeviceMemoryOpen open;
      if (!stacks_) map_stacks();
      begin_launch_memory(reinterpret_cast<uintptr_t>(stacks_), max_threads * stack_bytes);
      const uint32_t blocks = grid.x * grid.y * grid.z;
      random_.seed(options().seed);
      for (const uint32_t linear : in_order(blocks)) {
        launch.block_linear = linear;
        launch.block_index = {linear % grid.x, linear / grid.x % grid.y, linear / grid.x / grid.y};
        begin_block_memory(dynamic_bytes);
        run_block();
        if (options().count) count_requests(threads_, count_);
        if (launch.aborted) break;
      }
    }
    if (!findings.empty() && options().throw_findings) {
      std::string all;
      for (const Finding& finding : take_findings()) all += finding.text + "\n";
      throw std::runtime_error(all);
    }
  }

  /// The running thread lets others run.
  void give_way() {
    Thread& t = *current;
    t.accesses = 0;
    const bool inside = std::exchange(in_executor, false);
    StackSwitch stack;
    stack.leave(StackSwitch::host_bottom, StackSwitch::host_size);
    t.scheduler = std::move(t.scheduler).resume();
    stack.arrive();
    current = &t;
    in_executor = inside;
  }

  /// The running thread waits at a word of its warp; the last lane carries it out for all.
  void meet_warp(WarpWord word, unsigned mask, void* operand, const void* pc);

  void report(Kind kind, const void* pc, const std::string& text) {
    const std::string& place = place_of(pc);
    if (!reported_.insert({kind, place}).second || findings.size() >= 50) return;
    findings.push_back(
        {kind, std::string(launch.kernel) + " at " + place + ": " + name_of(kind) + ": " + text,
         place});
  }

  Launch launch;
  std::vector<Finding> findings;

 private:
  bool check_launch(size_t dynamic_bytes) {
    const dim3 g = launch.grid, b = launch.block;
    const uint64_t threads = uint64_t{b.x} * b.y * b.z;
    std::ostringstream why;
    if (threads == 0 || threads > max_threads || b.z > 64) {
      why << "a block of " << b.x << "x" << b.y << "x" << b.z
          << " threads; at most 1024 are possible";
    } else if (g.y > 65535 || g.z > 65535 || g.x > 0x7FFFFFFFu) {
      why << "a grid of " << g.x << "x" << g.y << "x" << g.z << " blocks; y and z end at 65535";
    } else if (dynamic_bytes > 227 * 1024) {
      why << dynamic_bytes << " bytes of shared memory; a block has at most 227 KiB";
    }
    if (!why.str().empty()) report(Kind::launch, nullptr, why.str());
    return why.str().empty() && g.x && g.y && g.z;
  }

  void map_stacks() {
    stacks_ =
        static_cast<std::byte*>(mmap(nullptr, max_threads * stack_bytes, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (stacks_ == MAP_FAILED) throw std::runtime_error("no memory for the stacks of threads");
  }

  std::vector<uint32_t> in_order(uint32_t n) {
    std::vector<uint32_t> order(n);
    for (uint32_t i = 0; i < n; ++i) order[i] = options().order == Order::backward ? n - 1 - i : i;
    if (options().order == Order::random) std::shuffle(order.begin(), order.end(), random_);
    return order;
  }

  void start(Thread& t, unsigned linear) {
    const dim3 b = launch.block;
    t.index = {linear % b.x, linear / b.x % b.y, linear / b.x / b.y};
    t.linear = linear;
    t.warp = linear / 32;
    t.lane = linear % 32;
    t.state = State::ready;
    t.epoch = 0;
    t.accesses = 0;
    t.clock.fill(0);
    t.clock[t.lane] = 1;
    t.known.clear();
    t.proxy_fences = t.mbarrier_fences = 0;
    t.wgmma_fenced = false;
    t.may_touch_memory = false;
    t.busy.clear();
    t.open.clear();
    t.groups.clear();
    t.requests.clear();
    boost::context::stack_context context;
    context.sp = stacks_ + (linear + 1) * stack_bytes;
    context.size = stack_bytes;
    t.fiber = boost::context::fiber(
        std::allocator_arg, boost::context::preallocated(context.sp, context.size, context),
        NoDeallocation{}, [this, &t](boost::context::fiber&& scheduler) {
          StackSwitch::arrive_first();
          t.scheduler = std::move(scheduler);
          body_->call(body_->object);
          std::erase_if(t.groups, [](const std::vector<Copy>& group) { return group.empty(); });
          if (!t.open.empty() || !t.groups.empty()) {
            const Copy& copy = t.groups.empty() ? t.open.front() : t.groups.front().front();
            simt::report(Kind::asynchronous, copy.pc,
                         "a thread returns while its asynchronous copy is under way");
          }
          t.state = State::done;
          progress_ = true;
          StackSwitch().leave_for_ever(StackSwitch::host_bottom, StackSwitch::host_size);
          return std::move(t.scheduler);
        });
  }

  void resume(Thread& t) {
    current = &t;
    StackSwitch stack;
    stack.leave(stacks_ + t.linear * stack_bytes, stack_bytes);
    t.fiber = std::move(t.fiber).resume();
    stack.arrive();
    current = nullptr;
  }

  void run_block() {
    count_ = launch.block.x * launch.block.y * launch.block.z;
    if (threads_.size() < count_) threads_ = std::vector<Thread>(max_threads);
    for (unsigned i = 0; i < count_; ++i) start(threads_[i], i);
    begin_block_copies();
    begin_block_wgmma();
    int idle_passes = 0;
    while (true) {
      bool any = false;
      progress_ = false;
      for (const uint32_t i : in_order(count_)) {
        if (threads_[i].state != State::ready) continue;
        any = true;
        resume(threads_[i]);
        if (launch.aborted) return abandon();
      }
      if (!any) {
        if (all(State::done)) {
          end_block_copies();
          end_block_wgmma();
          return;
        }
        if (!release_barrier() && !land_one_copy()) {
          report_stuck();
          return abandon();
        }
      } else if (progress_) {
        idle_passes = 0;
      } else if (++idle_passes > 100) {
        report_spinning();
        return abandon();
      }
    }
  }

  bool all(State state) const {
    return std::all_of(threads_.begin(), threads_.begin() + count_,
                       [&](const Thread& t) { return t.state == state; });
  }

  /// Lets everybody go on when all who live wait at a barrier.
  bool release_barrier() {
    Thread* first = nullptr;
    bool returned = false;
    int votes = 0, living = 0;
    for (unsigned i = 0; i < count_; ++i) {
      Thread& t = threads_[i];
      if (t.state == State::at_warp || t.state == State::at_mbarrier) return false;
      if (t.state == State::done) {
        returned = true;
        continue;
      }
      if (!first) first = &t;
      ++living;
      votes += t.predicate;
    }
    if (returned) {
      report(Kind::divergence, first->pc,
             "a barrier that some threads of the block never reach, since they have returned");
    }
    for (unsigned i = 0; i < count_; ++i) {
      Thread& t = threads_[i];
      if (t.state == State::done) continue;
      if (t.pc != first->pc && place_of(t.pc) != place_of(first->pc)) {
        report(Kind::divergence, t.pc,
               "thread " + std::to_string(t.linear) + " waits at this barrier while thread " +
                   std::to_string(first->linear) + " waits at that of " + place_of(first->pc));
      }
      t.vote_result = t.vote == Vote::any     ? votes > 0
                      : t.vote == Vote::all   ? votes == living
                      : t.vote == Vote::count ? votes
                                              : 0;
      ++t.epoch;
      t.state = State::ready;
    }
    return true;
  }

  void report_stuck() {
    // Where threads of each kind wait, one for each place.
    std::ostringstream text;
    const Thread* shown = nullptr;
    std::set<std::string> places;
    bool warp = false;
    for (unsigned i = 0; i < count_; ++i) {
      const Thread& t = threads_[i];
      warp = warp || t.state == State::at_warp;
      if (t.state == State::done || !places.insert(place_of(t.pc)).second) continue;
      if (!shown || (t.state != State::at_barrier && shown->state == State::at_barrier)) shown = &t;
      text << "; thread " << t.linear << " waits at the "
           << (t.state == State::at_warp       ? "warp word of "
               : t.state == State::at_mbarrier ? "mbarrier of "
                                               : "barrier of ")
           << place_of(t.pc);
      if (t.state == State::at_mbarrier) {
        text << " for parity " << t.parity << ": " << mbarrier_state(t.mbarrier);
      }
      if (t.state == State::at_warp) text << " with the mask 0x" << std::hex << t.mask << std::dec;
    }
    if (std::any_of(threads_.begin(), threads_.begin() + count_,
                    [](const Thread& t) { return t.state == State::done; })) {
      text << "; others have returned";
    }
    report(warp ? Kind::divergence : Kind::deadlock, shown->pc,
           (shown->state == State::at_mbarrier
                ? "nobody can go on"
                : "not every lane of the mask, or thread of the block, comes here") +
               text.str());
  }

  void report_spinning() {
    for (unsigned i = 0; i < count_; ++i) {
      if (threads_[i].state != State::ready) continue;
      report(Kind::deadlock, threads_[i].pc,
             "thread " + std::to_string(i) + " goes round for ever, waiting for another");
      return;
    }
  }

  /// The fibers are left where they stand: unwinding a kernel would run it on.
  void abandon() {
    launch.aborted = true;
    for (unsigned i = 0; i < count_; ++i) {
      new (&threads_[i].fiber) boost::context::fiber();
      new (&threads_[i].scheduler) boost::context::fiber();
    }
    ASAN_UNPOISON_MEMORY_REGION(stacks_, max_threads * stack_bytes);  // their frames never end
  }

  std::mutex mutex_;
  const Body* body_ = nullptr;
  std::vector<Thread> threads_;
  unsigned count_ = 0;
  std::byte* stacks_ = nullptr;
  bool progress_ = false;
  std::mt19937 random_;
  std::set<std::pair<Kind, std::string>> reported_;

 public:
  void made_progress() { progress_ = true; }
  unsigned count() const { return count_; }
  Thread* thread(unsigned linear) { return linear < count_ ? &threads_[linear] : nullptr; }
};

Executor& executor() {
  static Executor* const instance = new Executor;
  return *instance;
}

void Executor::meet_warp(WarpWord word, unsigned mask, void* operand, const void* pc) {
  Thread& t = *current;
  t.pc = pc;
  if (!(mask >> t.lane & 1)) {
    report(Kind::divergence, pc,
           "lane " + std::to_string(t.lane) + " calls a warp word whose mask leaves it out");
    return;
  }
  t.word = word;
  t.mask = mask;
  t.operand = operand;
  t.state = State::at_warp;
  std::vector<Thread*> lanes;
  for (unsigned lane = 0; lane < 32; ++lane) {
    Thread* other = mask >> lane & 1 ? thread(t.warp * 32 + lane) : nullptr;
    if (!other) continue;
    if (other->state == State::done) {
      report(Kind::divergence, pc,
             "the mask names lane " + std::to_string(lane) + ", which has returned");
      continue;
    }
    if (other->state != State::at_warp || other->word != word || other->mask != mask) {
      give_way();
      return;
    }
    lanes.push_back(other);
  }
  for (Thread* other : lanes) {
    if (other->pc != pc && place_of(other->pc) != place_of(pc)) {
      report(Kind::divergence, pc,
             "lane " + std::to_string(t.lane) + " meets lane " + std::to_string(other->lane) +
                 " at another warp word, that of " + place_of(other->pc));
    }
  }
  execute_warp_word(word, lanes);
  progress_ = true;
  for (Thread* other : lanes) other->state = State::ready;
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::bounds:
      return "bounds";
    case Kind::alignment:
      return "alignment";
    case Kind::uninitialised:
      return "uninitialised";
    case Kind::race:
      return "race";
    case Kind::divergence:
      return "divergence";
    case Kind::deadlock:
      return "deadlock";
    case Kind::asynchronous:
      return "asynchronous";
    case Kind::proxy:
      return "proxy";
    case Kind::launch:
      return "launch";
    case Kind::early:
      return "early";
  }
  return "";
}

Options& options() {
  static Options instance;
  return instance;
}

std::vector<Finding> take_findings() {
  return std::exchange(executor().findings, {});
}

Launch& launch_now() {
  return executor().launch;
}
void report(Kind kind, const void* pc, const std::string& text) {
  const InExecutor inside;
  executor().report(kind, pc, text);
}
void give_way() {
  executor().give_way();
}
void made_progress() {
  executor().made_progress();
}
unsigned thread_count() {
  return executor().count();
}
Thread& thread_at(unsigned linear) {
  return *executor().thread(linear);
}
void meet_warp(WarpWord word, unsigned mask, void* operand, const void* pc) {
  executor().meet_warp(word, mask, operand, pc);
}

void run(const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes, Body body) {
  if (!options().compute) return;
  executor().run(name, grid, block, dynamic_shared_bytes, body);
}

uint3 thread_index() {
  return current->index;
}
uint3 block_index() {
  return launch_now().block_index;
}
dim3 block_extent() {
  return launch_now().block;
}
dim3 grid_extent() {
  return launch_now().grid;
}

int barrier(Vote vote, bool predicate) {
  Thread& t = *current;
  t.pc = __builtin_return_address(0);
  t.vote = vote;
  t.predicate = predicate;
  t.state = State::at_barrier;
  made_progress();
  give_way();
  return t.vote_result;
}

}  // namespace simt
