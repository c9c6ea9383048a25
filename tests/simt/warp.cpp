// The words of a warp, atomics, asynchronous copies and matrix fragments.
#include <algorithm>
#include <cstring>

#include "tests/simt/state.h"

namespace simt {
namespace {

struct ShuffleOperand {
  uint64_t value, result;
  Shuffle how;
  int argument, width;
};
struct BallotOperand {
  bool predicate;
  unsigned result;
};
struct MatrixOperand {
  const void* row;
  uint32_t* r;
  bool transposed;
};
struct StoredMatrixOperand {
  void* row;
  const uint32_t* r;
};
struct MmaOperand {
  float* d;
  const uint32_t *a, *b;
  bool tf32;
};

template <class Operand>
Operand& operand(Thread* t) {
  return *static_cast<Operand*>(t->operand);
}

void order_lanes(const std::vector<Thread*>& lanes) {
  std::array<uint32_t, 32> all{};
  std::vector<uint32_t> known;
  for (const Thread* t : lanes) {
    for (int i = 0; i < 32; ++i) all[i] = std::max(all[i], t->clock[i]);
    if (!t->known.empty()) add_knowledge(known, *t);
  }
  for (Thread* t : lanes) {
    t->clock = all;
    ++t->clock[t->lane];
    if (!known.empty()) learn(*t, known);
  }
}

void shuffle_lanes(const std::vector<Thread*>& lanes) {
  for (Thread* t : lanes) {
    ShuffleOperand& o = operand<ShuffleOperand>(t);
    const int lane = static_cast<int>(t->lane), first = lane / o.width * o.width;
    int source = lane;
    switch (o.how) {
      case Shuffle::index:
        source = first + (o.argument & (o.width - 1));
        break;
      case Shuffle::exclusive_or:
        source = lane ^ o.argument;
        break;
      case Shuffle::down:
        source = lane + o.argument;
        break;
      case Shuffle::up:
        source = lane - o.argument;
        break;
    }
    const bool inside = o.how == Shuffle::exclusive_or
                            ? source < first + o.width
                            : source >= first && source < first + o.width;
    if (!inside) source = lane;  // its own value, as on the GPU
    const auto from = std::find_if(lanes.begin(), lanes.end(), [&](const Thread* other) {
      return static_cast<int>(other->lane) == source;
    });
    if (from == lanes.end()) {
      report(Kind::divergence, t->pc,
             "lane " + std::to_string(lane) + " shuffles from lane " + std::to_string(source) +
                 ", which takes no part");
      continue;
    }
    o.result = operand<ShuffleOperand>(*from).value;
  }
}

void vote_lanes(const std::vector<Thread*>& lanes) {
  unsigned votes = 0;
  for (Thread* t : lanes) votes |= unsigned{operand<BallotOperand>(t).predicate} << t->lane;
  for (Thread* t : lanes) operand<BallotOperand>(t).result = votes;
}

bool whole_warp(const std::vector<Thread*>& lanes) {
  if (lanes.size() == 32) return true;
  report(Kind::divergence, lanes.front()->pc, "a matrix word needs all 32 lanes of the warp");
  return false;
}

void load_matrices(const std::vector<Thread*>& lanes) {
  if (!whole_warp(lanes)) return;
  uint16_t matrix[4][8][8];
  for (int lane = 0; lane < 32; ++lane) {
    std::memcpy(matrix[lane / 8][lane % 8], operand<MatrixOperand>(lanes[lane]).row, 16);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const MatrixOperand& o = operand<MatrixOperand>(lanes[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4, column = lane % 4 * 2;
      const auto& m = matrix[i];
      const uint32_t low = o.transposed ? m[column][row] : m[row][column];
      const uint32_t high = o.transposed ? m[column + 1][row] : m[row][column + 1];
      o.r[i] = low | high << 16;
    }
  }
}

void store_matrices(const std::vector<Thread*>& lanes) {
  if (!whole_warp(lanes)) return;
  uint16_t matrix[4][8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const StoredMatrixOperand& o = operand<StoredMatrixOperand>(lanes[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane % 4 * 2, column = lane / 4;
      matrix[i][row][column] = static_cast<uint16_t>(o.r[i]);
      matrix[i][row + 1][column] = static_cast<uint16_t>(o.r[i] >> 16);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    std::memcpy(operand<StoredMatrixOperand>(lanes[lane]).row, matrix[lane / 8][lane % 8], 16);
  }
}

float half_of(uint32_t word, int which) {
  return std::bit_cast<float>(which ? word & 0xFFFF0000u : word << 16);
}

/// The PTX layouts; products are exact and their sum is rounded once, where a GPU may round more
/// often.
void multiply_matrices(const std::vector<Thread*>& lanes) {
  if (!whole_warp(lanes)) return;
  constexpr int M = 16, N = 8;
  float a[M][16], b[16][N];
  const bool tf32 = operand<MmaOperand>(lanes[0]).tf32;
  const int K = tf32 ? 8 : 16;
  for (int lane = 0; lane < 32; ++lane) {
    const MmaOperand& o = operand<MmaOperand>(lanes[lane]);
    const int g = lane / 4, t = lane % 4;
    if (tf32) {
      const auto value = [](uint32_t bits) { return std::bit_cast<float>(bits & ~0x1FFFu); };
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = value(o.a[i]);
      for (int i = 0; i < 2; ++i) b[t + i * 4][g] = value(o.b[i]);
    } else {
      for (int i = 0; i < 4; ++i) {
        for (int half = 0; half < 2; ++half) {
          a[g + i % 2 * 8][2 * t + half + i / 2 * 8] = half_of(o.a[i], half);
        }
      }
      for (int i = 0; i < 2; ++i) {
        for (int half = 0; half < 2; ++half) b[2 * t + half + i * 8][g] = half_of(o.b[i], half);
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const MmaOperand& o = operand<MmaOperand>(lanes[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      double sum = o.d[i];
      for (int k = 0; k < K; ++k) sum += double{a[row][k]} * b[k][column];
      o.d[i] = static_cast<float>(sum);
    }
  }
}

void land(const std::vector<Copy>& copies) {
  for (const Copy& copy : copies) {
    check_access(copy.to, copy.bytes, Access::write, copy.pc);
    if (copy.valid) {
      std::memcpy(copy.to, copy.from, copy.bytes);
    } else {
      std::memset(copy.to, 0, copy.bytes);
    }
  }
}

}  // namespace

void execute_warp_word(WarpWord word, const std::vector<Thread*>& lanes) {
  switch (word) {
    case WarpWord::barrier:
      return order_lanes(lanes);
    case WarpWord::shuffle:
      return shuffle_lanes(lanes);
    case WarpWord::ballot:
      return vote_lanes(lanes);
    case WarpWord::ldmatrix:
      return load_matrices(lanes);
    case WarpWord::stmatrix:
      return store_matrices(lanes);
    case WarpWord::mma:
      return multiply_matrices(lanes);
    case WarpWord::wgmma:
      return issue_wgmma(lanes);
    case WarpWord::wgmma_commit:
      return commit_wgmma(lanes);
    case WarpWord::wgmma_wait:
      return finish_wgmma(lanes);
  }
}

void warp_barrier(unsigned mask) {
  meet_warp(WarpWord::barrier, mask, nullptr, __builtin_return_address(0));
}

uint64_t shuffle(unsigned mask, uint64_t value, Shuffle how, int argument, int width) {
  ShuffleOperand o = {value, value, how, argument, width};
  meet_warp(WarpWord::shuffle, mask, &o, __builtin_return_address(0));
  return o.result;
}

unsigned ballot(unsigned mask, bool predicate) {
  BallotOperand o = {predicate, 0};
  meet_warp(WarpWord::ballot, mask, &o, __builtin_return_address(0));
  return o.result;
}

void ldmatrix_x4(uint32_t* r, const void* row, bool transposed) {
  check_access(row, 16, Access::read, __builtin_return_address(0));
  MatrixOperand o = {row, r, transposed};
  meet_warp(WarpWord::ldmatrix, 0xFFFFFFFFu, &o, __builtin_return_address(0));
}

void stmatrix_x4_transposed(void* row, const uint32_t* r) {
  check_access(row, 16, Access::write, __builtin_return_address(0));
  StoredMatrixOperand o = {row, r};
  meet_warp(WarpWord::stmatrix, 0xFFFFFFFFu, &o, __builtin_return_address(0));
}

void mma_bf16(float* d, const uint32_t* a, const uint32_t* b) {
  MmaOperand o = {d, a, b, false};
  meet_warp(WarpWord::mma, 0xFFFFFFFFu, &o, __builtin_return_address(0));
}

void mma_tf32(float* d, const uint32_t* a, const uint32_t* b) {
  MmaOperand o = {d, a, b, true};
  meet_warp(WarpWord::mma, 0xFFFFFFFFu, &o, __builtin_return_address(0));
}

void load(void* to, const void* from, size_t bytes) {
  check_access(from, bytes, Access::read, __builtin_return_address(0));
  std::memcpy(to, from, bytes);
}

void store(void* to, const void* from, size_t bytes) {
  check_access(to, bytes, Access::write, __builtin_return_address(0));
  std::memcpy(to, from, bytes);
}

template <class T>
T atomic(T* address, Atomic how, T value, T compare) {
  const void* pc = __builtin_return_address(0);
  check_access(address, sizeof(T), Access::atomic, pc);
  const T before = *address;
  switch (how) {
    case Atomic::add:
      *address = before + value;
      break;
    case Atomic::max:
      *address = std::max(before, value);
      break;
    case Atomic::min:
      *address = std::min(before, value);
      break;
    case Atomic::exchange:
      *address = value;
      break;
    case Atomic::compare_exchange:
      *address = before == compare ? value : before;
      break;
    case Atomic::bit_or:
      if constexpr (std::is_integral_v<T>) *address = before | value;
      break;
  }
  current->pc = pc;
  give_way();  // whoever polls must let the others run
  return before;
}
template int atomic(int*, Atomic, int, int);
template unsigned atomic(unsigned*, Atomic, unsigned, unsigned);
template unsigned long long atomic(unsigned long long*, Atomic, unsigned long long,
                                   unsigned long long);
template float atomic(float*, Atomic, float, float);

void memory_fence() {}

void wait_for_kernels_before() {
  current->may_touch_memory = true;
}

void cp_async(void* to, const void* from, size_t bytes, bool valid) {
  const void* pc = __builtin_return_address(0);
  if (valid) check_access(from, bytes, Access::read, pc);
  check_access(to, bytes, Access::write, pc);
  std::memset(to, 0xFF, bytes);
  mark_memory(to, bytes, false);
  current->open.push_back({to, from, bytes, valid, pc});
}

void cp_async_commit() {
  current->groups.push_back(std::exchange(current->open, {}));
}

void cp_async_wait(int pending) {
  while (current->groups.size() > static_cast<size_t>(pending)) {
    land(current->groups.front());
    current->groups.pop_front();
  }
}

}  // namespace simt
