// What a trained model computes, as a list of operations for other programs.
#pragma once

#include "apps/trained_model.h"

namespace fettle {

/// What a model computes for pictures of a size. Recorded with two of them, so that nothing takes
/// their number for a constant. Throws Error when the size does not fit the model.
Graph graph_of(TrainedModel& model, ImageSize size);

/// Adds what makes probabilities of the model's logits, its temperature included; returns their
/// value.
int add_probabilities(Graph& graph, const TrainedModel& model);

}  // namespace fettle
