#include "io/regions.h"

#include <algorithm>
#include <tuple>

namespace fettle {
namespace {

// Neighbouring set pixels of one row.
struct Run {
  int64_t begin, end;  // pixels, counted along the rows
  size_t first;        // a run of the same region, this one or an earlier one
};

size_t find_first(std::vector<Run>& runs, size_t run) {
  while (runs[run].first != run) run = runs[run].first = runs[runs[run].first].first;
  return run;
}

void join(std::vector<Run>& runs, size_t a, size_t b) {
  a = find_first(runs, a);
  b = find_first(runs, b);
  runs[std::max(a, b)].first = std::min(a, b);
}

// Union-find over runs, in the order of their pixels; `first` is the first run of the region.
std::vector<Run> connected_runs(const Mask& mask) {
  std::vector<Run> runs;
  const auto is_set = [](uint8_t pixel) { return pixel != 0; };
  size_t above = 0;  // the first run of the row above that may touch
  for (int64_t row = 0; row < mask.height; ++row) {
    const size_t row_start = runs.size();
    const auto start = mask.pixels.begin(), row_end = start + (row + 1) * mask.width;
    for (auto pixel = std::find_if(row_end - mask.width, row_end, is_set); pixel != row_end;) {
      const auto end = std::find(pixel, row_end, 0);
      const Run run{pixel - start, end - start, runs.size()};
      runs.push_back(run);
      while (above < row_start && runs[above].end + mask.width < run.begin) ++above;
      for (size_t i = above; i < row_start && runs[i].begin + mask.width <= run.end; ++i) {
        join(runs, i, run.first);
      }
      pixel = std::find_if(end, row_end, is_set);
    }
    above = row_start;
  }
  for (Run& run : runs) run.first = runs[run.first].first;
  return runs;
}

}  // namespace

std::vector<Region> regions_of(const Mask& mask, const float* probabilities, int64_t stride,
                               int64_t min_area) {
  const std::vector<Run> runs = connected_runs(mask);
  std::vector<size_t> number(runs.size());  // of the region, at its first run
  std::vector<Region> regions;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto [begin, end, first] = runs[i];
    const int64_t row = begin / mask.width, x = begin % mask.width, length = end - begin;
    if (first == i) {
      number[i] = regions.size();
      regions.push_back({x, row, length, 1, 0, 0});
    }
    Region& region = regions[number[first]];
    const int64_t right = std::max(region.x + region.width, x + length);
    region.x = std::min(region.x, x);
    region.width = right - region.x;
    region.height = row - region.y + 1;
    region.area += length;
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      region.confidence += static_cast<double>(probabilities[pixel * stride]);
    }
  }
  std::erase_if(regions, [&](const Region& region) { return region.area < min_area; });
  for (Region& region : regions) region.confidence /= static_cast<double>(region.area);
  std::stable_sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) {
    return std::tie(b.area, a.y, a.x) < std::tie(a.area, b.y, b.x);
  });
  return regions;
}

void remove_small_regions(Mask& mask, int64_t min_area) {
  const std::vector<Run> runs = connected_runs(mask);
  std::vector<int64_t> area(runs.size());  // of the region, at its first run
  for (const Run& run : runs) area[run.first] += run.end - run.begin;
  for (const Run& run : runs) {
    if (area[run.first] >= min_area) continue;
    std::fill(mask.pixels.begin() + run.begin, mask.pixels.begin() + run.end, uint8_t{0});
  }
}

}  // namespace fettle
