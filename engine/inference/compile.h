// From a recorded graph to a network that only predicts.
#pragma once

#include "engine/graph.h"
#include "engine/inference/network.h"

namespace fettle::inference {

/// The network that computes what `graph` does, with fewer steps: batch normalisation with moving
/// statistics is folded into the weights of the convolution or dense layer before it (Jacob et al.,
/// arXiv 1712.05877, section 3.2), a ReLU into its epilogue, and a factor on a picture into the
/// weights after it; upsampling comes as late as may be (late_upsampling.h). The number of pictures
/// of the graph does not matter. Throws Error when the graph has an operation that networks lack.
Network compile(const Graph& graph);

/// Whether two networks bind to the same geometry at a size: a network compiled at one size holds
/// for another when it agrees there with one compiled at the other.
bool agree(const Network& a, const Network& b, int64_t height, int64_t width);

}  // namespace fettle::inference
