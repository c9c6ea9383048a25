#include "io/synthesize_tyres.h"

#include <exception>
#include <filesystem>
#include <vector>

#include "engine/error.h"
#include "io/atomic_file.h"
#include "io/csv.h"
#include "io/tyre_picture.h"
#include "kernels/parallel.h"

namespace fettle {
namespace {

// "good/0001.jpg"
std::string picture_name(bool defective, int64_t number) {
  const std::string digits = std::to_string(number + 1);
  return (defective ? "defective/" : "good/") +
         std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits + ".jpg";
}

std::string defect_line(const std::string& image, const TyreDefect& defect) {
  return csv_line({image, defect.kind, std::to_string(defect.x), std::to_string(defect.y),
                   std::to_string(defect.width), std::to_string(defect.height)});
}

}  // namespace

void synthesize_tyres(const std::string& dir, int64_t count_per_class, int64_t image_size,
                      uint64_t seed) {
  for (const char* name : {"/good", "/defective"}) {
    std::error_code error;
    std::filesystem::create_directories(dir + name, error);
    require(!error, "cannot make the folder '", dir, name, "': ", error.message());
  }
  const auto count = static_cast<size_t>(count_per_class);
  std::vector<std::string> lines(count);
  std::vector<std::exception_ptr> errors(2 * count);  // tasks must not throw
  parallel_tasks(2 * count_per_class, [&](int64_t task) {
    try {
      const bool defective = task >= count_per_class;
      const int64_t number = defective ? task - count_per_class : task;
      const std::string name = picture_name(defective, number);
      const RandomKey key{seed, static_cast<uint32_t>(number), defective};
      const TyrePicture tyre = draw_tyre(key, static_cast<int>(image_size), defective);
      write_jpeg(dir + "/" + name, tyre.picture);
      if (tyre.defect) lines[number] = defect_line(name, *tyre.defect);
    } catch (...) {
      errors[task] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  std::string table = csv_line({"image", "kind", "x", "y", "width", "height"});
  for (const std::string& line : lines) table += line;
  write_file(dir + "/defects.csv", table);
}

}  // namespace fettle
