#include "engine/train/mask_metrics.h"

#include "engine/autograd.h"
#include "engine/ops/activation.h"
#include "kernels/metrics/example.h"

namespace fettle {

std::string figure_name(std::string kind) {
  for (char& c : kind)
    if (c == ' ' || c == '\t' || c == ',' || c == '=') c = '_';
  return kind;
}

MaskCounts& MaskCounts::operator+=(const MaskCounts& other) {
  true_positives += other.true_positives;
  false_positives += other.false_positives;
  false_negatives += other.false_negatives;
  true_negatives += other.true_negatives;
  return *this;
}

double MaskCounts::ratio(double part, double whole) const {
  if (true_positives + false_positives + false_negatives == 0) return 1;
  return whole > 0 ? part / whole : 0;
}

double MaskCounts::precision() const {
  const auto hits = static_cast<double>(true_positives);
  return ratio(hits, hits + static_cast<double>(false_positives));
}

double MaskCounts::recall() const {
  const auto hits = static_cast<double>(true_positives);
  return ratio(hits, hits + static_cast<double>(false_negatives));
}

double MaskCounts::dice() const {
  const auto hits = 2 * static_cast<double>(true_positives);
  return ratio(hits, hits + static_cast<double>(false_positives + false_negatives));
}

double MaskCounts::iou() const {
  const auto hits = static_cast<double>(true_positives);
  return ratio(hits, hits + static_cast<double>(false_positives + false_negatives));
}

double MaskCounts::tversky() const {
  const auto hits = static_cast<double>(true_positives);
  return ratio(hits, hits + 0.7 * static_cast<double>(false_negatives) +
                         0.3 * static_cast<double>(false_positives));
}

double MaskCounts::accuracy() const {
  const auto right = static_cast<double>(true_positives + true_negatives);
  return ratio(right, right + static_cast<double>(false_positives + false_negatives));
}

MaskMetricsCounter::MaskMetricsCounter(std::vector<std::string> kinds, double threshold)
    : kinds_(std::move(kinds)),
      threshold_(threshold),
      total_(kinds_.size() * 2 * static_cast<size_t>(cells)) {}

void MaskMetricsCounter::add(const Tensor& logits, const Tensor& masks, double loss) {
  const NoGrad no_grad;
  require(logits.shape() == masks.shape(), "mask metrics: logits ", logits.shape(), " and masks ",
          masks.shape(), " do not fit");
  add_probabilities(sigmoid(logits.detach()), masks);
  pictures_ += logits.shape()[0];
  loss_sum_ += loss * static_cast<double>(logits.shape()[0]);
}

void MaskMetricsCounter::add_probabilities(const Tensor& probabilities, const Tensor& given_masks) {
  const auto kinds = std::ssize(kinds_);
  require(probabilities.shape() == given_masks.shape() && probabilities.shape()[-1] == kinds,
          "mask metrics: probabilities ", probabilities.shape(), " and masks ", given_masks.shape(),
          " do not fit ", kinds, " kinds");
  const Device device = probabilities.device();
  const Tensor masks = given_masks.to(device);
  const int64_t pixels = probabilities.size() / kinds;
  constexpr int64_t before_overflow = int64_t{1} << 30;
  if (pending_ + pixels > before_overflow) drain();
  if (!recent_.defined()) recent_ = Tensor::zeros({kinds, 2, cells}, DType::i32, device);
  pending_ += pixels;
  on(device, [&](auto tag) {
    count_pixels(tag, {pixels, kinds, bins, static_cast<float>(threshold_)}, probabilities.data(),
                 masks.data(), recent_.data<int32_t>());
  });
}

void MaskMetricsCounter::drain() {
  if (!recent_.defined()) return;
  const std::vector<int32_t> recent = recent_.to_vector<int32_t>();
  for (size_t i = 0; i < total_.size(); ++i) total_[i] += recent[i];
  recent_ = {};
  pending_ = 0;
}

// A pixel counts in the cell of its bin, or in the next where it reaches the threshold: in the bin
// of the threshold that parts one from the other, in those above all have moved.

std::vector<MaskCounts> MaskMetricsCounter::counts() const {
  return counts_of_cells()[static_cast<size_t>(bin_of(bins, static_cast<float>(threshold_))) + 1];
}

std::vector<std::vector<MaskCounts>> MaskMetricsCounter::counts_of_steps() const {
  std::vector<std::vector<MaskCounts>> counts = counts_of_cells();
  counts.erase(counts.begin() + bin_of(bins, static_cast<float>(threshold_)) + 1);
  return counts;
}

std::vector<std::vector<MaskCounts>> MaskMetricsCounter::counts_of_cells() const {
  std::vector<int32_t> recent(total_.size());
  if (recent_.defined()) recent = recent_.to_vector<int32_t>();
  std::vector<std::vector<MaskCounts>> counts(cells + 1, std::vector<MaskCounts>(kinds_.size()));
  const auto pixels = [&](size_t kind, bool is_set, size_t cell) {
    const size_t at = (2 * kind + is_set) * static_cast<size_t>(cells) + cell;
    return total_[at] + recent[at];
  };
  for (size_t kind = 0; kind < kinds_.size(); ++kind) {
    MaskCounts& none = counts.back()[kind];  // of them predicted
    for (size_t cell = 0; cell < cells; ++cell) {
      none.false_negatives += pixels(kind, true, cell);
      none.true_negatives += pixels(kind, false, cell);
    }
    MaskCounts from = none;
    for (size_t cell = cells; cell-- > 0;) {
      const int64_t positives = pixels(kind, true, cell), negatives = pixels(kind, false, cell);
      from += {positives, negatives, -positives, -negatives};
      counts[cell][kind] = from;
    }
  }
  return counts;
}

double MaskMetricsCounter::loss() const {
  return pictures_ > 0 ? loss_sum_ / static_cast<double>(pictures_) : 0;
}

EpochLog MaskMetricsCounter::figures() const {
  const std::vector<MaskCounts> all = counts();
  const auto mean = [&](double (MaskCounts::*figure)() const) {
    return mean_over_kinds(all, figure);
  };
  EpochLog log = {{"loss", loss()},
                  {"accuracy", mean(&MaskCounts::accuracy)},
                  {"precision", mean(&MaskCounts::precision)},
                  {"recall", mean(&MaskCounts::recall)},
                  {"dice", mean(&MaskCounts::dice)},
                  {"iou", mean(&MaskCounts::iou)},
                  {"tversky", mean(&MaskCounts::tversky)}};
  if (kinds_.size() > 1)
    for (size_t k = 0; k < kinds_.size(); ++k)
      log.emplace_back(figure_name(kinds_[k]) + "_dice", all[k].dice());
  return log;
}

std::pair<std::string, double> MaskMetricsCounter::headline() const {
  return {"dice", mean_over_kinds(counts(), &MaskCounts::dice)};
}

double mean_over_kinds(const std::vector<MaskCounts>& counts,
                       double (MaskCounts::*figure)() const) {
  double sum = 0;
  int64_t present = 0;
  for (const MaskCounts& kind : counts) {
    if (kind.true_positives + kind.false_positives + kind.false_negatives == 0) continue;
    sum += (kind.*figure)();
    ++present;
  }
  return present > 0 ? sum / static_cast<double>(present) : 1;
}

}  // namespace fettle
