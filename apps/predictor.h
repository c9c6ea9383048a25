// A single-file model at work: from pictures to classes or masks, in bounded memory.
#pragma once

#include <memory>
#include <mutex>

#include "engine/error.h"
#include "engine/inference/plan.h"
#include "engine/inference/tiles.h"
#include "io/picture.h"
#include "io/single_file.h"
#include "kernels/parallel.h"

namespace fettle {

/// What a model says of one picture.
struct Finding {
  int64_t height = 0, width = 0;  ///< of the picture
  /// One a class; of a segmenter the largest of any pixel, one a kind.
  std::vector<float> probabilities;
  int64_t class_index = 0;     ///< of a classifier that tells one class
  std::vector<bool> labels;    ///< of one that gives several: which hold
  std::vector<float> map;      ///< [H,W,kinds] of a segmenter
  std::vector<uint8_t> masks;  ///< [kinds,H,W] of 0 and 1
};

/// Thrown where a picture needs more memory than is allowed.
class TooLarge : public Error {
 public:
  using Error::Error;
};

class Predictor {
 public:
  explicit Predictor(SingleFile model);

  const SingleFile& model() const { return model_; }
  int64_t classes() const { return std::ssize(model_.class_names); }

  /// As set_threads() in kernels/parallel.h, of this predictor alone. Not while it predicts.
  void set_threads(int count);
  /// Where the network runs: at first on the CPU. Throws Error in a sentence, and changes nothing,
  /// where the device is not there, the build has no kernels for it, or it is a GPU and the
  /// precision bf16. Not while it predicts.
  void set_device(const Device& device);
  int threads() const { return pool_->threads(); }
  /// What convolutions multiply: fp32, or bf16 where the processor can (AVX512-BF16): faster, and
  /// exact to about three digits. Throws Error where it cannot, and on a GPU. Not while it
  /// predicts.
  void set_precision(Precision precision);
  /// Bytes that the process may need, at most, with what the network takes on a GPU, but not what
  /// CUDA takes for itself; 0: no limit. Not while it predicts.
  void set_max_memory(int64_t bytes) { max_memory_ = bytes; }

  /// The picture, of the model's channels, through the model, as `fettle predict` does it: resized,
  /// prepared, in tiles where it is large or memory is short. May be called by several threads.
  /// Throws TooLarge before anything is computed, std::bad_alloc, and Error where the GPU fails.
  Finding predict(const Picture& picture) const;

  /// Throws TooLarge unless a picture file of that size can be read and predicted.
  void require_room(PictureSize picture, int64_t file_bytes) const;

  /// Bytes that the process needs for a picture of that size, with the tiles that would be used.
  int64_t memory_for(PictureSize picture) const;

 private:
  struct Work {
    int64_t height, width;  // what the picture is resized to
    TileOptions tiles;
    bool pack_weights;
    int64_t bytes;
  };
  inference::PlanOptions plan_options(bool pack_weights) const;
  Work work_for(PictureSize picture) const;
  Work work_with(PictureSize picture, int64_t height, int64_t width, TileOptions tiles,
                 bool pack_weights) const;
  std::unique_ptr<inference::Session> take_session(int64_t height, int64_t width,
                                                   bool pack_weights) const;
  void give_back(std::unique_ptr<inference::Session> session) const;

  SingleFile model_;
  Device device_;
  int64_t max_memory_ = 0;
  Precision precision_ = Precision::fp32;
  std::unique_ptr<ThreadPool> pool_;

  // What the last picture was predicted with: the next one has mostly the same size.
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const inference::PlannedNetwork> planned_;
  mutable std::unique_ptr<inference::Session> idle_;
};

/// Bytes as people read them: "12.5 MiB".
std::string mebibytes(int64_t bytes);

}  // namespace fettle
