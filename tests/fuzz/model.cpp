// libFuzzer: the reader of single-file models, and what it accepts at work. The checksum is made
// right, since nothing else would get past it.
#include <cstring>
#include <new>

#include "apps/predictor.h"
#include "io/checksum.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> file(data, data + size);
  if (size >= 32) {
    const uint64_t length = size;
    std::memcpy(&file[16], &length, 8);
    const uint32_t sum = fettle::crc32(std::span(file).subspan(16));
    std::memcpy(&file[12], &sum, 4);
  }
  try {
    fettle::Predictor predictor(fettle::read_single_file("fuzz", file));
    predictor.set_threads(1);
    predictor.set_max_memory(int64_t{16} << 20);
    const auto channels = static_cast<int>(predictor.model().network.channels);
    if (predictor.model().height * predictor.model().width <= 4096)
      predictor.predict({5, 7, channels, std::vector<uint8_t>(size_t{35} * channels, 100)});
  } catch (const fettle::Error&) {
  } catch (const std::bad_alloc&) {
  }
  return 0;
}
