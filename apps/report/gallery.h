// Pictures on a page: few, small, and inside the page itself.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "apps/report/page.h"
#include "io/picture.h"

namespace fettle {

/// At most so many pictures of each way to be wrong, and of each way to be right.
constexpr size_t most_wrong = 12, most_right = 6;

/// The picture with about `pixels` pixels at the most, so that wide and square ones take the same
/// room; smaller ones stay as they are.
Picture thumbnail(const Picture& picture, double pixels);

/// The picture as an image that the page holds.
Html photo(const Picture& picture, const std::string& alt);

/// One picture, whose width is `aspect` times its height, with its caption. `name` tells which
/// picture it is.
Html shot(const std::string& name, double aspect, const Html& pictures, const Html& caption);

/// Shots under a heading that says how many there are in all: in columns, or in `rows` of pictures
/// of about the same height.
Html gallery(const std::string& heading, const std::string& text, const std::vector<Html>& shots,
             size_t all, bool rows);

/// The first `most` of the pictures that `wanted` accepts, by `before(a, b)`; `all` is how many it
/// accepted.
struct Choice {
  std::vector<size_t> picked;
  size_t all = 0;
};
template <class Wanted, class Before>
Choice choose(size_t count, size_t most, const Wanted& wanted, const Before& before) {
  Choice choice;
  for (size_t i = 0; i < count; ++i)
    if (wanted(i)) choice.picked.push_back(i);
  choice.all = choice.picked.size();
  std::stable_sort(choice.picked.begin(), choice.picked.end(), before);
  choice.picked.resize(std::min(choice.all, most));
  return choice;
}

}  // namespace fettle
