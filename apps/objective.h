// What a training makes small, and what it counts meanwhile.
#pragma once

#include "apps/train_options.h"
#include "engine/train/fit.h"

namespace fettle {

/// The data and what they are for.
struct Training {
  Task task;
  Data train, validation;

  bool validates() const { return validation.size(task) > 0; }
};

/// Throws Error when there is no picture of a class to learn it from.
void check_classes(const Training& training);

/// How many pictures there are, and of which classes or labels.
void print_data(const TrainOptions& options, const Training& training);

/// Says where no class or label tells the pictures to validate apart, so that val_auc is 0 at every
/// epoch, and throws Error where --monitor asks for it.
void check_validation(const TrainOptions& options, const Training& training);

/// The loss of --loss and the options about it. Throws Error where they do not fit the task.
LossFunction loss_of(const TrainOptions& options, const Training& training);

/// Adds what counts the figures of the task and, with masks, the augmentation that moves both.
/// Throws Error for one that would change nothing.
void add_measures(const TrainOptions& options, const Training& training, FitOptions& fit);

}  // namespace fettle
