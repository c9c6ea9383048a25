// Prints how many parameters a model of fettle has.
#include <iostream>

#include "models/model.h"

int main() {
  const auto model = fettle::model_entry("tyre_cnn").make({});
  fettle::build(*model, {1, 512, 512, 3});
  int64_t count = 0;
  for (const fettle::NamedTensor& tensor : fettle::named_tensors(*model))
    count += tensor.tensor.size();
  std::cout << count << "\n";
}
