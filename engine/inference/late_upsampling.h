// Upsampling as late in a network as may be.
#pragma once

#include "engine/inference/network.h"

namespace fettle::inference {

/// The same network for pictures of any size that fits it, of which height x width is one.
///
/// What treats each pixel by itself, as a 1x1 convolution or a sum, does to an enlarged picture
/// what it would have done before: conv(upsample(x)) = upsample(conv(x)), for a fraction of the
/// pixels. A 1x1 convolution of joined parts is a sum of one for each part. So where a U-Net joins
/// an enlarged picture with a skip,
///
///   conv(concatenate(upsample(x), skip)) = conv1(skip) + upsample(conv2(x)),
///
/// and neither the enlarged picture nor the joined one is ever written. Results differ by the
/// rounding of sums in another order.
Network upsample_late(const Network& network, int64_t height, int64_t width);

}  // namespace fettle::inference
