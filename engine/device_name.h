// Devices as people write and read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/device.h"

namespace fettle {

/// The device that "cpu", "cuda" (the first GPU) or "cuda:N" names, be it there or not; nothing for
/// any other word.
std::optional<Device> device_named(std::string_view name);

/// Throws Error saying in one sentence why the device cannot be used, unless it can.
void require_device(const Device& device);

/// What programs say of the device that they use: "CPU, 2 threads", or a GPU's name and memory.
std::string description(const Device& device, int threads);

}  // namespace fettle
