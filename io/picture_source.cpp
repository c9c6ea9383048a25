#include "io/picture_source.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "io/picture.h"
#include "kernels/divide.h"
#include "kernels/parallel.h"
#include "kernels/philox.h"

namespace fettle {
namespace {

// Far above the streams of a model's random layers, so that order and crops are independent of
// them.
constexpr uint32_t shuffle_stream = 0xFFFFFFFFu, crop_stream = 0xFFFFFFFEu;

// Fisher and Yates; multiplying instead of rejecting favours no place by more than count / 2^32.
void shuffle(std::vector<int64_t>& order, uint64_t seed, uint32_t epoch) {
  const RandomKey key{seed, epoch, shuffle_stream};
  for (uint64_t i = order.size(); i-- > 1;) {
    const uint64_t draw = philox4x32(key, i).v[0] * (i + 1) >> 32;
    std::swap(order[i], order[draw]);
  }
}

/// A picture as it stays in the cache.
struct Decoded {
  Picture picture;
  std::vector<uint8_t> masks = {};  // [H,W,kinds] of 0 and 1
};

/// The masks of one size, side by side, at another: each pixel takes the one that its centre meets.
std::vector<uint8_t> resize_nearest(const std::vector<Mask>& masks, int64_t height, int64_t width) {
  std::vector<uint8_t> resized;
  resized.reserve(static_cast<size_t>(height * width) * masks.size());
  const Mask& first = masks.front();
  for (int64_t row = 0; row < height; ++row) {
    const int64_t from_row = (2 * row + 1) * first.height / (2 * height);
    for (int64_t column = 0; column < width; ++column) {
      const int64_t from_column = (2 * column + 1) * first.width / (2 * width);
      for (const Mask& mask : masks) resized.push_back(mask.at(from_row, from_column));
    }
  }
  return resized;
}

/// What of a picture is handed out.
struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// A window of that size, drawn by `key` and the picture's index.
Window draw_window(const Decoded& decoded, int64_t height, int64_t width, RandomKey key,
                   int64_t index, bool prefer_defects) {
  const int64_t rows = decoded.picture.height, columns = decoded.picture.width;
  const Philox4 draw = philox4x32(key, static_cast<uint64_t>(index));
  const auto below = [&](int place, int64_t count) {
    return static_cast<int64_t>(uint64_t{draw.v[place]} * static_cast<uint64_t>(count) >> 32);
  };
  int64_t first_row = 0, last_row = rows - height;
  int64_t first_column = 0, last_column = columns - width;
  if (prefer_defects && (draw.v[0] & 1) != 0) {
    const size_t kinds = decoded.masks.size() / static_cast<size_t>(rows * columns);
    const auto is_set = [](uint8_t value) { return value != 0; };
    const auto set = std::count_if(decoded.masks.begin(), decoded.masks.end(), is_set);
    if (set > 0) {
      auto at = std::find_if(decoded.masks.begin(), decoded.masks.end(), is_set);
      for (int64_t skip = below(1, set); skip > 0; --skip)
        at = std::find_if(at + 1, decoded.masks.end(), is_set);
      const int64_t pixel = (at - decoded.masks.begin()) / static_cast<int64_t>(kinds);
      const int64_t row = pixel / columns, column = pixel % columns;
      first_row = std::max(first_row, row - height + 1);
      last_row = std::min(last_row, row);
      first_column = std::max(first_column, column - width + 1);
      last_column = std::min(last_column, column);
    }
  }
  return {first_row + below(2, last_row - first_row + 1),
          first_column + below(3, last_column - first_column + 1), height, width};
}

}  // namespace

// Threads take the epoch's examples one by one, so that all of them work on the batch that is due
// next, but never beyond the batches that the consumer has opened.
class PictureSource::Loader {
 public:
  /// `data` is nullptr where the examples' classes or labels are the targets.
  Loader(std::vector<Example> examples, std::unique_ptr<MaskData> data,
         const PictureSourceOptions& options)
      : examples_(std::move(examples)),
        data_(std::move(data)),
        kinds_(data_ ? std::ssize(data_->kinds) : 0),
        labels_(examples_.empty() ? 0 : std::ssize(examples_.front().labels)),
        options_(options),
        cropped_(options.crop_height > 0),
        height_(cropped_ ? options.crop_height : options.height),
        width_(cropped_ ? options.crop_width : options.width),
        cache_(options.cache ? examples_.size() : 0) {
    require(!examples_.empty(), "there are no pictures to read");
    for (const Example& example : examples_)
      require(std::ssize(example.labels) == labels_, "'", example.path, "' has ",
              example.labels.size(), " labels and '", examples_.front().path, "' ", labels_);
    require(height_ > 0 && width_ > 0 && (options.height <= 0 || options.height >= height_) &&
                (options.width <= 0 || options.width >= width_),
            "crops of ", height_, "x", width_, " do not fit into pictures of ", options.height, "x",
            options.width);
    require(options_.batch_size > 0 && options_.prefetch > 0, "the batch size is ",
            options_.batch_size, " and the number of batches prepared ahead ", options_.prefetch,
            ", but both must be at least 1");
    if (options_.threads <= 0) options_.threads = fettle::threads();
  }
  ~Loader() { stop(); }

  void start_epoch(uint32_t epoch) {
    stop();
    order_.resize(examples_.size());
    std::iota(order_.begin(), order_.end(), 0);
    if (options_.shuffle) shuffle(order_, options_.seed, epoch);
    // Without a new order each epoch the crops stay, too: what is measured on them compares.
    crop_key_ = {options_.seed, options_.shuffle ? epoch : 0, crop_stream};
    slots_.clear();
    opened_ = taken_ = 0;
    stopping_ = false;
    for (int64_t i = 0; i < options_.prefetch; ++i) open_slot();
    for (int i = 0; i < options_.threads; ++i) workers_.emplace_back([this] { work(); });
  }

  std::optional<Batch> next() {
    while (!slots_.empty()) {
      std::unique_lock lock(mutex_);
      finished_.wait(lock, [&] { return slots_.front().unfinished == 0; });
      const Slot slot = std::move(slots_.front());
      slots_.pop_front();
      lock.unlock();
      open_slot();
      Batch batch = to_batch(slot);
      if (batch.x.defined()) return batch;
    }
    return std::nullopt;
  }

  int64_t examples() const { return static_cast<int64_t>(examples_.size()); }
  int64_t batches() const { return ceil_div(examples(), options_.batch_size); }
  const std::map<std::string, std::string>& skipped() const { return skipped_; }

 private:
  // A batch under way.
  struct Slot {
    int64_t begin = 0;  // its first example's place in order_
    Batch batch;
    std::vector<std::exception_ptr> errors;  // one a row, empty for a good picture
    int64_t unfinished = 0;
  };

  const Example& example_at(int64_t position) const { return examples_[order_[position]]; }

  Batch empty_batch(int64_t count) const {
    const DType type = options_.as_bytes ? DType::u8 : DType::f32;
    Batch batch{Tensor::empty({count, height_, width_, options_.channels}, type), {}};
    batch.y = data_         ? Tensor::empty({count, height_, width_, kinds_}, type)
              : labels_ > 0 ? Tensor::empty({count, labels_})
                            : Tensor::empty({count}, DType::i32);
    if (options_.as_bytes && options_.standardize) batch.scaling = Tensor::empty({count, 2});
    return batch;
  }

  // Lets the threads begin one more batch, if the epoch has one.
  void open_slot() {
    const int64_t begin = opened_, count = std::min(options_.batch_size, examples() - begin);
    if (count == 0) return;
    Slot slot{begin, empty_batch(count),
              std::vector<std::exception_ptr>(static_cast<size_t>(count)), count};
    const std::scoped_lock lock(mutex_);
    slots_.push_back(std::move(slot));
    opened_ += count;
    wanted_.notify_all();
  }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
      wanted_.notify_all();
    }
    workers_.clear();  // joins
  }

  // What each thread does during an epoch.
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      wanted_.wait(lock, [&] { return stopping_ || taken_ < opened_ || taken_ == examples(); });
      if (stopping_ || taken_ == examples()) return;
      const int64_t position = taken_++;
      Slot& slot = slots_[(position - slots_.front().begin) / options_.batch_size];
      const int64_t row = position - slot.begin;
      const Batch batch = slot.batch;
      lock.unlock();
      std::exception_ptr error;
      try {
        load(order_[position], row, batch);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.errors[row] = error;
      if (--slot.unfinished == 0) finished_.notify_one();
    }
  }

  Decoded decode(int64_t index) const {
    const Picture stored = read_picture(examples_[index].path, static_cast<int>(options_.channels));
    const auto extent = [&](int64_t wanted, int64_t crop, int own) {
      return static_cast<int>(wanted > 0 ? wanted : std::max<int64_t>(crop, own));
    };
    Decoded decoded{resize(stored, extent(options_.height, height_, stored.height),
                           extent(options_.width, width_, stored.width))};
    if (data_) {
      decoded.masks = resize_nearest(masks_of(*data_, data_->pictures[index]),
                                     decoded.picture.height, decoded.picture.width);
    }
    return decoded;
  }

  // Writes a window of [H,W,K] values, whose rows have `width` pixels, to row `row` of a batch.
  template <class T, class F>
  static void cut(const std::vector<uint8_t>& values, int64_t width, const Window& window,
                  int64_t row, Tensor& batch, const F& f) {
    const int64_t K = batch.shape()[3];
    T* out = batch.data<T>() + row * window.height * window.width * K;
    for (int64_t i = window.top; i < window.top + window.height; ++i) {
      const uint8_t* in = values.data() + (i * width + window.left) * K;
      out = std::transform(in, in + window.width * K, out, f);
    }
  }

  // Fills one row of a batch.
  void load(int64_t index, int64_t row, Batch batch) {
    Decoded fresh;
    Decoded& decoded = options_.cache ? cache_[index] : fresh;
    if (decoded.picture.pixels.empty()) decoded = decode(index);
    const Picture& picture = decoded.picture;
    const Window window =
        cropped_ ? draw_window(decoded, height_, width_, crop_key_, index, options_.shuffle)
                 : Window{0, 0, height_, width_};
    const Scaling scaling = options_.standardize ? standardization(picture) : Scaling{};
    if (batch.scaling.defined()) {
      batch.scaling.data()[2 * row] = scaling.mean;
      batch.scaling.data()[2 * row + 1] = scaling.factor;
    }
    const auto same = [](uint8_t value) { return value; };
    if (options_.as_bytes) {
      cut<uint8_t>(picture.pixels, picture.width, window, row, batch.x, same);
      if (data_) cut<uint8_t>(decoded.masks, picture.width, window, row, batch.y, same);
    } else {
      cut<float>(picture.pixels, picture.width, window, row, batch.x, [&](uint8_t pixel) {
        return (static_cast<float>(pixel) - scaling.mean) * scaling.factor;
      });
      if (data_) cut<float>(decoded.masks, picture.width, window, row, batch.y, same);
    }
    if (data_) return;
    Tensor& y = batch.y;
    const Example& example = examples_[index];
    if (labels_ > 0) {
      std::copy(example.labels.begin(), example.labels.end(), y.data() + row * labels_);
    } else {
      y.data<int32_t>()[row] = example.label;
    }
  }

  // The rows of the good pictures. Undefined when there is none.
  Batch to_batch(const Slot& slot) {
    std::vector<int64_t> good;
    for (size_t row = 0; row < slot.errors.size(); ++row) {
      if (slot.errors[row]) {
        note_broken(example_at(slot.begin + static_cast<int64_t>(row)), slot.errors[row]);
      } else {
        good.push_back(static_cast<int64_t>(row));
      }
    }
    if (good.empty()) return {};
    if (good.size() == slot.errors.size()) return slot.batch;
    return {rows_of(slot.batch.x, good), rows_of(slot.batch.y, good),
            rows_of(slot.batch.scaling, good)};
  }

  static Tensor rows_of(const Tensor& all, const std::vector<int64_t>& rows) {
    if (!all.defined()) return {};
    Shape shape = all.shape();
    const auto bytes = static_cast<int64_t>(all.bytes()) / shape[0];
    shape[0] = std::ssize(rows);
    Tensor some = Tensor::empty(shape, all.dtype());
    std::byte* to = some.raw();
    for (const int64_t row : rows) to = std::copy_n(all.raw() + row * bytes, bytes, to);
    return some;
  }

  void note_broken(const Example& example, const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const Error& reason) {
      if (!options_.skip_broken)
        throw Error(reason.what(), "; mend or remove it, or leave it out with --skip-broken");
      skipped_[example.path] = reason.what();
    }
  }

  const std::vector<Example> examples_;
  const std::unique_ptr<const MaskData> data_;
  const int64_t kinds_, labels_;
  PictureSourceOptions options_;
  const bool cropped_;
  const int64_t height_, width_;  // of what is handed out
  RandomKey crop_key_;
  std::vector<Decoded> cache_;                  // by example; written by one thread an epoch
  std::map<std::string, std::string> skipped_;  // touched by the consumer only
  std::vector<int64_t> order_;                  // constant during an epoch

  std::mutex mutex_;  // guards everything below
  std::condition_variable wanted_, finished_;
  std::deque<Slot> slots_;  // the batches under way, the one due next in front
  int64_t opened_ = 0;      // examples that threads may take
  int64_t taken_ = 0;       // examples that threads have taken
  bool stopping_ = false;
  std::vector<std::jthread> workers_;
};

PictureSource::PictureSource(std::vector<Example> examples, const PictureSourceOptions& options)
    : loader_(std::make_unique<Loader>(std::move(examples), nullptr, options)) {}
PictureSource::PictureSource(const MaskData& data, const PictureSourceOptions& options)
    : loader_(std::make_unique<Loader>(good_or_defective(data), std::make_unique<MaskData>(data),
                                       options)) {}
PictureSource::~PictureSource() = default;
PictureSource::PictureSource(PictureSource&&) noexcept = default;
void PictureSource::start_epoch(uint32_t epoch) {
  loader_->start_epoch(epoch);
}
std::optional<Batch> PictureSource::next() {
  return loader_->next();
}
int64_t PictureSource::batches() const {
  return loader_->batches();
}
int64_t PictureSource::examples() const {
  return loader_->examples();
}
std::map<std::string, std::string> PictureSource::skipped() const {
  return loader_->skipped();
}

}  // namespace fettle
