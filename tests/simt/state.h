// What the parts of the executor share: the thread that runs, and where it stands in the order of
// barriers.
#pragma once

#include <array>
#include <boost/context/fiber.hpp>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "tests/simt/executor.h"
#include "tests/simt/simt.h"

namespace simt {

enum class Access : uint8_t { none, read, write, atomic };

/// One request of one thread, for the counts.
struct Request {
  const void* pc;
  uintptr_t address;
  uint32_t size;
  bool shared, write;
};

/// A copy that cp_async has started.
struct Copy {
  void* to;
  const void* from;
  size_t bytes;
  bool valid;
  const void* pc;
};

enum class State { ready, at_barrier, at_warp, at_mbarrier, done };
enum class WarpWord {
  barrier,
  shuffle,
  ballot,
  ldmatrix,
  stmatrix,
  mma,
  wgmma,
  wgmma_commit,
  wgmma_wait
};

/// Registers of a wgmma under way: its sums, which nobody may touch, or a factor, which may be
/// read.
struct BusyRegisters {
  uintptr_t begin, end;
  bool are_sums;
  friend bool operator==(const BusyRegisters&, const BusyRegisters&) = default;
};

struct Thread {
  boost::context::fiber fiber, scheduler;
  uint3 index{};
  unsigned linear = 0, warp = 0, lane = 0;
  State state = State::ready;

  const void* pc = nullptr;  ///< of the call it waits at
  Vote vote = Vote::none;
  bool predicate = false;
  int vote_result = 0;
  WarpWord word{};
  unsigned mask = 0;
  void* operand = nullptr;  ///< of the warp word; its type belongs to the word

  uint32_t epoch = 0;                ///< barriers of the block passed
  std::array<uint32_t, 32> clock{};  ///< what it knows of the lanes of its warp
  std::vector<uint32_t> known;       ///< and, through mbarriers, of other threads; may be short
  const void* mbarrier = nullptr;    ///< that it waits at, for the end of a phase of
  int parity = 0;                    ///< this parity
  uint32_t proxy_fences = 0, mbarrier_fences = 0;
  bool wgmma_fenced = false;
  bool may_touch_memory = false;  ///< it has waited for the kernels before
  std::vector<BusyRegisters> busy;
  int64_t accesses = 0;    ///< since it last waited
  std::vector<Copy> open;  ///< copies of no group yet
  std::deque<std::vector<Copy>> groups;
  std::vector<Request> requests;
};

/// The thread that runs, or nullptr outside a kernel.
inline thread_local Thread* current = nullptr;

/// While the executor itself works: the linker may have given it functions of the standard library
/// that were compiled with hooks.
inline thread_local bool in_executor = false;
class InExecutor {
 public:
  InExecutor() : before_(std::exchange(in_executor, true)) {}
  ~InExecutor() { in_executor = before_; }
  InExecutor(const InExecutor&) = delete;
  InExecutor& operator=(const InExecutor&) = delete;

 private:
  bool before_;
};

/// Where the launch stands.
struct Launch {
  const char* kernel = "";
  dim3 grid, block;
  uint32_t serial = 0;  ///< of the launch
  uint32_t block_linear = 0;
  uint3 block_index{};
  bool aborted = false;
};
Launch& launch_now();

/// Records a finding once for each place, and names the kernel in it.
void report(Kind kind, const void* pc, const std::string& text);
/// Goes on with another thread; returns when this one's turn comes again.
void give_way();

void made_progress();
unsigned thread_count();
Thread& thread_at(unsigned linear);

/// The running thread waits at a word of its warp, and the last lane carries it out for all.
void meet_warp(WarpWord word, unsigned mask, void* operand, const void* pc);
void execute_warp_word(WarpWord word, const std::vector<Thread*>& lanes);

/// "file:line" of the kernel's source at a return address.
const std::string& place_of(const void* pc);
/// Looks all of them up at once, which is much quicker.
void look_up_places(const std::vector<const void*>& pcs);
/// Of the program's code, so that an address fits 32 bits.
uintptr_t program_base();

/// Opens the GPU's memory, which is closed to the host at other times.
class DeviceMemoryOpen {
 public:
  DeviceMemoryOpen();
  ~DeviceMemoryOpen();
  DeviceMemoryOpen(const DeviceMemoryOpen&) = delete;
  DeviceMemoryOpen& operator=(const DeviceMemoryOpen&) = delete;
};

/// Checks one access of the running thread, and moves no data.
void check_access(const void* address, size_t bytes, Access access, const void* pc);
/// Forgets the shared memory of the last block.
void begin_block_memory(size_t dynamic_bytes);
/// Ranges of the launching thread that kernels may read: its stack holds the arguments.
void begin_launch_memory(uintptr_t fiber_stacks, size_t fiber_stack_bytes);
/// While the asynchronous proxy reads and writes for the running thread.
inline thread_local bool by_async_proxy = false;
/// In the GPU's addresses of shared memory, and back.
uint32_t shared_offset(const void* p);
std::byte* shared_at(uint32_t offset);

/// What a thread knows of the others' accesses, and what it learns.
void add_knowledge(std::vector<uint32_t>& to, const Thread& of);
void learn(Thread& thread, const std::vector<uint32_t>& known);

/// Of mbarriers and bulk copies: forgets those of the last block; lets one copy land, false where
/// none is under way; tells of copies that outlive the block; what a thread at one waits for.
void begin_block_copies();
bool land_one_copy();
void end_block_copies();
std::string mbarrier_state(const void* barrier);
/// Of wgmma.
void begin_block_wgmma();
void end_block_wgmma();
void issue_wgmma(const std::vector<Thread*>& lanes);
void commit_wgmma(const std::vector<Thread*>& lanes);
void finish_wgmma(const std::vector<Thread*>& lanes);

/// Adds the requests of a block's threads to the counts.
void count_requests(std::vector<Thread>& threads, unsigned count);

}  // namespace simt
