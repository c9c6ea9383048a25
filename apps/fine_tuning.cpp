#include "apps/fine_tuning.h"

#include <iostream>

#include "apps/number_checks.h"
#include "engine/argument_error.h"

namespace fettle {

void add_head(CLI::App& command, std::string& head) {
  command
      .add_option(
          "--head", head,
          "What stands on a ResNet: a list of pool, maxpool, avgpool=N, maxpool=N, flatten, "
          "dropout=RATE, dense=UNITS[:relu|relu6|swish|sigmoid]; the last is dense=CLASSES, or "
          "dense=1 for two "
          "classes [pool,dense=CLASSES]")
      ->capture_default_str();
}

void add_transfer_options(CLI::App& command, TransferOptions& o) {
  std::vector<std::string> preprocessings = Preprocessing::texts();
  preprocessings.emplace_back("default");
  command.add_option("--weights", o.weights,
                     "Begin with these weights: PyTorch's or fettle's .safetensors, or Keras's "
                     ".weights.h5 or .h5");
  command.add_flag("--new-head", o.new_head,
                   "Begin the layers after the backbone anew even if they fit; they do in any case "
                   "when the number of classes is another");
  command
      .add_option(
          "--preprocess", o.preprocess,
          "What a ResNet sees of pictures: imagenet, caffe, unit (0 to 1), symmetric (-1 to "
          "1), none, or default: as its weights were trained, else as its library does")
      ->check(CLI::IsMember(preprocessings))
      ->capture_default_str();
  add_head(command, o.head);
  command.add_flag("--freeze-backbone", o.freeze_backbone,
                   "Train the head of a ResNet alone; its batch-norm runs as in prediction");
  command
      .add_option("--unfreeze-at", o.unfreeze_at,
                  "With --freeze-backbone: train everything from this epoch on, with an optimizer "
                  "that begins anew ...")
      ->check(whole_number(2, 1000000));
  command
      .add_option("--fine-tune-learning-rate", o.fine_tune_learning_rate,
                  "... at this learning rate")
      ->check(number_above(0))
      ->capture_default_str();
}

void check(const TransferOptions& o, Layer& model, const std::string& name) {
  if (dynamic_cast<Classifier*>(&model)) return;
  require_argument(!o.freeze_backbone,
                   "--freeze-backbone is for models with a backbone, the ResNets; ", name,
                   " has none");
  require_argument(o.head == "default", "--head is for models with a backbone, the ResNets; ", name,
                   " has its own head");
}

void freeze(const TransferOptions& o, Layer& model) {
  if (o.freeze_backbone) dynamic_cast<Classifier&>(model).backbone().set_trainable(false);
}

void FineTuning::on_epoch_begin(int64_t epoch, TrainingControl& control) {
  if (epoch < epoch_) return;
  if (!model_.backbone().trainable()) {
    model_.backbone().set_trainable(true);
    control.optimizer.rebind(named_tensors(model_));
  }
  if (epoch > epoch_) return;
  control.optimizer.restart();
  control.optimizer.set_learning_rate(static_cast<float>(learning_rate_));
  std::cerr << "From here on the backbone is trained, too, at learning rate " << learning_rate_
            << "\n";
}

}  // namespace fettle
