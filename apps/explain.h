// Heat maps that show why a classifier says what it says.
#pragma once

#include <functional>
#include <vector>

#include "apps/findings.h"

namespace fettle {

/// A picture, the class, or one of the labels, that was predicted, and its probability.
struct Explained {
  NamedPicture picture;
  size_t class_index = 0;
  float probability = 0;
};

/// Calls f(index, map) for each of the pictures, in order: the Grad-CAM map f32 [1,P,Q,1], on the
/// host, of its class (models/grad_cam.h). Freezes the model.
void for_each_heat_map(TrainedModel& model, const std::vector<Explained>& pictures,
                       const RunOptions& options, Device device,
                       const std::function<void(size_t, const Tensor&)>& f);

/// Writes `folder`/explanations/NAME.png (of labels NAME.LABEL.png), the picture with its Grad-CAM
/// heat map (models/grad_cam.h) for the predicted class or label, and `folder`/explanations.csv:
/// path, class, probability, and x and y of the hottest pixel of the picture, both empty where
/// nothing speaks for the class. Freezes the model.
void explain(TrainedModel& model, const std::vector<Explained>& pictures, const std::string& folder,
             const RunOptions& options, Device device);

}  // namespace fettle
