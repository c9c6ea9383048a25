// Mbarriers and bulk copies of tensor boxes. A copy poisons its place when it is started and lands
// when no thread can go on without it: whoever reads too early reads what nothing has written.
#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <sstream>

#include "tests/simt/state.h"
#include "tests/simt/tensor_map.h"

namespace simt {
namespace {

struct Barrier {
  int arrivals = 0, pending = 0;
  int64_t bytes = 0;                       ///< that must land before the phase ends
  unsigned phase = 0;                      ///< phases that have ended
  std::vector<uint32_t> arriving, passed;  ///< knowledge of this phase and of the last
  unsigned maker = 0, proxy_fences = 0, mbarrier_fences = 0;
};

struct BulkCopy {
  std::vector<Chunk> chunks;
  const void* barrier;
  unsigned phase;
  bool tf32, late;  ///< late: its phase has ended without it
  const void* pc;
  unsigned thread;
  uint32_t clock;
};

struct Copies {
  std::map<const void*, Barrier> barriers;
  std::vector<BulkCopy> under_way;
  std::mt19937 random;
};
Copies& copies() {
  static Copies* const instance = new Copies;
  return *instance;
}

/// Accesses of this scope go through the asynchronous proxy.
class AsyncProxy {
 public:
  AsyncProxy() { by_async_proxy = true; }
  ~AsyncProxy() { by_async_proxy = false; }
  AsyncProxy(const AsyncProxy&) = delete;
  AsyncProxy& operator=(const AsyncProxy&) = delete;
};

[[noreturn]] void stop_launch() {
  launch_now().aborted = true;
  while (true) give_way();
}

/// The barrier there, for the running thread.
Barrier& barrier_at(const void* address, const void* pc) {
  check_access(address, 8, Access::atomic, pc);
  const auto found = copies().barriers.find(address);
  if (found != copies().barriers.end()) return found->second;
  report(Kind::uninitialised, pc, "an mbarrier that mbarrier_init has not made");
  stop_launch();
}

bool passed(const Barrier& barrier, int parity) {
  return static_cast<int>(barrier.phase & 1) != parity;
}

/// Ends the phase if nothing is missing, and wakes who waits for it.
void try_to_end_phase(const void* address, Barrier& barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  for (BulkCopy& copy : copies().under_way) {
    if (copy.barrier != address || copy.phase != barrier.phase || copy.late) continue;
    copy.late = true;
    report(Kind::asynchronous, copy.pc,
           "the phase of the mbarrier ends while this copy is under way: fewer bytes are expected "
           "than are copied");
  }
  ++barrier.phase;
  barrier.pending = barrier.arrivals;
  barrier.passed = std::exchange(barrier.arriving, {});
  for (unsigned i = 0; i < thread_count(); ++i) {
    Thread& t = thread_at(i);
    if (t.state != State::at_mbarrier || t.mbarrier != address || !passed(barrier, t.parity))
      continue;
    learn(t, barrier.passed);
    t.state = State::ready;
  }
}

void round_to_tf32(std::byte* chunk) {
  for (int i = 0; i < 4; ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, chunk + i * 4, 4);
    if ((bits & 0x7F800000u) != 0x7F800000u) bits = (bits + 0x1000u) & ~0x1FFFu;
    std::memcpy(chunk + i * 4, &bits, 4);
  }
}

}  // namespace

void add_knowledge(std::vector<uint32_t>& to, const Thread& of) {
  to.resize(std::max({to.size(), of.known.size(), size_t{of.warp} * 32 + 32}));
  for (size_t i = 0; i < of.known.size(); ++i) to[i] = std::max(to[i], of.known[i]);
  for (size_t i = 0; i < 32; ++i) {
    uint32_t& clock = to[size_t{of.warp} * 32 + i];
    clock = std::max(clock, of.clock[i]);
  }
}

void learn(Thread& thread, const std::vector<uint32_t>& known) {
  thread.known.resize(std::max(thread.known.size(), known.size()));
  for (size_t i = 0; i < known.size(); ++i) {
    uint32_t& clock = i / 32 == thread.warp ? thread.clock[i % 32] : thread.known[i];
    clock = std::max(clock, known[i]);
  }
}

void begin_block_copies() {
  copies().barriers.clear();
  copies().under_way.clear();
  copies().random.seed(options().seed + launch_now().block_linear);
  by_async_proxy = false;
}

bool land_one_copy() {
  std::vector<BulkCopy>& all = copies().under_way;
  if (all.empty()) return false;
  const size_t last = all.size() - 1;
  const size_t which = options().order == Order::forward    ? 0
                       : options().order == Order::backward ? last
                                                            : copies().random() % all.size();
  const BulkCopy copy = std::move(all[which]);
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(which));
  for (const Chunk& chunk : copy.chunks) {
    std::memset(chunk.to, 0, 16);
    if (chunk.bytes) std::memcpy(chunk.to + chunk.skip, chunk.from, chunk.bytes);
    if (copy.tf32) round_to_tf32(chunk.to);
    mark_memory(chunk.to, 16, true);
  }
  Barrier& barrier = copies().barriers[copy.barrier];
  barrier.arriving.resize(std::max<size_t>(barrier.arriving.size(), copy.thread + 1));
  barrier.arriving[copy.thread] = std::max(barrier.arriving[copy.thread], copy.clock);
  if (!copy.late) barrier.bytes -= static_cast<int64_t>(copy.chunks.size()) * 16;
  try_to_end_phase(copy.barrier, barrier);
  return true;
}

void end_block_copies() {
  for (const BulkCopy& copy : copies().under_way) {
    report(Kind::asynchronous, copy.pc, "the block ends while its bulk copy is under way");
  }
}

std::string mbarrier_state(const void* address) {
  const Barrier& barrier = copies().barriers[address];
  std::ostringstream text;
  text << "its phase of parity " << (barrier.phase & 1) << " lacks " << barrier.pending
       << " arrivals and " << barrier.bytes << " bytes";
  return text.str();
}

void mbarrier_init(void* barrier, int arrivals) {
  check_access(barrier, 8, Access::write, __builtin_return_address(0));
  copies().barriers[barrier] = {.arrivals = arrivals,
                                .pending = arrivals,
                                .arriving = {},
                                .passed = {},
                                .maker = current->linear,
                                .proxy_fences = current->proxy_fences,
                                .mbarrier_fences = current->mbarrier_fences};
}

void fence_mbarrier_init() {
  ++current->mbarrier_fences;
}

void fence_proxy_async() {
  ++current->proxy_fences;
}

void mbarrier_arrive(void* address, int bytes) {
  const void* pc = __builtin_return_address(0);
  Barrier& barrier = barrier_at(address, pc);
  barrier.bytes += bytes;
  if (barrier.pending == 0) {
    report(Kind::asynchronous, pc, "more arrivals in a phase than the mbarrier was made for");
    stop_launch();
  }
  --barrier.pending;
  add_knowledge(barrier.arriving, *current);
  ++current->clock[current->lane];
  made_progress();
  try_to_end_phase(address, barrier);
}

void mbarrier_wait(void* address, int parity) {
  const void* pc = __builtin_return_address(0);
  const Barrier& barrier = barrier_at(address, pc);
  made_progress();
  if (passed(barrier, parity)) return learn(*current, barrier.passed);
  current->pc = pc;
  current->mbarrier = address;
  current->parity = parity;
  current->state = State::at_mbarrier;
  give_way();
}

void bulk_copy(void* to, const void* encoded, void* address, std::initializer_list<int> coordinates,
               int offset_w, int offset_h) {
  const void* pc = __builtin_return_address(0);
  Thread& t = *current;
  Map map;
  std::memcpy(&map, encoded, sizeof(map));
  const Barrier& barrier = barrier_at(address, pc);
  const Thread& maker = thread_at(barrier.maker);
  if (maker.proxy_fences == barrier.proxy_fences &&
      maker.mbarrier_fences == barrier.mbarrier_fences) {
    report(Kind::proxy, pc,
           "a bulk copy signals an mbarrier that was made without a fence_mbarrier_init after it");
  }
  const uint32_t alignment = map.swizzle == 3 ? 1024 : 128;
  if (shared_offset(to) % alignment != 0) {
    report(Kind::alignment, pc,
           "the box of a bulk copy does not begin at a multiple of " + std::to_string(alignment));
  }
  if (coordinates.size() != map.rank) {
    report(Kind::bounds, pc, "a bulk copy of another number of axes than its tensor map");
    stop_launch();
  }
  BulkCopy copy = {
      chunks_of(map, static_cast<std::byte*>(to), coordinates.begin(), offset_w, offset_h, pc),
      address,
      barrier.phase,
      map.tf32,
      false,
      pc,
      t.linear,
      t.clock[t.lane]};
  const AsyncProxy proxy;
  for (const Chunk& chunk : copy.chunks) {
    if (chunk.bytes) check_access(chunk.from, chunk.bytes, Access::read, pc);
    check_access(chunk.to, 16, Access::write, pc);
    std::memset(chunk.to, 0xFF, 16);
    mark_memory(chunk.to, 16, false);
  }
  copies().under_way.push_back(std::move(copy));
  ++t.clock[t.lane];
}

}  // namespace simt
