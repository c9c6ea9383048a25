#include "apps/option_use.h"

#include <algorithm>

#include "engine/argument_error.h"
#include "models/augmentation.h"
#include "models/mask_loss.h"

namespace fettle {

void check_texts(const TrainOptions& o) {
  const ModelEntry& entry = model_entry(o.model);
  augmentation(o.augment, entry.augment);
  if (entry.task == Task::segmentation) {
    if (o.loss != "default") mask_loss(o.loss);
    return;
  }
  const std::vector<std::string> losses = {"default", "cross-entropy", "focal"};
  require_argument(std::find(losses.begin(), losses.end(), o.loss) != losses.end(), "--loss ",
                   o.loss, " is no loss of a classifier; ", o.model,
                   " takes cross-entropy or focal");
}

void check_use(const TrainOptions& o) {
  check_texts(o);
  const ModelEntry& entry = model_entry(o.model);
  for (const ModelEntry& other : model_entries())
    for (const std::string& option : other.options)
      if (o.given.contains(option)) require_use(option, entry);

  const bool classifies = entry.task == Task::classification;
  const std::string& loss = o.loss == "default" ? entry.loss : o.loss;
  const auto loss_has = [&](const char* part) { return loss.find(part) != std::string::npos; };
  const struct {
    const char* option;
    bool of_use;
    const char* needs;
  } uses[] = {
      {"crop", !classifies, "is for models that draw masks; a classifier looks at whole pictures"},
      {"momentum", o.optimizer == "sgd", "is for --optimizer sgd"},
      {"weight-decay", o.optimizer == "adamw", "is for --optimizer adamw"},
      {"epsilon", o.optimizer != "sgd", "is for --optimizer adam, adamw and nadam"},
      {"false-negative-weight", loss_has("tversky"), "is for the Tversky losses of masks"},
      {"false-positive-weight", loss_has("tversky"), "is for the Tversky losses of masks"},
      {"focal-exponent", loss_has("focal-tversky"), "is for the focal Tversky losses of masks"},
      {"focal-gamma", classifies && loss == "focal", "is for --loss focal of a classifier"},
      {"class-weights", classifies, "is for classifiers"},
      {"label-smoothing", classifies, "is for classifiers"},
      {"validation-split", o.validation_data.empty(), "has no use beside --validation-data"},
      {"new-head", !o.transfer.weights.empty(), "needs --weights"},
      {"unfreeze-at", o.transfer.freeze_backbone, "needs --freeze-backbone"},
      {"fine-tune-learning-rate", o.transfer.unfreeze_at > 0, "needs --unfreeze-at"},
  };
  for (const auto& use : uses)
    require_argument(use.of_use || !o.given.contains(use.option), "--", use.option, " ", use.needs,
                     "; leave it out");
}

}  // namespace fettle
