// Memory sectors and bank conflicts, from what each warp asked for at once.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "tests/simt/state.h"

namespace simt {
namespace {

using Key = std::tuple<std::string, const void*, bool, bool>;  // kernel, pc, shared, write

std::map<Key, LineCounts>& table() {
  static std::map<Key, LineCounts> counts;
  return counts;
}

void count_global(const std::vector<Request>& lanes, LineCounts& line) {
  std::set<uintptr_t> sectors, bytes32;
  std::set<uintptr_t> words;
  for (const Request& r : lanes) {
    for (uintptr_t a = r.address; a < r.address + r.size; ++a) {
      sectors.insert(a / 32);
      words.insert(a);
    }
  }
  line.sectors += static_cast<int64_t>(sectors.size());
  line.ideal += static_cast<int64_t>((words.size() + 31) / 32);
}

/// Each wavefront serves one word of each of the 32 banks. Wider requests go by half or quarter
/// warps.
void count_shared(const std::vector<Request>& lanes, LineCounts& line) {
  const size_t group = lanes[0].size >= 16 ? 8 : lanes[0].size == 8 ? 16 : 32;
  for (size_t first = 0; first < lanes.size(); first += group) {
    std::map<uintptr_t, std::set<uintptr_t>> banks;
    for (size_t i = first; i < std::min(first + group, lanes.size()); ++i) {
      for (uintptr_t word = lanes[i].address / 4;
           word <= (lanes[i].address + lanes[i].size - 1) / 4; ++word) {
        banks[word % 32].insert(word);
      }
    }
    size_t wavefronts = 0;
    for (const auto& [bank, words] : banks) wavefronts = std::max(wavefronts, words.size());
    line.wavefronts += static_cast<int64_t>(wavefronts);
    ++line.ideal;
  }
}

}  // namespace

void count_requests(std::vector<Thread>& threads, unsigned count) {
  for (unsigned first = 0; first < count; first += 32) {
    // The n-th time that lanes pass a place belongs to one request of the warp.
    std::map<std::tuple<const void*, bool, bool>, std::vector<std::vector<Request>>> passes;
    for (unsigned i = first; i < std::min(first + 32, count); ++i) {
      std::map<std::tuple<const void*, bool, bool>, size_t> seen;
      for (const Request& r : threads[i].requests) {
        const std::tuple<const void*, bool, bool> key{r.pc, r.shared, r.write};
        auto& requests = passes[key];
        const size_t n = seen[key]++;
        if (requests.size() <= n) requests.emplace_back();
        requests[n].push_back(r);
      }
    }
    for (const auto& [key, requests] : passes) {
      const auto& [pc, shared, write] = key;
      LineCounts& line = table()[{launch_now().kernel, pc, shared, write}];
      line.kernel = launch_now().kernel;
      line.shared = shared;
      line.write = write;
      for (const std::vector<Request>& lanes : requests) {
        ++line.requests;
        for (const Request& r : lanes) line.bytes += r.size;
        shared ? count_shared(lanes, line) : count_global(lanes, line);
      }
    }
  }
}

std::vector<LineCounts> take_counts() {
  std::vector<const void*> pcs;
  for (const auto& [key, line] : table()) pcs.push_back(std::get<1>(key));
  look_up_places(pcs);
  // Several instructions of one line are one row.
  std::map<std::tuple<std::string, std::string, bool, bool>, LineCounts> rows;
  for (auto& [key, line] : table()) {
    line.place = place_of(std::get<1>(key));
    LineCounts& row = rows[{line.kernel, line.place, line.shared, line.write}];
    const LineCounts before = row;
    row = line;
    row.requests += before.requests;
    row.bytes += before.bytes;
    row.sectors += before.sectors;
    row.wavefronts += before.wavefronts;
    row.ideal += before.ideal;
  }
  table().clear();
  std::vector<LineCounts> all;
  for (auto& [key, row] : rows) all.push_back(std::move(row));
  return all;
}

}  // namespace simt
