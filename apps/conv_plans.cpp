#include "apps/conv_plans.h"

#include <filesystem>
#include <sstream>

#include "engine/argument_error.h"
#include "io/atomic_file.h"
#include "io/read_file.h"
#include "kernels/conv2d/plan_table.h"

namespace fettle {

ConvPlans::ConvPlans(const std::string& path, const Device& device) : path_(path) {
  if (path.empty()) return;
  require_argument(device.is_cuda(),
                   "--conv-plans is about convolutions on a GPU, and this is the ",
                   to_string(device), ": leave it out, or give --device cuda");
  const cuda::Gpu gpu = cuda::gpus().at(static_cast<size_t>(device.index));
  header_ = cat("fettle convolution plans, ", gpu.name);
  if (std::filesystem::exists(path)) {
    const std::vector<uint8_t> bytes = read_file(path);
    std::istringstream text(std::string(bytes.begin(), bytes.end()));
    std::string line;
    std::getline(text, line);
    require(line == header_, "'", path, "' does not begin with '", header_,
            "': it holds plans of another GPU, or none; give another file");
    for (int number = 2; std::getline(text, line); ++number) {
      require(read_known_conv2d_plan(line, gpu.compute_capability), "'", path, "', line ", number,
              ": '", line, "' is no plan of a convolution on this GPU; remove the line");
    }
    saved_ = known_conv2d_plan_lines().size();
  }
  set_conv2d_tuning(true);
}

void ConvPlans::save() {
  const std::vector<std::string> lines = known_conv2d_plan_lines();
  if (path_.empty() || lines.size() == saved_) return;
  std::string text = header_ + "\n";
  for (const std::string& line : lines) text += line + "\n";
  write_file(path_, text);
  saved_ = lines.size();
}

}  // namespace fettle
