#include "apps/predictor.h"

#include <algorithm>
#include <cmath>

#include "engine/device_name.h"
#include "engine/inference/decision.h"
#include "kernels/conv2d/cpu_packed.h"
#include "kernels/divide.h"

namespace fettle {
namespace {

// The program, the C++ library and what the system keeps for them.
constexpr int64_t program_bytes = 6 << 20, thread_bytes = 128 << 10;

Scaling scaling_of(const SingleFile& model, const Picture& picture) {
  return model.standardize ? standardization(picture) : Scaling{};
}

void require_together(const Device& device, Precision precision) {
  require(!device.is_cuda() || precision == Precision::fp32,
          "predictions in bf16 are the CPU's alone: take the device cpu, or fp32");
}

}  // namespace

std::string mebibytes(int64_t bytes) {
  const int64_t tenths = (bytes * 10 + (1 << 20) - 1) >> 20;
  return cat(tenths / 10, '.', tenths % 10, " MiB");
}

Predictor::Predictor(SingleFile model)
    : model_(std::move(model)), pool_(std::make_unique<ThreadPool>(0)) {}

void Predictor::set_threads(int count) {
  pool_ = std::make_unique<ThreadPool>(count);
}

void Predictor::set_device(const Device& device) {
  require_together(device, precision_);
  require_device(device);
  idle_.reset();
  planned_.reset();
  device_ = device;
}

void Predictor::set_precision(Precision precision) {
  require_together(device_, precision);
  require(precision == Precision::fp32 || cpu_has_bf16(),
          "this processor does not multiply bf16 (it has no AVX512-BF16): take fp32");
  idle_.reset();
  planned_.reset();
  precision_ = precision;
}

inference::PlanOptions Predictor::plan_options(bool pack_weights) const {
  return {.device = device_,
          .threads = pool_->threads(),
          .pack_weights = pack_weights,
          .precision = precision_};
}

Predictor::Work Predictor::work_with(PictureSize picture, int64_t height, int64_t width,
                                     TileOptions tiles, bool pack_weights) const {
  const int64_t C = model_.network.channels, K = classes();
  int64_t tile_height = height, tile_width = width;
  int64_t bytes = picture.height * picture.width * C;
  if (height != picture.height || width != picture.width) bytes += height * width * C;
  if (model_.segments) {
    const Tiling cut = tiling(height, width, tiles);
    tile_height = cut.height(), tile_width = cut.width();
    bytes += height * width * K * 4;
    if (height != picture.height || width != picture.width)
      bytes += picture.height * picture.width * K * 4;
    bytes += picture.height * picture.width * K;
  }
  bytes +=
      inference::plan(model_.network, tile_height, tile_width, plan_options(pack_weights)).bytes();
  bytes += model_.memory + program_bytes + pool_->threads() * thread_bytes;
  return {height, width, tiles, pack_weights, bytes};
}

Predictor::Work Predictor::work_for(PictureSize picture) const {
  const int64_t height = model_.own_size ? picture.height : model_.height;
  const int64_t width = model_.own_size ? picture.width : model_.width;
  TileOptions tiles{height, width, model_.multiple, model_.reach};
  if (model_.any_size) tiles = usual_tiles(height, width, model_.multiple, model_.reach);
  Work work = work_with(picture, height, width, tiles, true);
  const auto fits = [&] { return max_memory_ == 0 || work.bytes <= max_memory_; };
  if (!fits()) work = work_with(picture, height, width, tiles, false);
  if (!fits() && model_.segments && model_.any_size) {
    // The smallest tile whose middle is farther from its borders than the network sees.
    const int64_t m = model_.multiple, least = round_up(2 * model_.reach + m, m) + m;
    const int64_t most =
        std::min(std::max(tiles.height, tiles.width), round_up(std::max(height, width), m) - m);
    for (int64_t tile = most / m * m; tile >= least && !fits(); tile -= m) {
      tiles.height = tiles.width = tile;
      work = work_with(picture, height, width, tiles, false);
    }
  }
  if (!fits())
    throw TooLarge("a picture of ", picture.height, "x", picture.width, " needs ",
                   mebibytes(work.bytes), " of memory",
                   model_.segments && model_.any_size ? " even in small tiles" : "", " and ",
                   mebibytes(max_memory_), " are allowed: allow more",
                   model_.own_size ? " or make it smaller" : "");
  return work;
}

int64_t Predictor::memory_for(PictureSize picture) const {
  return work_for(picture).bytes;
}

void Predictor::require_room(PictureSize picture, int64_t file_bytes) const {
  work_for(picture);
  // While it is decoded, a picture is there up to four times: stb's own planes, its result, ours,
  // and turned upright.
  const int64_t bytes =
      file_bytes + 4 * picture.height * picture.width * 3 + model_.memory + program_bytes;
  if (max_memory_ > 0 && bytes > max_memory_)
    throw TooLarge("a picture file of ", picture.height, "x", picture.width, " needs ",
                   mebibytes(bytes), " of memory to be read and ", mebibytes(max_memory_),
                   " are allowed: allow more or make it smaller");
}

std::unique_ptr<inference::Session> Predictor::take_session(int64_t height, int64_t width,
                                                            bool pack_weights) const {
  const std::scoped_lock lock(mutex_);
  const auto planned_for_it = [&] {
    const inference::Plan& plan = planned_->plan();
    return plan.height == height && plan.width == width &&
           plan.options.pack_weights == pack_weights && plan.options.threads == pool_->threads();
  };
  if (!planned_ || !planned_for_it()) {
    idle_.reset();
    planned_.reset();
    planned_ = std::make_shared<const inference::PlannedNetwork>(
        model_.network, inference::plan(model_.network, height, width, plan_options(pack_weights)));
  }
  return idle_ ? std::move(idle_) : std::make_unique<inference::Session>(planned_);
}

void Predictor::give_back(std::unique_ptr<inference::Session> session) const {
  const std::scoped_lock lock(mutex_);
  if (max_memory_ > 0) {  // the next picture needs the room while it is read
    planned_.reset();
  } else if (planned_ && &planned_->plan() == &session->plan()) {
    idle_ = std::move(session);
  }
}

Finding Predictor::predict(const Picture& picture) const {
  const int64_t C = model_.network.channels, K = classes();
  require(picture.height > 0 && picture.width > 0 && picture.channels == C,
          "the model looks at pictures of ", C, " channels, not ", picture.channels);
  const ThreadScope threads(*pool_);
  const Work work = work_for({picture.height, picture.width});
  const auto height = static_cast<int>(work.height), width = static_cast<int>(work.width);
  const bool resized = picture.height != height || picture.width != width;
  const Picture other = resized ? resize(picture, height, width) : Picture{};
  const Picture& input = resized ? other : picture;
  const Scaling scaling = scaling_of(model_, input);
  const auto prepare = [&](uint8_t pixel) {
    return (static_cast<float>(pixel) - scaling.mean) * scaling.factor;
  };

  Finding finding{picture.height, picture.width, {}, 0, {}, {}, {}};
  if (!model_.segments) {
    std::unique_ptr<inference::Session> session = take_session(height, width, work.pack_weights);
    std::transform(input.pixels.begin(), input.pixels.end(), session->input(), prepare);
    const float* p = session->run();
    finding.probabilities.assign(p, p + K);
    if (model_.multi_label) {
      for (int64_t k = 0; k < K; ++k) finding.labels.push_back(has_label(p[k], model_.threshold));
    } else {
      finding.class_index = decide_class(p, K, model_.threshold);
    }
    give_back(std::move(session));
    return finding;
  }

  const auto floats = [&](int64_t h, int64_t w) {
    return std::vector<float>(static_cast<size_t>(h * w * K));
  };
  finding.map = floats(height, width);
  const Tiling tiles = tiling(height, width, work.tiles);
  std::unique_ptr<inference::Session> session =
      take_session(tiles.height(), tiles.width(), work.pack_weights);
  for (const TileSpan& rows : tiles.rows) {
    for (const TileSpan& columns : tiles.columns) {
      cut_tile(input.pixels.data(), height, width, C, rows, columns, prepare, session->input());
      blend_tile(session->run(), rows, columns, height, width, K, finding.map.data());
    }
  }
  give_back(std::move(session));
  if (resized) {
    std::vector<float> map = floats(picture.height, picture.width);
    resize_bilinear(finding.map.data(), height, width, K, picture.height, picture.width,
                    map.data());
    finding.map = std::move(map);
  }
  const auto pixels = static_cast<size_t>(picture.height) * static_cast<size_t>(picture.width);
  finding.probabilities.assign(static_cast<size_t>(K), 0.0f);
  finding.masks.resize(pixels * static_cast<size_t>(K));
  for (size_t i = 0; i < pixels; ++i) {
    const float* p = finding.map.data() + i * static_cast<size_t>(K);
    for (int64_t k = 0; k < K; ++k) {
      float& highest = finding.probabilities[static_cast<size_t>(k)];
      highest = std::max(highest, p[k]);
      finding.masks[static_cast<size_t>(k) * pixels + i] = is_marked(p, K, k, model_.threshold);
    }
  }
  return finding;
}

}  // namespace fettle
