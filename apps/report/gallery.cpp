#include "apps/report/gallery.h"

#include <cmath>

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

Html shot(const std::string& name, const Html& pictures, const Html& caption) {
  return element("figure", {{"class", "shot"}}, pictures,
                 element("figcaption", {}, caption, element("p", {{"class", "file"}}, name)));
}

Html gallery(const std::string& heading, const std::string& text, const std::vector<Html>& shots,
             size_t all, bool wide) {
  const size_t shown = shots.size();
  Html content = element("h3", {}, heading, ": ", counted(static_cast<int64_t>(all), "picture"),
                         shown < all ? ", of which " + std::to_string(shown) + " are shown" : "");
  if (shown == 0) return content;
  Html pictures;
  for (const Html& one : shots) pictures += one;
  return content + element("p", {{"class", "quiet"}}, text) +
         element("div", {{"class", wide ? "gallery wide" : "gallery"}}, pictures);
}

}  // namespace fettle
