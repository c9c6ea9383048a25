#include "apps/report/gallery.h"

#include <cmath>

#include "apps/table.h"
#include "engine/error.h"

namespace fettle {

Picture thumbnail(const Picture& picture, double pixels) {
  const double factor =
      std::min(1.0, std::sqrt(pixels / (double{1} * picture.height * picture.width)));
  const auto side = [&](int extent) {
    return std::max(1, static_cast<int>(std::lround(extent * factor)));
  };
  return resize(picture, side(picture.height), side(picture.width));
}

Html photo(const Picture& picture, const std::string& alt) {
  return element("img", {{"src", data_url("image/jpeg", to_jpeg(picture, 82))},
                         {"alt", alt},
                         {"width", std::to_string(picture.width)},
                         {"height", std::to_string(picture.height)}});
}

Html shot(const std::string& name, double aspect, const Html& pictures, const Html& caption) {
  return element("figure", {{"class", "shot"}, {"style", "--aspect:" + fixed(aspect, 3)}}, pictures,
                 element("figcaption", {}, caption, element("p", {{"class", "file"}}, name)));
}

Html gallery(const std::string& heading, const std::string& text, const std::vector<Html>& shots,
             size_t all, bool rows) {
  const size_t shown = shots.size();
  const std::string number = with_commas(static_cast<int64_t>(all));
  const Html content = element(
      "h3", {}, heading, " ",
      element("small", {}, shown < all ? cat(number, ", of which ", shown, " are shown") : number));
  if (shown == 0) return content;
  Html pictures;
  for (const Html& one : shots) pictures += one;
  return content + element("p", {{"class", "quiet"}}, text) +
         element("div", {{"class", rows ? "gallery rows" : "gallery"}}, pictures);
}

}  // namespace fettle
