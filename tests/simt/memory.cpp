// What each byte that kernels touch has seen: whether it exists, whether it was written, and which
// threads touched it last.
#include <link.h>
#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>

#include "tests/simt/state.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FETTLE_POISON(begin, bytes) ASAN_POISON_MEMORY_REGION(begin, bytes)
#define FETTLE_UNPOISON(begin, bytes) ASAN_UNPOISON_MEMORY_REGION(begin, bytes)
#else
#define FETTLE_POISON(begin, bytes) static_cast<void>(0)
#define FETTLE_UNPOISON(begin, bytes) static_cast<void>(0)
#endif

namespace simt {
namespace {

constexpr size_t shared_capacity = 256 * 1024;
constexpr size_t guard = 256;  // around arrays of the host
constexpr size_t gap = 128;    // between shared objects, so that a step outside shows

/// One access that a granule remembers.
struct Stamp {
  uint32_t serial = 0;  ///< of the launch, or for shared memory of the block; else stale
  uint32_t block = 0;
  uint32_t epoch = 0;
  uint32_t pc = 0;  ///< from program_base()
  uint32_t clock = 0;
  uint16_t thread = 0;
  uint8_t bytes = 0;  ///< a bit for each byte of the granule
  Access access = Access::none;
};

/// The last accesses to four bytes. Two reads are kept from places as different as possible: a
/// later write is unordered with one of them if it is with any. Two writes, for two halves.
struct Granule {
  Stamp write[2], read[2];
};

struct Region {
  uintptr_t begin = 0;
  size_t bytes = 0;
  std::string name;
  std::vector<uint8_t> written;
  std::vector<Granule> granules;  // made at the first access
};

struct Memory {
  std::mutex mutex;
  std::map<uintptr_t, Region> regions;
  Region* last = nullptr;

  std::byte* shared = static_cast<std::byte*>(std::aligned_alloc(1024, shared_capacity));
  struct Object {
    const void* tag;
    size_t offset, bytes;
  };
  std::vector<Object> objects;
  size_t shared_end = 0, dynamic_bytes = 0;
  std::vector<uint8_t> exists = std::vector<uint8_t>(shared_capacity);
  std::vector<uint8_t> written = std::vector<uint8_t>(shared_capacity);
  std::vector<Granule> granules = std::vector<Granule>(shared_capacity / 4);
  uint32_t block_serial = 0;
  /// The thread whose plain store wrote a granule of shared memory last, and how many fences it had
  /// passed then.
  struct Stored {
    uint32_t serial = 0, fences = 0;
    unsigned thread = 0;
  };
  std::vector<Stored> stored = std::vector<Stored>(shared_capacity / 4);

  uintptr_t stacks = 0, stacks_end = 0;  // of the fibers
  uintptr_t host_stack = 0, host_stack_end = 0;
  std::vector<std::pair<uintptr_t, uintptr_t>> program;  // its code and static data
};

Memory& memory() {
  static Memory* const instance = new Memory;
  return *instance;
}

std::string who(uint32_t block, unsigned thread) {
  std::ostringstream text;
  text << "thread " << thread << " of block " << block;
  return text.str();
}

bool ordered(const Stamp& before, const Thread& now, uint32_t block) {
  if (before.block != block) return false;
  if (before.thread == now.linear || before.epoch < now.epoch) return true;
  if (before.thread / 32 == now.warp) return now.clock[before.thread % 32] >= before.clock;
  return before.thread < now.known.size() && now.known[before.thread] >= before.clock;
}

int distance(const Stamp& a, const Stamp& b) {
  return a.block != b.block ? 2 : a.thread / 32 != b.thread / 32 ? 1 : 0;
}

const char* word_of(Access access) {
  return access == Access::read    ? "reads"
         : access == Access::write ? "writes"
                                   : "atomically changes";
}

void check_race(Granule& g, uint32_t serial, uint8_t bytes, Access access, const void* pc,
                const char* where) {
  const Thread& t = *current;
  const uint32_t block = launch_now().block_linear;
  const auto against = [&](const Stamp& s) {
    if (s.serial != serial || !(s.bytes & bytes) || ordered(s, t, block)) return;
    if (s.access == Access::atomic && access == Access::atomic) return;
    const void* other = reinterpret_cast<const void*>(program_base() + s.pc);
    look_up_places({pc, other});
    report(Kind::race, pc,
           who(block, t.linear) + " " + word_of(access) + " " + where + " that " +
               who(s.block, s.thread) + " " + word_of(s.access) + " at " + place_of(other) +
               ", with nothing that orders the two");
  };
  for (const Stamp& s : g.write) against(s);
  if (access != Access::read) {
    for (const Stamp& s : g.read) against(s);
  }
  const Stamp now = {
      serial,          block,
      t.epoch,         static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pc) - program_base()),
      t.clock[t.lane], static_cast<uint16_t>(t.linear),
      bytes,           access};
  if (access != Access::read) {
    const bool other_bytes = g.write[0].serial == serial && !(g.write[0].bytes & bytes);
    g.write[other_bytes] = now;
    return;
  }
  Stamp &a = g.read[0], &b = g.read[1];
  const auto stale = [&](const Stamp& s) { return s.serial != serial || ordered(s, t, block); };
  if (stale(a)) {
    a = now;
  } else if (stale(b) || distance(a, now) > distance(a, b)) {
    b = now;
  }
}

/// Both the checks that need the bytes' history. `offset` is that of the first byte.
void check_bytes(std::vector<uint8_t>& written, std::vector<Granule>& granules, uint32_t serial,
                 size_t offset, size_t bytes, Access access, const void* pc, const char* where) {
  if (access == Access::read || access == Access::atomic) {
    for (size_t i = offset; i < offset + bytes; ++i) {
      if (written[i]) continue;
      report(Kind::uninitialised, pc,
             who(launch_now().block_linear, current->linear) + " reads " + where +
                 ", which nothing has written");
      break;
    }
  }
  if (access != Access::read)
    std::fill_n(written.begin() + static_cast<std::ptrdiff_t>(offset), bytes, true);
  for (size_t at = offset; at < offset + bytes;) {
    const size_t in = at % 4, count = std::min(4 - in, offset + bytes - at);
    check_race(granules[at / 4], serial, static_cast<uint8_t>(((1u << count) - 1) << in), access,
               pc, where);
    at += count;
  }
}

Region* region_of(uintptr_t address) {
  Memory& m = memory();
  if (m.last && address - m.last->begin < m.last->bytes) return m.last;
  auto after = m.regions.upper_bound(address);
  if (after == m.regions.begin()) return nullptr;
  Region& region = std::prev(after)->second;
  if (address - region.begin >= region.bytes) return nullptr;
  m.last = &region;
  return &region;
}

std::string nearest(uintptr_t address) {
  Memory& m = memory();
  std::ostringstream text;
  auto after = m.regions.upper_bound(address);
  if (after != m.regions.begin()) {
    const Region& r = std::prev(after)->second;
    const uintptr_t past = address - (r.begin + r.bytes);
    if (past < 65536) {
      text << ", " << past << " bytes past the end of " << r.name << " (" << r.bytes << " bytes)";
      return text.str();
    }
  }
  if (after != m.regions.end() && after->second.begin - address < 65536) {
    text << ", " << after->second.begin - address << " bytes before " << after->second.name;
    return text.str();
  }
  return ", which is no memory of the GPU";
}

/// The access must not happen: its launch ends.
void stop_here() {
  launch_now().aborted = true;
  give_way();
}

void check_shared(uintptr_t address, size_t bytes, Access access, const void* pc) {
  Memory& m = memory();
  const size_t offset = address - reinterpret_cast<uintptr_t>(m.shared);
  for (size_t i = offset; i < offset + bytes; ++i) {
    if (i < shared_capacity && m.exists[i]) continue;
    std::ostringstream text;
    text << who(launch_now().block_linear, current->linear) << " " << word_of(access)
         << " shared memory outside every object of the block (offset " << i << ")";
    report(Kind::bounds, pc, text.str());
    stop_here();
    return;
  }
  check_bytes(m.written, m.granules, m.block_serial, offset, bytes, access, pc, "shared memory");
  for (size_t g = offset / 4; g <= (offset + bytes - 1) / 4; ++g) {
    Memory::Stored& s = m.stored[g];
    if (by_async_proxy) {
      if (s.serial == m.block_serial && thread_at(s.thread).proxy_fences == s.fences) {
        report(
            Kind::proxy, pc,
            "a bulk copy or wgmma meets what " + who(launch_now().block_linear, s.thread) +
                " has stored in shared memory, and no fence_proxy_async of that thread followed");
      }
      if (access != Access::read) s.serial = 0;
    } else if (access != Access::read) {
      s = {m.block_serial, current->proxy_fences, current->linear};
    }
  }
}

/// The registers of a wgmma under way that this access may not touch, or nullptr.
const BusyRegisters* disturbed(const Thread& t, uintptr_t address, size_t bytes, Access access) {
  const auto found = std::find_if(t.busy.begin(), t.busy.end(), [&](const BusyRegisters& busy) {
    return address < busy.end && address + bytes > busy.begin &&
           (busy.are_sums || access != Access::read);
  });
  return found == t.busy.end() ? nullptr : &*found;
}

}  // namespace

void check_access(const void* pointer, size_t bytes, Access access, const void* pc) {
  const InExecutor inside;
  Memory& m = memory();
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  Thread& t = *current;
  if (address - m.stacks < m.stacks_end - m.stacks) {
    const BusyRegisters* busy = disturbed(t, address, bytes, access);
    if (!busy) return;
    report(Kind::asynchronous, pc,
           who(launch_now().block_linear, t.linear) + " " + word_of(access) +
               (busy->are_sums ? " sums" : " a factor") + " of a wgmma that it has not waited for");
    return;
  }
  if (++t.accesses > 100000 && !by_async_proxy) give_way();  // it may be polling: let others run
  const bool in_shared = address - reinterpret_cast<uintptr_t>(m.shared) < shared_capacity;
  Region* region = in_shared ? nullptr : region_of(address);
  if (!in_shared && !region) {
    if (address - m.host_stack < m.host_stack_end - m.host_stack) return;
    for (const auto& [begin, end] : m.program) {
      if (address - begin < end - begin) return;
    }
  }
  if (options().count && !by_async_proxy) {
    t.requests.push_back(
        {pc, address, static_cast<uint32_t>(bytes), in_shared, access != Access::read});
  }
  if (!options().check_memory) return;
  if (address % bytes != 0 && std::has_single_bit(bytes)) {
    std::ostringstream text;
    text << who(launch_now().block_linear, t.linear) << " " << word_of(access) << " " << bytes
         << " bytes at an address that is not a multiple of " << bytes;
    report(Kind::alignment, pc, text.str());
  }
  if (in_shared) return check_shared(address, bytes, access, pc);
  if (!region || address + bytes > region->begin + region->bytes) {
    report(Kind::bounds, pc,
           who(launch_now().block_linear, t.linear) + " " + word_of(access) + " global memory" +
               nearest(address));
    stop_here();
    return;
  }
  if (!t.may_touch_memory) {
    report(Kind::early, pc,
           who(launch_now().block_linear, t.linear) + " " + word_of(access) +
               " global memory before it has waited for the kernels before");
  }
  if (region->granules.empty()) region->granules.resize((region->bytes + 7) / 4);
  if (region->written.empty()) return;  // taken while nothing was computed
  check_bytes(region->written, region->granules, launch_now().serial, address - region->begin,
              bytes, access, pc, region->name.c_str());
}

void begin_launch_memory(uintptr_t fiber_stacks, size_t fiber_stack_bytes) {
  Memory& m = memory();
  m.stacks = fiber_stacks;
  m.stacks_end = fiber_stacks + fiber_stack_bytes;
  m.objects.clear();
  m.last = nullptr;
  pthread_attr_t attributes;
  void* stack = nullptr;
  size_t bytes = 0;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &stack, &bytes);
  pthread_attr_destroy(&attributes);
  m.host_stack = reinterpret_cast<uintptr_t>(stack);
  m.host_stack_end = m.host_stack + bytes;
  if (!m.program.empty()) return;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
          const uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
          static_cast<Memory*>(out)->program.emplace_back(begin,
                                                          begin + info->dlpi_phdr[i].p_memsz);
        }
        return 0;
      },
      &m);
}

void begin_block_memory(size_t dynamic_bytes) {
  Memory& m = memory();
  const auto clear = [&](std::vector<uint8_t>& bits) {
    std::fill_n(bits.begin(), m.shared_end, false);
  };
  clear(m.written);
  if (m.objects.empty()) {
    clear(m.exists);
    FETTLE_POISON(m.shared, shared_capacity);
    FETTLE_UNPOISON(m.shared, dynamic_bytes);
    m.dynamic_bytes = dynamic_bytes;
    m.shared_end = dynamic_bytes;
    std::fill_n(m.exists.begin(), dynamic_bytes, true);
  }
  ++m.block_serial;
#if defined(__SANITIZE_ADDRESS__)
  // No byte is watched in this build: every float a NaN, where a byte exists.
  std::memset(m.shared, 0xFF, dynamic_bytes);
  for (const Memory::Object& o : m.objects) std::memset(m.shared + o.offset, 0xFF, o.bytes);
#else
  std::memset(m.shared, 0xFF, m.shared_end);
#endif
}

void* shared_memory(const void* tag, size_t bytes, size_t alignment) {
  Memory& m = memory();
  for (const Memory::Object& o : m.objects) {
    if (o.tag == tag) return m.shared + o.offset;
  }
  alignment = std::max<size_t>(alignment, 16);
  const size_t offset = (m.shared_end + gap + alignment - 1) / alignment * alignment;
  size_t total = bytes;
  for (const Memory::Object& o : m.objects) total += o.bytes;
  if (total > 48 * 1024 || offset + bytes > shared_capacity) {
    report(Kind::launch, __builtin_return_address(0),
           "the kernel declares more than 48 KiB of shared memory");
    stop_here();
  }
  m.objects.push_back({tag, offset, bytes});
  m.shared_end = offset + bytes;
  FETTLE_UNPOISON(m.shared + offset, bytes);
  std::memset(m.shared + offset, 0xFF, bytes);
  std::fill_n(m.exists.begin() + static_cast<std::ptrdiff_t>(offset), bytes, true);
  std::fill_n(m.written.begin() + static_cast<std::ptrdiff_t>(offset), bytes, false);
  return m.shared + offset;
}

void* dynamic_shared_memory() {
  return memory().shared;
}

uint32_t shared_offset(const void* p) {
  return static_cast<uint32_t>(static_cast<const std::byte*>(p) - memory().shared);
}
std::byte* shared_at(uint32_t offset) {
  return memory().shared + offset;
}

void add_memory(const void* begin, size_t bytes, bool written, std::string name) {
  Memory& m = memory();
  const std::scoped_lock lock(m.mutex);
  const auto address = reinterpret_cast<uintptr_t>(begin);
  const size_t marks = options().compute ? bytes : 0;
  m.regions[address] = {address, bytes, std::move(name), std::vector<uint8_t>(marks, written), {}};
  m.last = nullptr;
}

void remove_memory(const void* begin) {
  Memory& m = memory();
  const std::scoped_lock lock(m.mutex);
  m.regions.erase(reinterpret_cast<uintptr_t>(begin));
  m.last = nullptr;
}

void mark_memory(const void* begin, size_t bytes, bool written) {
  Memory& m = memory();
  const std::scoped_lock lock(m.mutex);
  const auto address = reinterpret_cast<uintptr_t>(begin);
  if (address - reinterpret_cast<uintptr_t>(m.shared) < shared_capacity) {
    std::fill_n(m.written.begin() +
                    static_cast<std::ptrdiff_t>(address - reinterpret_cast<uintptr_t>(m.shared)),
                bytes, written);
  } else if (Region* region = region_of(address); region && !region->written.empty()) {
    const size_t offset = address - region->begin;
    std::fill_n(region->written.begin() + static_cast<std::ptrdiff_t>(offset),
                std::min(bytes, region->bytes - offset), written);
  }
}

void forget(const void* begin, size_t bytes) {
  mark_memory(begin, bytes, false);
}

void* allocate_shared_with_host(size_t bytes) {
  auto* block =
      static_cast<std::byte*>(std::aligned_alloc(guard, (bytes + 3 * guard - 1) / guard * guard));
  if (!block) return nullptr;
  FETTLE_POISON(block, guard);
  FETTLE_POISON(block + guard + bytes, guard);
  add_memory(block + guard, bytes, true, "an array of the test");
  return block + guard;
}

void free_shared_with_host(void* p) {
  if (!p) return;
  remove_memory(p);
  std::byte* block = static_cast<std::byte*>(p) - guard;
  FETTLE_UNPOISON(block, malloc_usable_size(block));
  std::free(block);
}

}  // namespace simt
