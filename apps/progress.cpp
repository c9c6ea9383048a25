#include "apps/progress.h"

#include <unistd.h>

#include <iostream>
#include <set>

#include "apps/table.h"

namespace fettle {
namespace {

/// [#####.....]
std::string bar(int64_t done, int64_t total) {
  constexpr int64_t width = 24;
  const int64_t filled = total > 0 ? width * done / total : width;
  return "[" + std::string(static_cast<size_t>(filled), '#') +
         std::string(static_cast<size_t>(width - filled), '.') + "]";
}

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

bool Progress::due() {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now - last_ < std::chrono::milliseconds(100)) return false;
  last_ = now;
  return true;
}

void Progress::show(const std::string& text) {
  std::cerr << "\r\x1b[K" << text << std::flush;
  shown_ = true;
}

void Progress::clear() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
  shown_ = false;
}

void Progress::result(const std::string& text) {
  clear();
  std::cout << text << std::endl;
}

void Progress::line(const std::string& text) {
  clear();
  std::cerr << text << std::endl;
}

void Progress::batch(const BatchProgress& p) {
  if (!due()) return;
  const auto [measure, value] = p.headline();
  show(cat("Epoch ", p.epoch, "/", p.epochs, " ", bar(p.batch, p.batches), " ", p.batch, "/",
           p.batches, "  loss ", fixed(p.loss, 4), "  ", measure, " ", fixed(value, 4), "  ",
           fixed(p.pictures_per_second, 1), " pictures/s  ", duration(p.seconds_left), " left"));
}

void Progress::count(const std::string& what, int64_t done, int64_t total) {
  if (due()) show(cat(what, " ", bar(done, total), " ", done, "/", total));
}

std::string epoch_line(int64_t epoch, int64_t epochs, const EpochLog& log) {
  static const std::set<std::string> shown = {"loss",     "accuracy",     "dice",
                                              "val_loss", "val_dice",     "val_auc",
                                              "val_iou",  "val_accuracy", "val_macro_f1"};
  std::string text = cat("Epoch ", epoch, "/", epochs);
  for (const auto& [name, value] : log) {
    if (shown.contains(name)) {
      text += cat("  ", name, " ", fixed(value, 4));
    }
  }
  return text + cat("  learning_rate ", figure(log, "learning_rate"), "  ",
                    fixed(figure(log, "pictures_per_second"), 0), " pictures/s  ",
                    fixed(figure(log, "seconds"), 1), " s");
}

}  // namespace fettle
