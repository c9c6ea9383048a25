#include "apps/segmenter.h"

#include <algorithm>
#include <memory>

#include "apps/single_file.h"
#include "engine/autograd.h"
#include "engine/inference/decision.h"
#include "engine/inference/plan.h"
#include "engine/ops/activation.h"
#include "kernels/parallel.h"
#include "models/tiles.h"

namespace fettle {
namespace {

/// A network as a function of tensors [1,h,w,C] on the host. It stays planned for the size before.
class NetworkFunction {
 public:
  explicit NetworkFunction(inference::Network network) : network_(std::move(network)) {}
  Tensor operator()(const Tensor& x);

 private:
  inference::Network network_;
  std::unique_ptr<inference::Session> session_;
};

/// The picture as the network sees it, [1,H,W,C].
Tensor input_of(const Picture& picture, bool standardize) {
  const Scaling scaling = standardize ? standardization(picture) : Scaling{};
  Tensor x = Tensor::empty({1, picture.height, picture.width, picture.channels});
  std::transform(picture.pixels.begin(), picture.pixels.end(), x.data(), [&](uint8_t pixel) {
    return (static_cast<float>(pixel) - scaling.mean) * scaling.factor;
  });
  return x;
}

Tensor NetworkFunction::operator()(const Tensor& x) {
  const int64_t height = x.shape()[1], width = x.shape()[2];
  if (!session_ || session_->plan().height != height || session_->plan().width != width) {
    session_.reset();
    session_ = std::make_unique<inference::Session>(std::make_shared<inference::PlannedNetwork>(
        network_, plan(network_, height, width, {.threads = threads()})));
  }
  std::copy_n(x.data(), x.size(), session_->input());
  Tensor y = Tensor::empty(session_->plan().output());
  std::copy_n(session_->run(), y.size(), y.data());
  return y;
}

}  // namespace

std::vector<Mask> Segmentation::masks(double threshold) const {
  const auto kinds = static_cast<size_t>(probabilities.shape()[-1]);
  std::vector<Mask> masks(kinds, Mask(picture.height, picture.width));
  const float* p = probabilities.data();
  for (size_t i = 0; i < masks[0].pixels.size(); ++i, p += kinds) {
    for (int64_t k = 0; k < std::ssize(masks); ++k)
      masks[k].pixels[i] = is_marked(p, std::ssize(masks), k, threshold);
  }
  return masks;
}

Segmenter::Segmenter(TrainedModel& model, Device device, ImageSize tile)
    : model_(model), device_(device), tile_(tile) {
  require_task(model, Task::segmentation);
  const ModelEntry& entry = model.entry();
  if (tile.height > 0) check_reach({tile.height, tile.width, entry.multiple, entry.reach});
  std::optional<inference::Network> network;
  if (!device.is_cuda()) network = network_of_any_size(model);
  if (network) {
    probabilities_ = [f = std::make_shared<NetworkFunction>(*std::move(network))](const Tensor& x) {
      return (*f)(x);
    };
  } else {
    probabilities_ = [&model](const Tensor& x) { return sigmoid((*model.layer)(x)); };
  }
}

Segmentation Segmenter::operator()(const std::string& path) const {
  const NoGrad no_grad;
  const RunConfig& config = model_.config;
  const ModelEntry& entry = model_.entry();
  Segmentation result{read_picture(path, static_cast<int>(config.channels)), {}};
  const int64_t height = config.height > 0 ? config.height : result.picture.height;
  const int64_t width = config.width > 0 ? config.width : result.picture.width;
  const Tensor x = input_of(
      resize(result.picture, static_cast<int>(height), static_cast<int>(width)), entry.standardize);

  TileOptions tiles = usual_tiles(height, width, entry.multiple, entry.reach);
  if (tile_.height > 0) tiles.height = tile_.height, tiles.width = tile_.width;
  const Tensor p = apply_in_tiles(probabilities_, x, device_, tiles);
  result.probabilities = resize_bilinear(p, result.picture.height, result.picture.width);
  return result;
}

void add_tile(CLI::App& command, ImageSize& tile) {
  add_size(command, "--tile", tile,
           "Size of the tiles that large pictures are cut into [by the model, and only above a "
           "million pixels]");
}

}  // namespace fettle
