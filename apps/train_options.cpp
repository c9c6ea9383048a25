#include "apps/train_options.h"

#include "apps/number_checks.h"

namespace fettle {

void add_train_options(CLI::App& command, TrainOptions& o) {
  command.add_option("--model", o.model, "What to train: " + model_names());
  command.add_option("--data", o.data,
                     "Folder of pictures: with a subfolder for each class, with a table of labels "
                     "(--labels), or with masks");
  command.add_option("--validation-data", o.validation_data,
                     "Another such folder to validate with, instead of --validation-split");
  add_format_options(command, o.format);
  command.add_option("--validation-labels", o.validation_labels,
                     "The table of labels of --validation-data [labels.csv there]");
  command.add_option("--out", o.out, "Run folder to write")->required();
  command.add_flag("--resume", o.resume,
                   "Go on with the run in --out from its last checkpoint and with its options, of "
                   "which only --epochs and what does not change the result can be given anew; "
                   "the result has the same bits as if it had never stopped");
  add_image_size(command, o.image_size);
  add_crop(command, o.crop);
  command.add_option("--channels", o.channels, "3 for colour, 1 for grey [the model's own]")
      ->check(CLI::IsMember({1, 3}));
  command.add_option("--epochs", o.epochs, "Passes over the pictures, at the most")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  command.add_option("--batch-size", o.batch_size, "Pictures a training step")
      ->check(whole_number(1, 65536))
      ->capture_default_str();
  command.add_option("--learning-rate", o.learning_rate, "[0.001; 0.01 for sgd]")
      ->check(number_above(0));
  command.add_option("--optimizer", o.optimizer, "sgd, adam, adamw or nadam")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "nadam"}))
      ->capture_default_str();
  command.add_option("--momentum", o.momentum, "Of sgd")
      ->check(number_between(0, 1))
      ->capture_default_str();
  command.add_option("--weight-decay", o.weight_decay, "Of adamw")
      ->check(number_from(0))
      ->capture_default_str();
  command.add_option("--epsilon", o.epsilon, "Of adam, adamw and nadam [1e-7]")
      ->check(number_above(0));
  command
      .add_option("--schedule", o.schedule,
                  "Learning rate: plateau (a fifth after 3 epochs without improvement), cosine, "
                  "step (a tenth after each third of the epochs) or constant")
      ->check(CLI::IsMember({"plateau", "cosine", "step", "constant"}))
      ->capture_default_str();
  command
      .add_option("--early-stopping", o.early_stopping,
                  "End after so many epochs without improvement; 0: never. The best weights are "
                  "kept in any case")
      ->check(whole_number(0, 1000000))
      ->capture_default_str();
  command.add_option("--monitor", o.monitor, "Figure that says what improvement is [val_loss]");
  command
      .add_option("--validation-split", o.validation_split,
                  "Part of the pictures that only validates")
      ->check(number_between(0, 0.99))
      ->capture_default_str();
  command
      .add_option("--augment", o.augment,
                  "Random changes in training: default (the model's own), none, or a list such as "
                  "flip=horizontal,rotation=0.1,zoom=0.1,contrast=0.1,brightness=0.1")
      ->capture_default_str();
  command
      .add_option(
          "--loss", o.loss,
          "Of masks: a sum of bce, dice, dice-batch, dice-kind, tversky, focal-tversky and "
          "focal-tversky-kind, such as dice+0.5*bce; classifiers: cross-entropy [default] or focal")
      ->capture_default_str();
  command
      .add_option("--false-negative-weight", o.false_negative_weight,
                  "Of the Tversky losses: the weight of missed pixels ...")
      ->check(number_from(0))
      ->capture_default_str();
  command
      .add_option("--false-positive-weight", o.false_positive_weight,
                  "... and of those drawn in vain")
      ->check(number_from(0))
      ->capture_default_str();
  command.add_option("--focal-exponent", o.focal_exponent, "Of the focal Tversky losses")
      ->check(number_above(0))
      ->capture_default_str();
  command
      .add_option("--focal-gamma", o.focal_gamma,
                  "Of a classifier's focal loss: how little counts what is already right")
      ->check(number_above(0))
      ->capture_default_str();
  command.add_option("--class-weights", o.class_weights, "none or balanced")
      ->check(CLI::IsMember({"none", "balanced"}))
      ->capture_default_str();
  command.add_option("--label-smoothing", o.label_smoothing, "0 to below 1")
      ->check(number_between(0, 0.99))
      ->capture_default_str();
  command
      .add_option("--bn-momentum", o.bn_momentum,
                  "What batch-norm's moving statistics keep at each step, Keras's sense [the "
                  "model's own, 0.99 for most]")
      ->check(number_between(0, 1));
  command
      .add_option("--bn-statistics", o.bn_statistics,
                  "What batch-norm uses in validation and prediction: moving, or batch (Keras's "
                  "training=True), which then depends on what else is in the batch")
      ->check(CLI::IsMember({"moving", "batch"}))
      ->capture_default_str();
  command.add_flag("--bn-first", o.bn_first,
                   "Batch-norm before ReLU in res_unet's first stage, too, where its project has "
                   "them the other way");
  command
      .add_option("--width", o.width,
                  "Channels of the first stage of res_unet [16] or a ResNet [64]")
      ->check(whole_number(1, 1024));
  command.add_option("--dropout", o.dropout, "After each block of res_unet")
      ->check(number_between(0, 0.99))
      ->capture_default_str();
  command.add_option("--seed", o.seed, "The same seed gives the same bits")
      ->check(seeds())
      ->capture_default_str();
  command.add_flag("--cache", o.cache, "Keep the decoded pictures in memory");
  command.add_flag("--skip-broken", o.skip_broken, "Leave out pictures that cannot be read");
  add_transfer_options(command, o.transfer);
  add_threads(command);
  add_device(command, o.compute);
  command.add_option("--conv-plans", o.conv_plans,
                     "On a GPU: time the ways to compute each convolution when it is first met, "
                     "take the quickest, and keep the choices in this file for other runs");
  command.add_flag("--cuda-graph", o.cuda_graph,
                   "On a GPU: start each training step as a whole instead of kernel by kernel; the "
                   "same bits");
}

}  // namespace fettle
