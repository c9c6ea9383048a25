#include "engine/device_name.h"

#include <charconv>

#include "engine/counted.h"

namespace fettle {

std::optional<Device> device_named(std::string_view name) {
  constexpr std::string_view numbered = "cuda:";
  if (name == "cpu") return Device::cpu();
  if (name == "cuda") return Device::cuda();
  if (!name.starts_with(numbered)) return {};
  const std::string_view digits = name.substr(numbered.size());
  int index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < 0) return {};
  return Device::cuda(index);
}

void require_device(const Device& device) {
  if (device.is_cuda()) cuda::require_gpu(device.index);
}

std::string description(const Device& device, int threads) {
  if (!device.is_cuda()) return cat("CPU, ", counted(threads, "thread"));
  const cuda::Gpu gpu = cuda::gpus().at(static_cast<size_t>(device.index));
  return cat(to_string(device), ", ", gpu.name, ", ", gpu.total_bytes >> 20, " MiB");
}

}  // namespace fettle
