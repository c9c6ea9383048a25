// --weights: a model that begins with what another training learned.
#pragma once

#include <string>

#include "io/weight_file.h"
#include "models/model.h"

namespace fettle {

/// The text of --preprocess for a run: the one that was given; else the one that the weights were
/// trained with (`weights` may be nullptr): a fettle run's own, imagenet for PyTorch's, caffe for
/// Keras's; else the model's. Empty for a model that has its own preprocessing. Throws Error when
/// one was given for such a model.
std::string preprocess_of(const std::string& given, const ModelEntry& entry,
                          const WeightFile* weights);

/// Copies weights into a built model by their names, and says on stderr what matched, what was left
/// out and what has another shape. Of Keras's files, a layer is found by the name that Keras gives
/// it in its ResNets, else by its class and number.
///
/// The head (of a Classifier its head, else the last layer) begins anew if `new_head` says so or
/// the file tells another number of classes apart. Throws Error, and changes nothing, when another
/// tensor of the model is missing or has another shape in the file, when the file has more
/// convolutions than the model, or when a head does not fit without either reason.
void load_weights(const WeightFile& weights, Layer& model, bool new_head);

}  // namespace fettle
