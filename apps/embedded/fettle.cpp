#include "apps/embedded/fettle.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "apps/embedded/load.h"
#include "apps/predictor.h"
#include "engine/device_name.h"

struct fettle_model {
  fettle::Predictor predictor;
};

struct fettle_result {
  fettle::Finding finding;
  int64_t classes = 0;
  bool segments = false, multi_label = false;
};

namespace {

using fettle::Error;

class BadArgument : public Error {
 public:
  using Error::Error;
};

fettle_code report(fettle_error* error, fettle_code code, const char* sentence) {
  if (error) {
    error->code = code;
    const size_t length = std::min(std::strlen(sentence), sizeof error->sentence - 1);
    std::memcpy(error->sentence, sentence, length);
    error->sentence[length] = '\0';
  }
  return code;
}

/// Calls `work`, whose own errors mean `usual`; no exception leaves it, and nothing is allocated to
/// report one.
template <class Work>
fettle_code guarded(fettle_error* error, fettle_code usual, const Work& work) {
  try {
    work();
    return report(error, FETTLE_OK, "");
  } catch (const BadArgument& e) {
    return report(error, FETTLE_BAD_ARGUMENT, e.what());
  } catch (const fettle::CannotRead& e) {
    return report(error, FETTLE_CANNOT_READ, e.what());
  } catch (const fettle::TooLarge& e) {
    return report(error, FETTLE_TOO_LARGE, e.what());
  } catch (const Error& e) {
    return report(error, usual, e.what());
  } catch (const std::bad_alloc&) {
    return report(error, FETTLE_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::exception& e) {
    return report(error, FETTLE_FAILED, e.what());
  } catch (...) {
    return report(error, FETTLE_FAILED, "something unknown went wrong");
  }
}

template <class... Parts>
void require_argument(bool good, const Parts&... parts) {
  if (!good) throw BadArgument(parts...);
}

/// The picture of the model's channels. Grey is what stb_image makes of RGB (ITU-R BT.601).
fettle::Picture to_picture(const uint8_t* pixels, int width, int height, size_t stride,
                           int channels) {
  fettle::Picture picture{height, width, channels, {}};
  picture.pixels.resize(size_t{1} * static_cast<size_t>(width) * static_cast<size_t>(height) *
                        static_cast<size_t>(channels));
  uint8_t* to = picture.pixels.data();
  for (int row = 0; row < height; ++row) {
    const uint8_t* from = pixels + static_cast<size_t>(row) * stride;
    if (channels == 3) {
      to = std::copy_n(from, size_t{3} * static_cast<size_t>(width), to);
    } else {
      for (int column = 0; column < width; ++column, from += 3)
        *to++ = static_cast<uint8_t>((77 * from[0] + 150 * from[1] + 29 * from[2]) >> 8);
    }
  }
  return picture;
}

template <class Load>
fettle_model* loaded(fettle_error* error, const Load& load) {
  fettle_model* model = nullptr;
  guarded(error, FETTLE_BAD_MODEL, [&] { model = new fettle_model{fettle::Predictor(load())}; });
  return model;
}

}  // namespace

extern "C" {

const char* fettle_version(void) {
  return FETTLE_VERSION;
}

fettle_model* fettle_load(const char* path, fettle_error* error) {
  return loaded(error, [&] {
    require_argument(path != nullptr, "fettle_load needs the path of a model, not NULL");
    return fettle::load_for_prediction(path);
  });
}

fettle_model* fettle_load_memory(const void* bytes, size_t size, fettle_error* error) {
  return loaded(error, [&] {
    require_argument(bytes != nullptr && size > 0,
                     "fettle_load_memory needs the bytes of a model, not NULL or none");
    return fettle::read_single_file("memory", {static_cast<const uint8_t*>(bytes), size});
  });
}

void fettle_free(fettle_model* model) {
  delete model;
}

fettle_code fettle_set_threads(fettle_model* model, int threads, fettle_error* error) {
  return guarded(error, FETTLE_FAILED, [&] {
    require_argument(model != nullptr, "fettle_set_threads needs a model, not NULL");
    require_argument(threads >= 0 && threads <= 1024, "there can be 1 to 1024 threads, or 0, not ",
                     threads);
    model->predictor.set_threads(threads);
  });
}

fettle_code fettle_set_device(fettle_model* model, const char* device, fettle_error* error) {
  return guarded(error, FETTLE_NO_DEVICE, [&] {
    require_argument(model && device, "fettle_set_device needs a model and a device, not NULL");
    const std::optional<fettle::Device> named = fettle::device_named(device);
    require_argument(named.has_value(), "a device is cpu, cuda or cuda:N with a number N, not '",
                     device, "'");
    model->predictor.set_device(*named);
  });
}

fettle_code fettle_set_precision(fettle_model* model, const char* precision, fettle_error* error) {
  return guarded(error, FETTLE_FAILED, [&] {
    require_argument(model && precision,
                     "fettle_set_precision needs a model and a precision, not NULL");
    const std::string_view name = precision;
    require_argument(name == "fp32" || name == "bf16", "a precision is fp32 or bf16, not '", name,
                     "'");
    model->predictor.set_precision(name == "bf16" ? fettle::Precision::bf16
                                                  : fettle::Precision::fp32);
  });
}

fettle_code fettle_set_max_memory(fettle_model* model, size_t bytes, fettle_error* error) {
  return guarded(error, FETTLE_FAILED, [&] {
    require_argument(model != nullptr, "fettle_set_max_memory needs a model, not NULL");
    model->predictor.set_max_memory(static_cast<int64_t>(std::min<size_t>(bytes, INT64_MAX)));
  });
}

int fettle_draws_masks(const fettle_model* model) {
  return model && model->predictor.model().segments;
}

int fettle_gives_labels(const fettle_model* model) {
  return model && model->predictor.model().multi_label;
}

int fettle_classes(const fettle_model* model) {
  return model ? static_cast<int>(model->predictor.classes()) : 0;
}

const char* fettle_class_name(const fettle_model* model, int index) {
  if (!model || index < 0 || index >= model->predictor.classes()) return nullptr;
  return model->predictor.model().class_names[static_cast<size_t>(index)].c_str();
}

double fettle_threshold(const fettle_model* model) {
  return model ? model->predictor.model().threshold : 0;
}

fettle_result* fettle_predict(const fettle_model* model, const uint8_t* pixels, int width,
                              int height, size_t stride, fettle_error* error) {
  fettle_result* result = nullptr;
  guarded(error, FETTLE_FAILED, [&] {
    require_argument(model && pixels, "fettle_predict needs a model and pixels, not NULL");
    require_argument(
        width > 0 && height > 0 && int64_t{width} * height <= fettle::max_picture_pixels,
        "a picture of ", height, "x", width, " is empty or has more than ",
        fettle::max_picture_pixels, " pixels");
    require_argument(stride >= size_t{3} * static_cast<size_t>(width), "rows of ", width,
                     " RGB pixels do not fit into a stride of ", stride, " bytes");
    const fettle::Predictor& predictor = model->predictor;
    predictor.memory_for({height, width});  // refuses before the picture is copied
    const auto channels = static_cast<int>(predictor.model().network.channels);
    auto made = std::make_unique<fettle_result>();
    made->finding = predictor.predict(to_picture(pixels, width, height, stride, channels));
    made->classes = predictor.classes();
    made->segments = predictor.model().segments;
    made->multi_label = predictor.model().multi_label;
    result = made.release();
  });
  return result;
}

void fettle_free_result(fettle_result* result) {
  delete result;
}

int fettle_class(const fettle_result* result) {
  const bool one = result && !result->segments && !result->multi_label;
  return one ? static_cast<int>(result->finding.class_index) : -1;
}

int fettle_has_label(const fettle_result* result, int index) {
  if (!result || !result->multi_label || index < 0 || index >= result->classes) return 0;
  return result->finding.labels[static_cast<size_t>(index)];
}

float fettle_probability(const fettle_result* result, int index) {
  if (!result || index < 0 || index >= result->classes) return 0;
  return result->finding.probabilities[static_cast<size_t>(index)];
}

const uint8_t* fettle_mask(const fettle_result* result, int kind) {
  if (!result || !result->segments || kind < 0 || kind >= result->classes) return nullptr;
  const fettle::Finding& f = result->finding;
  return f.masks.data() + int64_t{kind} * f.height * f.width;
}

const float* fettle_probability_map(const fettle_result* result) {
  return result && result->segments ? result->finding.map.data() : nullptr;
}

}  // extern "C"
