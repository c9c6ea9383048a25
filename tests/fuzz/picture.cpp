// libFuzzer: a picture file from its bytes to the pixels that a network is fed with.
#include <new>

#include "engine/error.h"
#include "io/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const fettle::Bytes file(data, size);
  try {
    const fettle::PictureSize extent = fettle::picture_size("fuzz", file);
    if (extent.height * extent.width > 1 << 20) return 0;
    for (const int channels : {1, 3}) {
      const fettle::Picture picture = fettle::decode_picture("fuzz", file, channels);
      fettle::standardization(fettle::resize(picture, 9, 13));
    }
  } catch (const fettle::Error&) {
  } catch (const std::bad_alloc&) {
  }
  return 0;
}
