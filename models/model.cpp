#include "models/model.h"

#include "models/defect_cnn.h"
#include "models/tyre_cnn.h"
#include "models/wreck_cnn.h"

namespace fettle {

const std::vector<ModelEntry>& model_entries() {
  static const std::vector<ModelEntry> entries = {
      {"defect_cnn", "small Sequential CNN with batch normalisation: is a defect anywhere?", 160,
       160, 3, defect_cnn},
      {"tyre_cnn", "Sequential CNN of the tyre project: 3 convolutions, 2 dense layers", 512, 512,
       3, tyre_cnn},
      {"wreck_cnn", "Sequential CNN of the wrecked-car project: 3 convolutions, 4 dense layers",
       224, 224, 3, wreck_cnn},
  };
  return entries;
}

const ModelEntry& model_entry(const std::string& name) {
  std::string names;
  for (const ModelEntry& entry : model_entries()) {
    if (entry.name == name) return entry;
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  throw Error("there is no model called '", name, "'; choose one of ", names);
}

}  // namespace fettle
