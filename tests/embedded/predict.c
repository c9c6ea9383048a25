/* Says what a model finds in a picture, here a grey ramp; see the README. */
#include <fettle.h>
#include <stdio.h>

static unsigned char pixels[64 * 96 * 3];

int main(int argc, char** argv) {
  fettle_error error;
  for (size_t i = 0; i < sizeof pixels; ++i) pixels[i] = (unsigned char)(i / 3 % 96 * 2);
  fettle_model* model = argc > 1 ? fettle_load(argv[1], &error) : NULL;
  if (!model) return fprintf(stderr, "%s\n", argc > 1 ? error.sentence : "give a model"), 1;
  fettle_result* result = fettle_predict(model, pixels, 96, 64, 96 * 3, &error);
  if (!result) return fprintf(stderr, "%s\n", error.sentence), 1;
  for (int i = 0; i < fettle_classes(model); ++i)
    printf("%s %.4f\n", fettle_class_name(model, i), fettle_probability(result, i));
  fettle_free_result(result);
  fettle_free(model);
  return 0;
}
