#include "apps/explain.h"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "apps/progress.h"
#include "apps/table.h"
#include "engine/train/device_batches.h"
#include "io/csv.h"
#include "io/heat_map.h"
#include "models/grad_cam.h"
#include "models/tiles.h"

namespace fettle {

void explain(TrainedModel& model, const std::vector<Explained>& pictures, const std::string& folder,
             const RunOptions& options, Device device) {
  namespace fs = std::filesystem;
  model.layer->set_trainable(false);
  std::vector<Example> examples;
  for (const Explained& one : pictures) examples.push_back({one.picture.path, 0});
  PictureSource source(examples, prediction_options(model.config, options));
  DeviceBatches batches(source, device);

  const std::string file = (fs::path(folder) / "explanations.csv").string();
  AtomicFile table(file);
  table.write(csv_line({"path", "class", "probability", "x", "y"}));
  Progress progress;
  size_t done = 0;
  batches.start_epoch(0);
  while (const std::optional<Batch> batch = batches.next()) {
    std::vector<int32_t> classes;
    for (int64_t n = 0; n < batch->x.shape()[0]; ++n)
      classes.push_back(
          static_cast<int32_t>(pictures.at(done + static_cast<size_t>(n)).class_index));
    const Tensor maps = grad_cam(*model.layer, batch->x, classes);
    const Shape small = {1, maps.shape()[1], maps.shape()[2], 1};
    for (int64_t n = 0; n < maps.shape()[0]; ++n, ++done) {
      const auto& [named, class_index, probability] = pictures[done];
      const Picture picture = read_picture(named.path, static_cast<int>(model.config.channels));
      const Tensor map =
          Tensor::from(small, std::span<const float>(maps.data() + n * small.size(), small.size()));
      const Tensor whole = resize_bilinear(map, picture.height, picture.width);
      const std::span<const float> heat(whole.data(), static_cast<size_t>(whole.size()));
      const auto peak = std::max_element(heat.begin(), heat.end()) - heat.begin();
      const bool any = heat[static_cast<size_t>(peak)] > 0;
      const std::string name = model.config.class_names[class_index];
      table.write(csv_line({named.path, name, fixed(probability, 4),
                            any ? std::to_string(peak % picture.width) : "",
                            any ? std::to_string(peak / picture.width) : ""}));
      const fs::path png = fs::path(folder) / "explanations" / (named.name + ".png");
      make_folder(png.parent_path().string());
      write_png(png.string(), draw_heat_map(picture, heat, cat(name, ", ", fixed(probability, 2))));
    }
    progress.count("Explaining", static_cast<int64_t>(done), std::ssize(pictures));
  }
  progress.clear();
  table.commit();
  std::cerr << "Wrote " << done << " heat maps to " << (fs::path(folder) / "explanations").string()
            << "\n";
}

}  // namespace fettle
