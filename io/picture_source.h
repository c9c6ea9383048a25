// The batches of a list of pictures, with their classes or their masks, decoded ahead of training.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/train/batch.h"
#include "io/data_sets/mask_data.h"

namespace fettle {

struct PictureSourceOptions {
  /// Every picture is resized to this, bilinear, and its masks nearest; 0: to the crop's size where
  /// it is smaller, else not at all.
  int64_t height = 224, width = 224;
  int64_t channels = 3;  ///< 1 or 3
  int64_t batch_size = 32;
  /// What of a resized picture is handed out, a new part each epoch; 0: all of it. Half of the
  /// crops of a picture with defects are laid around one of their pixels.
  int64_t crop_height = 0, crop_width = 0;
  bool standardize = false;  ///< pixels minus their picture's mean, by its standard deviation
  bool as_bytes = false;     ///< pictures and masks as u8, a quarter of the way to a GPU
  bool shuffle = false;      ///< a new order each epoch, given by (seed, epoch) alone
  uint64_t seed = 0;
  bool cache = false;        ///< keep the resized pictures (8 bits a channel) for later epochs
  bool skip_broken = false;  ///< leave out pictures that cannot be decoded, see skipped()
  int64_t prefetch = 3;      ///< batches that may be ready or under way ahead of next()
  int threads = 0;           ///< decoding threads; 0: as many as kernels use
};

/// Reads, decodes and resizes pictures in threads of its own while the batches before are used; at
/// most `prefetch` batches are in memory, unless cached. Batches hold x f32 [N,H,W,C], from 0 to
/// 255 or standardised, and y, class numbers i32 [N], or labels f32 [N,labels] or masks f32
/// [N,H,W,kinds] of 0 and 1; the same whatever the number of threads. With as_bytes, pictures and
/// masks are u8, and what standardises pictures lies beside them (Batch::scaling).
///
/// A picture that cannot be read makes next() throw its Error when its batch is due or, with
/// skip_broken, is left out of its batch, which becomes smaller.
class PictureSource : public BatchSource {
 public:
  /// Either every example has `labels`, as many as the others, or none has.
  PictureSource(std::vector<Example> examples, const PictureSourceOptions& options);
  PictureSource(const MaskData& data, const PictureSourceOptions& options);
  ~PictureSource() override;
  PictureSource(PictureSource&&) noexcept;

  void start_epoch(uint32_t epoch) override;
  std::optional<Batch> next() override;
  int64_t batches() const override;
  int64_t examples() const override;

  /// The pictures left out so far: path and reason.
  std::map<std::string, std::string> skipped() const;

 private:
  class Loader;
  std::unique_ptr<Loader> loader_;
};

}  // namespace fettle
