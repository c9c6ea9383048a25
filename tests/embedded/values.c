/* Prints every number that a model computes of a made picture, for comparing processors. */
#include <fettle.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  fettle_error error;
  if (argc != 4) return fprintf(stderr, "values MODEL HEIGHT WIDTH\n"), 2;
  const int height = atoi(argv[2]), width = atoi(argv[3]);
  const size_t size = (size_t)height * (size_t)width * 3;
  unsigned char* pixels = malloc(size);
  fettle_model* model = fettle_load(argv[1], &error);
  if (!pixels || !model) return fprintf(stderr, "%s\n", error.sentence), 1;
  unsigned state = 1;
  for (size_t i = 0; i < size; ++i) {
    state = state * 1664525u + 1013904223u;
    pixels[i] = (unsigned char)(state >> 24);
  }
  fettle_result* result = fettle_predict(model, pixels, width, height, (size_t)width * 3, &error);
  if (!result) return fprintf(stderr, "%s\n", error.sentence), 1;
  const int classes = fettle_classes(model);
  for (int i = 0; i < classes; ++i) printf("%.9g\n", fettle_probability(result, i));
  const float* map = fettle_probability_map(result);
  for (size_t i = 0; map && i < size / 3 * (size_t)classes; ++i) printf("%.9g\n", map[i]);
  fettle_free_result(result);
  fettle_free(model);
  free(pixels);
  return 0;
}
