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
#include "kernels/parallel.h"
#include "kernels/philox.h"

namespace fettle {
namespace {

// Far above the streams of a model's random layers, so that the order is independent of them.
constexpr uint32_t shuffle_stream = 0xFFFFFFFFu;

// Fisher and Yates; multiplying instead of rejecting favours no place by more than count / 2^32.
void shuffle(std::vector<int64_t>& order, uint64_t seed, uint32_t epoch) {
  const RandomKey key{seed, epoch, shuffle_stream};
  for (uint64_t i = order.size(); i-- > 1;) {
    const uint64_t draw = philox4x32(key, i).v[0] * (i + 1) >> 32;
    std::swap(order[i], order[draw]);
  }
}

}  // namespace

// Threads take the epoch's examples one by one, so that all of them work on the batch that is due
// next, but never beyond the batches that the consumer has opened.
class PictureSource::Loader {
 public:
  Loader(std::vector<Example> examples, const PictureSourceOptions& options)
      : examples_(std::move(examples)),
        options_(options),
        cache_(options.cache ? examples_.size() : 0) {
    require(!examples_.empty(), "there are no pictures to read");
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
  int64_t batches() const { return (examples() + options_.batch_size - 1) / options_.batch_size; }
  const std::map<std::string, std::string>& skipped() const { return skipped_; }

 private:
  // A batch under way.
  struct Slot {
    int64_t begin = 0;  // its first example's place in order_
    Tensor x;
    std::vector<std::exception_ptr> errors;  // one a row, empty for a good picture
    int64_t unfinished = 0;
  };

  const Example& example_at(int64_t position) const { return examples_[order_[position]]; }

  // Lets the threads begin one more batch, if the epoch has one.
  void open_slot() {
    const int64_t begin = opened_, count = std::min(options_.batch_size, examples() - begin);
    if (count == 0) return;
    Slot slot{begin, Tensor::empty({count, options_.height, options_.width, options_.channels}),
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
      float* const x = slot.x.data() + row * row_size();
      lock.unlock();
      std::exception_ptr error;
      try {
        load(order_[position], x);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.errors[row] = error;
      if (--slot.unfinished == 0) finished_.notify_one();
    }
  }

  void load(int64_t index, float* x) {
    const auto decode = [&] {
      const Picture picture =
          read_picture(examples_[index].path, static_cast<int>(options_.channels));
      return resize(picture, static_cast<int>(options_.height), static_cast<int>(options_.width))
          .pixels;
    };
    std::vector<uint8_t> fresh;
    std::vector<uint8_t>& pixels = options_.cache ? cache_[index] : fresh;
    if (pixels.empty()) pixels = decode();
    std::copy(pixels.begin(), pixels.end(), x);
  }

  // The rows of the good pictures. Undefined when there is none.
  Batch to_batch(const Slot& slot) {
    std::vector<int64_t> good;
    std::vector<int32_t> labels;
    for (int64_t row = 0; row < slot.x.shape()[0]; ++row) {
      const Example& example = example_at(slot.begin + row);
      if (slot.errors[row]) {
        note_broken(example, slot.errors[row]);
        continue;
      }
      good.push_back(row);
      labels.push_back(example.label);
    }
    if (good.empty()) return {};
    Shape shape = slot.x.shape();
    Tensor x = slot.x;
    if (static_cast<int64_t>(good.size()) < shape[0]) {
      shape[0] = static_cast<int64_t>(good.size());
      x = Tensor::empty(shape);
      for (size_t i = 0; i < good.size(); ++i)
        std::copy_n(slot.x.data() + good[i] * row_size(), row_size(), x.data() + i * row_size());
    }
    return {x, Tensor::from({shape[0]}, labels)};
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

  int64_t row_size() const { return options_.height * options_.width * options_.channels; }

  const std::vector<Example> examples_;
  PictureSourceOptions options_;
  std::vector<std::vector<uint8_t>> cache_;     // by example; written by one thread an epoch
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
    : loader_(std::make_unique<Loader>(std::move(examples), options)) {}
PictureSource::~PictureSource() = default;
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
