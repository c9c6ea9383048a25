#include "io/synthesize_steel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <numeric>
#include <vector>

#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/drawing_noise.h"
#include "io/steel_picture.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

// Rows of each kind and pictures with more than one kind in Severstal's train.csv.
constexpr std::array<int64_t, steel_kinds> severstal_rows = {897, 247, 5150, 801};
constexpr int64_t severstal_faulty = 6666, severstal_several = 427;

using Kinds = std::array<bool, steel_kinds>;

// Shares `rows` out among the kinds as Severstal does, by largest remainders.
std::array<int64_t, steel_kinds> rows_of_kinds(int64_t rows) {
  const int64_t total = std::accumulate(severstal_rows.begin(), severstal_rows.end(), int64_t{0});
  std::array<int64_t, steel_kinds> shares{}, remainders{};
  for (int kind = 0; kind < steel_kinds; ++kind) {
    shares[kind] = rows * severstal_rows[kind] / total;
    remainders[kind] = rows * severstal_rows[kind] % total;
  }
  while (std::accumulate(shares.begin(), shares.end(), int64_t{0}) < rows) {
    const auto largest = std::max_element(remainders.begin(), remainders.end());
    ++shares[largest - remainders.begin()];
    *largest = -1;
  }
  for (int64_t& share : shares) {
    if (share > 0 || rows < steel_kinds) continue;
    --*std::max_element(shares.begin(), shares.end());
    share = 1;
  }
  return shares;
}

template <class T>
void shuffle(std::vector<T>& cards, drawing::Dice& dice) {
  for (size_t i = cards.size(); i > 1; --i)
    std::swap(cards[i - 1], cards[dice.below(static_cast<int>(i))]);
}

// Which kinds each picture has.
std::vector<Kinds> deal_kinds(const SyntheticSteelOptions& options) {
  const auto good = std::llround(options.good_share * static_cast<double>(options.count));
  const int64_t faulty = options.count - good;
  const int64_t seconds = (faulty * severstal_several + severstal_faulty / 2) / severstal_faulty;
  std::vector<int> deck;
  const std::array<int64_t, steel_kinds> rows = rows_of_kinds(faulty + seconds);
  for (int kind = 0; kind < steel_kinds; ++kind)
    deck.insert(deck.end(), static_cast<size_t>(rows[kind]), kind);
  constexpr uint32_t dealing = 1;  // pictures are stream 0
  drawing::Dice dice({options.seed, 0, dealing});
  shuffle(deck, dice);

  std::vector<Kinds> pictures(static_cast<size_t>(faulty));
  for (Kinds& kinds : pictures) {
    kinds[deck.back()] = true;
    deck.pop_back();
  }
  for (const int second : deck) {  // so few that there is a picture for each
    const auto picture = std::find_if(pictures.begin(), pictures.end(), [&](const Kinds& kinds) {
      return !kinds[second] && std::count(kinds.begin(), kinds.end(), true) == 1;
    });
    (*picture)[second] = true;
  }
  pictures.resize(static_cast<size_t>(options.count));  // with the good ones
  shuffle(pictures, dice);
  return pictures;
}

// "000001.jpg"
std::string picture_name(size_t index) {
  const std::string digits = std::to_string(index + 1);
  return std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits + ".jpg";
}

void check(const SyntheticSteelOptions& options) {
  require(options.count >= 1 && options.count <= 1'000'000,
          "between 1 and 1,000,000 sheets of steel can be made, not ", options.count);
  require(options.good_share >= 0 && options.good_share <= 1,
          "the share of good sheets must be between 0 and 1, not ", options.good_share);
  check_steel_size(options.height, options.width);
}

}  // namespace

void synthesize_steel(const std::string& dir, const SyntheticSteelOptions& options) {
  check(options);
  make_folder(dir + "/train_images");
  const std::vector<Kinds> pictures = deal_kinds(options);
  std::vector<std::string> rows(pictures.size());
  std::vector<std::exception_ptr> errors(pictures.size());  // tasks must not throw
  parallel_tasks(options.count, [&](int64_t task) {
    const auto i = static_cast<size_t>(task);
    try {
      const RandomKey key{options.seed, static_cast<uint32_t>(i)};
      const SteelPicture steel = draw_steel(key, static_cast<int>(options.height),
                                            static_cast<int>(options.width), pictures[i]);
      const std::string name = picture_name(i);
      write_jpeg(dir + "/train_images/" + name, steel.picture);
      for (int kind = 0; kind < steel_kinds; ++kind)
        if (pictures[i][kind])
          rows[i] += csv_line({name, std::to_string(kind + 1), run_lengths_of(steel.masks[kind])});
    } catch (...) {
      errors[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  std::string table = csv_line({"ImageId", "ClassId", "EncodedPixels"});
  for (const std::string& row : rows) table += row;
  write_file(dir + "/train.csv", table);
}

}  // namespace fettle
