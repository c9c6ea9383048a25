// The matrix words of a warpgroup. A warp's part of each is recorded when it is issued, its sums
// are poisoned, and it is computed when the warp waits for it: its operands are read as late as a
// GPU may read them.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/simt/state.h"

namespace simt {
namespace {

/// One thread's call. A lies where its descriptor says, or four elements of it in registers.
struct Operand {
  float* d;
  uint64_t a, b;
  WgmmaShape shape;
  const uint32_t* a_registers = nullptr;
};

/// What a warp computes of one instruction: 16 rows.
struct Word {
  std::array<float*, 32> d;
  std::vector<float> before;  ///< sums [32, N/2], where no word before it under way makes them
  uint64_t a, b;
  WgmmaShape shape;
  const void* pc;
  std::array<const uint32_t*, 32> a_registers = {};
};

struct Queue {
  std::vector<Word> open;
  std::deque<std::vector<Word>> groups;
  int64_t issued = 0;
};
std::vector<Queue>& queues() {
  static auto* const instance = new std::vector<Queue>(32);
  return *instance;
}
Queue& queue_of(const Thread* t) {
  return queues()[t->warp];
}

/// The place of element (row, k) of an operand: PTX ISA, "Shared Memory Matrix Layout".
uint32_t place(uint64_t descriptor, bool along_k, uint32_t size, uint32_t row, uint32_t k) {
  const auto field = [&](int bit) {
    return static_cast<uint32_t>(descriptor >> bit & 0x3FFFu) << 4;
  };
  const uint32_t start = field(0), leading = field(16), stride = field(32);
  const auto mode = static_cast<uint32_t>(descriptor >> 62);
  const uint32_t swizzle = mode == 0 ? 0 : 4 - mode, span = 16u << swizzle;
  uint32_t offset = 0;
  if (along_k) {
    const uint32_t at = k * size;
    offset = row / 8 * stride + row % 8 * span + (swizzle ? at : at / 16 * leading + at % 16);
  } else {
    const uint32_t at = row * size, spans = at / span, eights = k / 8;
    offset = (swizzle ? spans * leading + eights * stride : spans * stride + eights * leading) +
             k % 8 * span + at % span;
  }
  const uint32_t linear = start + offset;
  return linear ^ (linear >> 7 & ((1u << swizzle) - 1)) << 4;
}

/// Calls f(row, k, offset) for every 16 bytes of `rows` rows from `first` on.
template <class F>
void for_each_chunk(uint64_t descriptor, bool along_k, bool tf32, uint32_t first, uint32_t rows,
                    const F& f) {
  const uint32_t size = tf32 ? 4 : 2, depth = 32 / size, each = 16 / size;
  for (uint32_t row = 0; row < rows; row += along_k ? 1 : each) {
    for (uint32_t k = 0; k < depth; k += along_k ? each : 1)
      f(row, k, place(descriptor, along_k, size, first + row, k));
  }
}

/// The value of a tf32: wgmma reads no more of it.
float tf32_value(uint32_t bits) {
  return std::bit_cast<float>(bits & ~0x1FFFu);
}

/// Calls set(row, k, value) for every element of them.
template <class F>
void for_each_element(uint64_t descriptor, bool along_k, bool tf32, uint32_t first, uint32_t rows,
                      const F& set) {
  const auto of_chunk = [&](uint32_t row, uint32_t k, uint32_t offset) {
    const uint32_t size = tf32 ? 4 : 2;
    for (uint32_t i = 0; i < 16 / size; ++i) {
      uint32_t bits = 0;
      std::memcpy(reinterpret_cast<std::byte*>(&bits) + 4 - size, shared_at(offset) + i * size,
                  size);
      set(row + (along_k ? 0 : i), k + (along_k ? i : 0),
          tf32 ? tf32_value(bits) : std::bit_cast<float>(bits));
    }
  };
  for_each_chunk(descriptor, along_k, tf32, first, rows, of_chunk);
}

void check_operand(uint64_t descriptor, bool along_k, bool tf32, uint32_t first, uint32_t rows,
                   const void* pc) {
  by_async_proxy = true;
  for_each_chunk(descriptor, along_k, tf32, first, rows, [&](uint32_t, uint32_t, uint32_t offset) {
    check_access(shared_at(offset), 16, Access::read, pc);
  });
  by_async_proxy = false;
}

void check_operands(const Word& word, unsigned warp) {
  const WgmmaShape& s = word.shape;
  if (!word.a_registers[0]) check_operand(word.a, s.a_along_k, s.tf32, warp % 4 * 16, 16, word.pc);
  check_operand(word.b, s.b_along_k, s.tf32, 0, static_cast<uint32_t>(s.N), word.pc);
}

/// Calls set(row, k, value) for every element of the warp's 16 rows of A. PTX ISA, "Register
/// Fragments for wgmma.mma_async.m64k8".
template <class F>
void for_each_element_of_a(const Word& word, unsigned warp, const F& set) {
  const WgmmaShape& s = word.shape;
  if (!word.a_registers[0])
    return for_each_element(word.a, s.a_along_k, s.tf32, warp % 4 * 16, 16, set);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; i < 4; ++i)
      set(lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4, tf32_value(word.a_registers[lane][i]));
  }
}

/// Products are exact and their sum is rounded once, where a GPU may round more often.
void compute(const Word& word, unsigned warp) {
  const WgmmaShape& s = word.shape;
  const uint32_t depth = s.tf32 ? 8 : 16, N = static_cast<uint32_t>(s.N);
  float a[16][16];
  std::vector<std::array<float, 16>> b(N);
  bool finite = true;
  for_each_element_of_a(word, warp, [&](uint32_t row, uint32_t k, float value) {
    a[row][k] = value;
    finite = finite && std::isfinite(value);
  });
  std::vector<char> zeros(N, 1);  // columns of zeros change no sum: most of a tile past an edge
  for_each_element(word.b, s.b_along_k, s.tf32, 0, N, [&](uint32_t n, uint32_t k, float value) {
    b[n][k] = value;
    if (value != 0 || !finite) zeros[n] = 0;
  });
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t i = 0; i < N / 2; ++i) {
      const uint32_t row = lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      double sum = !s.add                ? 0
                   : word.before.empty() ? word.d[lane][i]
                                         : word.before[lane * N / 2 + i];
      for (uint32_t k = 0; k < depth && !zeros[column]; ++k)
        sum += double{a[row][k]} * b[column][k];
      word.d[lane][i] = static_cast<float>(sum);
    }
  }
}

/// Every word under way of the warp.
template <class F>
void for_each_word(const Queue& queue, const F& f) {
  for (const auto& group : queue.groups) std::for_each(group.begin(), group.end(), f);
  std::for_each(queue.open.begin(), queue.open.end(), f);
}

template <class T>
BusyRegisters registers(const T* first, size_t count, bool are_sums) {
  return {reinterpret_cast<uintptr_t>(first), reinterpret_cast<uintptr_t>(first + count), are_sums};
}

bool whole_warpgroup(const std::vector<Thread*>& lanes) {
  if (lanes.size() == 32 && lanes[0]->warp / 4 * 128 + 128 <= thread_count()) return true;
  report(Kind::divergence, lanes.front()->pc,
         "a wgmma needs all 128 threads of a warpgroup, which begins at a multiple of 128");
  return false;
}

/// The lane that happened to read the operands did it for all.
void read_for_all(const std::vector<Thread*>& lanes) {
  for (Thread* t : lanes) {
    uint32_t& known = t->clock[current->lane];
    known = std::max(known, current->clock[current->lane]);
  }
  ++current->clock[current->lane];
}

}  // namespace

void begin_block_wgmma() {
  queues() = std::vector<Queue>(32);
}

void end_block_wgmma() {
  for (unsigned warp = 0; warp * 32 < thread_count(); ++warp) {
    for_each_word(queues()[warp], [](const Word& word) {
      report(Kind::asynchronous, word.pc, "a warp returns while its wgmma is under way");
    });
    if (queues()[warp].issued == queues()[warp / 4 * 4].issued) continue;
    report(Kind::divergence, thread_at(warp * 32).pc,
           "the warps of a warpgroup have not issued the same number of wgmma");
  }
}

void issue_wgmma(const std::vector<Thread*>& lanes) {
  if (!whole_warpgroup(lanes)) return;
  const auto& first = *static_cast<const Operand*>(lanes[0]->operand);
  Word word = {{}, {}, first.a, first.b, first.shape, lanes[0]->pc, {}};
  const auto sums = static_cast<size_t>(first.shape.N / 2);
  for (Thread* t : lanes) {
    const auto& o = *static_cast<const Operand*>(t->operand);
    word.d[t->lane] = o.d;
    word.a_registers[t->lane] = o.a_registers;
    if (o.a != first.a || o.b != first.b || o.shape != first.shape) {
      report(Kind::divergence, t->pc, "the lanes of a warp give a wgmma different descriptors");
    }
    if (o.a_registers) t->busy.push_back(registers(o.a_registers, 4, false));
    const BusyRegisters range = registers(o.d, sums, true);
    if (std::find(t->busy.begin(), t->busy.end(), range) != t->busy.end()) continue;
    if (!t->wgmma_fenced) {
      report(Kind::asynchronous, t->pc,
             "a wgmma whose sums were touched since the last wgmma_fence");
    }
    word.before.resize(32 * sums);
    std::copy_n(o.d, sums, word.before.begin() + static_cast<std::ptrdiff_t>(t->lane * sums));
    std::fill_n(o.d, sums, NAN);
    t->busy.push_back(range);
  }
  check_operands(word, lanes[0]->warp);
  read_for_all(lanes);
  Queue& queue = queue_of(lanes[0]);
  ++queue.issued;
  queue.open.push_back(std::move(word));
}

void commit_wgmma(const std::vector<Thread*>& lanes) {
  if (!whole_warpgroup(lanes)) return;
  Queue& queue = queue_of(lanes[0]);
  queue.groups.push_back(std::exchange(queue.open, {}));
}

void finish_wgmma(const std::vector<Thread*>& lanes) {
  if (!whole_warpgroup(lanes)) return;
  Queue& queue = queue_of(lanes[0]);
  const auto pending = static_cast<size_t>(*static_cast<const int*>(lanes[0]->operand));
  while (queue.groups.size() > pending) {
    for (const Word& word : queue.groups.front()) {
      check_operands(word, lanes[0]->warp);
      compute(word, lanes[0]->warp);
    }
    queue.groups.pop_front();
  }
  for (Thread* t : lanes) {
    const size_t before = t->busy.size();
    std::erase_if(t->busy, [&](const auto& range) {
      bool found = false;
      for_each_word(queue, [&](const Word& word) {
        const void* begin =
            range.are_sums ? static_cast<const void*>(word.d[t->lane]) : word.a_registers[t->lane];
        found = found || reinterpret_cast<uintptr_t>(begin) == range.begin;
      });
      return !found;
    });
    if (t->busy.size() != before) t->wgmma_fenced = false;
  }
  read_for_all(lanes);
}

uint64_t wgmma_descriptor(const void* start, int leading, int stride, int swizzle) {
  const uint64_t mode = swizzle == 0 ? 0 : 4 - swizzle;
  return (shared_offset(start) & 0x3FFFFu) >> 4 | static_cast<uint64_t>(leading >> 4) << 16 |
         static_cast<uint64_t>(stride >> 4) << 32 | mode << 62;
}

void wgmma_fence() {
  current->wgmma_fenced = true;
}

void wgmma_commit() {
  meet_warp(WarpWord::wgmma_commit, 0xFFFFFFFFu, nullptr, __builtin_return_address(0));
}

void wgmma_wait(int pending) {
  meet_warp(WarpWord::wgmma_wait, 0xFFFFFFFFu, &pending, __builtin_return_address(0));
}

void wgmma(float* d, uint64_t a, uint64_t b, const WgmmaShape& shape) {
  Operand o = {d, a, b, shape};
  meet_warp(WarpWord::wgmma, 0xFFFFFFFFu, &o, __builtin_return_address(0));
}

void wgmma(float* d, const uint32_t* a, uint64_t b, const WgmmaShape& shape) {
  Operand o = {d, 0, b, shape, a};
  meet_warp(WarpWord::wgmma, 0xFFFFFFFFu, &o, __builtin_return_address(0));
}

}  // namespace simt
