#include "apps/explain.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <set>

#include "apps/progress.h"
#include "apps/table.h"
#include "engine/train/device_batches.h"
#include "io/csv.h"
#include "io/folder.h"
#include "io/heat_map.h"
#include "models/grad_cam.h"
#include "models/tiles.h"

namespace fettle {
namespace {

/// A place in a map, in cells from its upper left corner; nothing where the map is cold.
struct Peak {
  bool any = false;
  double x = 0, y = 0;
};

/// The hottest cell of a map [P,Q], moved to the centre of the heat in the 3x3 cells around it
/// above the coldest of them: a cell may be larger than a defect.
Peak peak_of(const float* map, int64_t P, int64_t Q) {
  const int64_t best = std::max_element(map, map + P * Q) - map;
  if (!(map[best] > 0)) return {};
  const int64_t row = best / Q, column = best % Q;
  const auto each = [&](const auto& f) {
    for (int64_t p = std::max<int64_t>(row - 1, 0); p <= std::min(row + 1, P - 1); ++p)
      for (int64_t q = std::max<int64_t>(column - 1, 0); q <= std::min(column + 1, Q - 1); ++q)
        f(static_cast<double>(p), static_cast<double>(q), double{map[p * Q + q]});
  };
  double coldest = map[best], total = 0, x = 0, y = 0;
  each([&](double, double, double heat) { coldest = std::min(coldest, heat); });
  each([&](double p, double q, double heat) {
    total += heat - coldest;
    x += (heat - coldest) * (q + 0.5);
    y += (heat - coldest) * (p + 0.5);
  });
  if (total > 0) return {true, x / total, y / total};
  return {true, static_cast<double>(column) + 0.5, static_cast<double>(row) + 0.5};
}

/// What the heat map of a picture is called.
std::string file_name(const RunConfig& config, const Explained& one) {
  if (!config.multi_label) return one.picture.name + ".png";
  std::string label = config.class_names[one.class_index];
  std::replace(label.begin(), label.end(), '/', '_');
  return cat(one.picture.name, '.', label, ".png");
}

/// A place in cells as a pixel.
std::string pixel(double place, int64_t cells, int extent) {
  return std::to_string(static_cast<int64_t>(place * extent / static_cast<double>(cells)));
}

}  // namespace

void for_each_heat_map(TrainedModel& model, const std::vector<Explained>& pictures,
                       const RunOptions& options, Device device,
                       const std::function<void(size_t, const Tensor&)>& f) {
  model.layer->set_trainable(false);
  std::vector<Example> examples;
  for (const Explained& one : pictures) examples.push_back({one.picture.path, 0});
  PictureSource source(examples, prediction_options(model.config, options));
  DeviceBatches batches(source, device);

  Progress progress;
  size_t done = 0;
  batches.start_epoch(0);
  while (const std::optional<Batch> batch = batches.next()) {
    std::vector<int32_t> classes;
    for (int64_t n = 0; n < batch->x.shape()[0]; ++n)
      classes.push_back(
          static_cast<int32_t>(pictures.at(done + static_cast<size_t>(n)).class_index));
    const Tensor maps = grad_cam(*model.layer, batch->x, classes, model.config.multi_label);
    const Shape small = {1, maps.shape()[1], maps.shape()[2], 1};
    for (int64_t n = 0; n < maps.shape()[0]; ++n, ++done) {
      const float* map = maps.data() + n * small.size();
      f(done, Tensor::from(small, std::span<const float>(map, static_cast<size_t>(small.size()))));
    }
    progress.count("Explaining", static_cast<int64_t>(done), std::ssize(pictures));
  }
  progress.clear();
}

void explain(TrainedModel& model, const std::vector<Explained>& pictures, const std::string& folder,
             const RunOptions& options, Device device) {
  namespace fs = std::filesystem;
  AtomicFile table((fs::path(folder) / "explanations.csv").string());
  table.write(csv_line({"path", "class", "probability", "x", "y"}));
  std::set<fs::path> drawn;
  if (pictures.empty()) {
    remove_other_pngs(fs::path(folder) / explanations_folder, drawn);
    table.commit();
    std::cerr << "No label was predicted, so there is none to explain\n";
    return;
  }
  for_each_heat_map(model, pictures, options, device, [&](size_t index, const Tensor& map) {
    const auto& [named, class_index, probability] = pictures[index];
    const Picture picture = read_picture(named.path, static_cast<int>(model.config.channels));
    const int64_t P = map.shape()[1], Q = map.shape()[2];
    const Peak peak = peak_of(map.data(), P, Q);
    const Tensor heat = resize_bilinear(map, picture.height, picture.width);
    const std::string name = model.config.class_names[class_index];
    table.write(csv_line({named.path, name, fixed(probability, 4),
                          peak.any ? pixel(peak.x, Q, picture.width) : "",
                          peak.any ? pixel(peak.y, P, picture.height) : ""}));
    const fs::path png =
        fs::path(folder) / explanations_folder / file_name(model.config, pictures[index]);
    drawn.insert(png);
    make_folder(png.parent_path().string());
    write_png(png.string(), draw_heat_map(picture, {heat.data(), static_cast<size_t>(heat.size())},
                                          cat(name, ", ", fixed(probability, 2))));
  });
  remove_other_pngs(fs::path(folder) / explanations_folder, drawn);
  table.commit();
  std::cerr << "Wrote " << pictures.size() << " heat maps to "
            << (fs::path(folder) / explanations_folder).string() << "\n";
}

}  // namespace fettle
