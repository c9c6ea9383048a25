/* fettle for C programs: finds defects in pictures with a trained model.
 *
 * The embedded library reads models that `fettle export RUN --single-file model.fettle` (or
 * --c-array) wrote; the full library reads run folders, too. There is no global state: models do
 * not know of each other. Several threads may predict with one model at the same time, each with a
 * result and an error of its own; setting something and freeing need the model alone.
 *
 * No function ends the program. Those that can fail take a place for the error (or NULL): a code
 * and one sentence of English. NULL where a model or a result belongs is an error like any other,
 * and freeing NULL does nothing.
 */
#ifndef FETTLE_H_
#define FETTLE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define FETTLE_API __attribute__((visibility("default")))
#else
#define FETTLE_API
#endif

typedef enum fettle_code {
  FETTLE_OK = 0,
  FETTLE_BAD_ARGUMENT = 1,  /* NULL, a size of zero, a number out of range */
  FETTLE_CANNOT_READ = 2,   /* the file is not there or not readable */
  FETTLE_BAD_MODEL = 3,     /* damaged, cut off, of another version, or no model */
  FETTLE_TOO_LARGE = 4,     /* more memory than fettle_set_max_memory() allows */
  FETTLE_OUT_OF_MEMORY = 5, /* the system gives no more */
  FETTLE_FAILED = 6,        /* anything else; see the sentence */
  FETTLE_NO_DEVICE = 7      /* no such GPU here, a build without CUDA, or bf16 */
} fettle_code;

typedef struct fettle_error {
  fettle_code code;
  char sentence[512]; /* ends with a zero; empty when all is well */
} fettle_error;

typedef struct fettle_model fettle_model;
typedef struct fettle_result fettle_result;

/* "1.2.3". */
FETTLE_API const char* fettle_version(void);

/* Loads a model from disk, or from `size` bytes that must stay where they are, unchanged, until the
 * model is freed. Weights are used in place where the bytes are fp32 and aligned to 4. NULL when it
 * fails. */
FETTLE_API fettle_model* fettle_load(const char* path, fettle_error* error);
FETTLE_API fettle_model* fettle_load_memory(const void* bytes, size_t size, fettle_error* error);
FETTLE_API void fettle_free(fettle_model* model);

/* Threads that compute, from 1 to 1024, the caller's included; 0: one for each processor (what it
 * begins with). Results do not depend on it. */
FETTLE_API fettle_code fettle_set_threads(fettle_model* model, int threads, fettle_error* error);

/* Where the model computes: "cpu" (what it begins with), "cuda" (the first GPU) or "cuda:1". Fails,
 * and changes nothing, where there is no such GPU, the library was built without CUDA, or the
 * precision is "bf16"; nothing falls back to the CPU by itself. Models that compute on one GPU
 * at a time wait for each other. */
FETTLE_API fettle_code fettle_set_device(fettle_model* model, const char* device,
                                         fettle_error* error);

/* What convolutions multiply: "fp32" (what it begins with), or "bf16", faster and exact to about
 * three digits, where the processor can (AVX512-BF16); elsewhere, and on a GPU, bf16 is refused. */
FETTLE_API fettle_code fettle_set_precision(fettle_model* model, const char* precision,
                                            fettle_error* error);

/* Bytes that the process may need for a prediction, at most; 0: no limit. Pictures that need more
 * go through a model that draws masks in smaller tiles, or are refused. On a GPU what the model
 * takes of its memory counts, too, but not what CUDA takes for itself. */
FETTLE_API fettle_code fettle_set_max_memory(fettle_model* model, size_t bytes,
                                             fettle_error* error);

/* 1 for a model that draws masks, one a kind of defect; 0 for one that classifies. */
FETTLE_API int fettle_draws_masks(const fettle_model* model);
/* 1 for a model that classifies and may give a picture several labels or none; else 0. */
FETTLE_API int fettle_gives_labels(const fettle_model* model);
/* The classes, labels or kinds of defects, and their names, which live as long as the model. */
FETTLE_API int fettle_classes(const fettle_model* model);
FETTLE_API const char* fettle_class_name(const fettle_model* model, int index);
/* The probability from which a picture, or a pixel, counts as defective, or a label holds. */
FETTLE_API double fettle_threshold(const fettle_model* model);

/* Predicts. `pixels` are rows of width RGB triples of 8 bits, `stride` bytes from one row to the
 * next (at least 3 * width). Any size will do: the picture is resized as in training. NULL when it
 * fails. */
FETTLE_API fettle_result* fettle_predict(const fettle_model* model, const uint8_t* pixels,
                                         int width, int height, size_t stride, fettle_error* error);
FETTLE_API void fettle_free_result(fettle_result* result);

/* The class of the picture; -1 for a model that draws masks or gives labels. */
FETTLE_API int fettle_class(const fettle_result* result);
/* 1 where the picture has a label: its probability reaches the threshold; else, and for other
 * models, 0. */
FETTLE_API int fettle_has_label(const fettle_result* result, int index);
/* The probability of a class or label; for a kind of defect the largest of any pixel. */
FETTLE_API float fettle_probability(const fettle_result* result, int index);
/* The mask of a kind, height rows of width bytes of 0 and 1, and the probabilities of all kinds,
 * pixel by pixel, [height][width][kinds]. They live as long as the result; NULL for a model that
 * classifies. */
FETTLE_API const uint8_t* fettle_mask(const fettle_result* result, int kind);
FETTLE_API const float* fettle_probability_map(const fettle_result* result);

#ifdef __cplusplus
}
#endif

#endif /* FETTLE_H_ */
