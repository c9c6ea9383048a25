#include "io/run_length.h"

#include <algorithm>
#include <charconv>

#include "engine/error.h"

namespace fettle {
namespace {

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view blanks = " \t\r\n";
  for (size_t at = text.find_first_not_of(blanks); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(blanks, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(blanks, end);
  }
  return words;
}

int64_t number_of(std::string_view word) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  require(error == std::errc() && end == word.data() + word.size(), "'", word,
          "' in the run lengths is not a whole number");
  return number;
}

}  // namespace

void add_run_lengths(std::string_view text, Mask& mask, int64_t origin) {
  const std::vector<std::string_view> words = words_of(text);
  require(words.size() % 2 == 0, "the run lengths hold ", words.size(),
          " numbers; they must be pairs of start and length");
  const int64_t pixels = mask.height * mask.width;
  std::vector<bool> covered(static_cast<size_t>(pixels));  // by this text alone
  for (size_t i = 0; i < words.size(); i += 2) {
    const int64_t first = number_of(words[i]), length = number_of(words[i + 1]);
    const int64_t begin = first - origin;
    require(length > 0, "the run at ", first, " has the length ", length,
            "; it must be at least 1");
    require(begin >= 0 && begin < pixels && length <= pixels - begin, "the run at ", first,
            " with the length ", length, " leaves the picture of ", mask.height, "x", mask.width,
            " pixels, which are numbered from ", origin);
    for (int64_t pixel = begin; pixel < begin + length; ++pixel) {
      require(!covered[static_cast<size_t>(pixel)], "the run at ", first,
              " overlaps another one at pixel ", pixel + origin);
      covered[static_cast<size_t>(pixel)] = true;
      mask.at(pixel % mask.height, pixel / mask.height) = 1;
    }
  }
}

std::string run_lengths_of(const Mask& mask, int64_t origin) {
  std::string text;
  const int64_t pixels = mask.height * mask.width;
  const auto set = [&](int64_t pixel) {
    return mask.at(pixel % mask.height, pixel / mask.height) != 0;
  };
  for (int64_t pixel = 0; pixel < pixels;) {
    if (!set(pixel)) {
      ++pixel;
      continue;
    }
    const int64_t begin = pixel;
    while (pixel < pixels && set(pixel)) ++pixel;
    text += cat(text.empty() ? "" : " ", begin + origin, " ", pixel - begin);
  }
  return text;
}

}  // namespace fettle
