// The SIMT executor: runs a kernel with every thread of a block as a fiber on one host thread, and
// reports what is wrong with it. Blocks run one after another; a thread runs until it waits.
//
// What it knows that a GPU does not tell:
//   bounds        an access outside every allocation, shared object and stack
//   alignment     a vector access that is not aligned to its size
//   uninitialised a read of memory that nothing wrote (also: before its asynchronous copy landed)
//   race          two accesses to the same bytes, one of them a write, with no barrier between
//   divergence    a barrier or warp word that not every thread, or lane of its mask, reaches
//   deadlock      threads that wait for ever
//   asynchronous  a thread that returns before its copies have landed; sums of wgmma that are
//                 touched before they are waited for; a phase of an mbarrier that ends too early
//   proxy         a bulk copy or wgmma that may not see what a thread has stored: no fence between
//   launch        a block or a shared memory that no GPU offers
//   early         global memory that is touched before the thread has waited for the kernels before
// and, with Options::count, the memory sectors and bank conflicts of each line.
//
// Races follow the happens-before order of barriers (Lamport, CACM 21, 1978) and keep the last
// accesses of each granule of memory, as FastTrack does (Flanagan, Freund, PLDI 2009).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simt {

enum class Kind {
  bounds,
  alignment,
  uninitialised,
  race,
  divergence,
  deadlock,
  asynchronous,
  proxy,
  launch,
  early
};
const char* name_of(Kind kind);

struct Finding {
  Kind kind;
  std::string text;   ///< one sentence: the kernel, the threads, the places
  std::string place;  ///< "file:line" of the (later) access or wait
};

/// In which order threads and blocks run, and bulk copies land: none does while a thread can go on.
enum class Order { forward, backward, random };

/// Under AddressSanitizer plain accesses are not reported to the executor: it watches them itself.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool sees_accesses = false;
#else
constexpr bool sees_accesses = true;
#endif

struct Options {
  Order order = Order::forward;
  unsigned seed = 1;                  ///< of Order::random
  bool check_memory = sees_accesses;  ///< bounds, alignment, initialisation and races
  bool count = false;                 ///< collect LineCounts
  bool throw_findings = true;         ///< else they wait for take_findings()
  /// Else launches and copies do nothing, and memory is that of a large GPU and holds anything: to
  /// see what the host does, such as how much of it is taken.
  bool compute = true;
};
Options& options();

std::vector<Finding> take_findings();

/// What one source line of a kernel asked of memory, summed over its launches.
struct LineCounts {
  std::string kernel, place;
  bool shared = false, write = false;
  int64_t requests = 0;    ///< of whole warps
  int64_t bytes = 0;       ///< that threads asked for
  int64_t sectors = 0;     ///< global: 32-byte sectors touched
  int64_t wavefronts = 0;  ///< shared: passes over the 32 banks, conflicts included
  int64_t ideal = 0;       ///< sectors or wavefronts that the bytes alone would take
};
std::vector<LineCounts> take_counts();

/// Tells the executor of memory that kernels may use, as unwritten or as written.
void add_memory(const void* begin, size_t bytes, bool written, std::string name);
void remove_memory(const void* begin);
/// The bytes count as unwritten again, or as written.
void mark_memory(const void* begin, size_t bytes, bool written);

/// Host memory that kernels may use, with guards around it so that a step outside shows.
void* allocate_shared_with_host(size_t bytes);
void free_shared_with_host(void* p);

}  // namespace simt
