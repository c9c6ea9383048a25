// Where in a picture a classifier sees what speaks for a class: Grad-CAM, Selvaraju et al.,
// "Grad-CAM: visual explanations from deep networks via gradient-based localization", ICCV 2017.
//
//   map[n,p,q] = max(0, sum over k of a[n,k] * A[n,p,q,k])
//   a[n,k] = mean over p,q of d score[n] / d A[n,p,q,k]
//
// A are the last features that the model computes before it pools or flattens them: what its last
// convolution gives, after the batch-norm, the sum with a shortcut and the activation that follow.
// They are found by listening to the operations, so a model needs nothing for it.
#pragma once

#include <vector>

#include "layers/layer.h"

namespace fettle {

/// The maps [N,P,Q], on the host, of pictures x [N,H,W,C], each for one class. The score is the
/// class's log odds, log(p / (1 - p)): the logit less the logarithm of the sum of exp(logit) of the
/// others. It decides what is predicted and is the same for one logit [N,1] (or its negative, for
/// class 0) and for two; the paper takes the logit alone, which in a softmax says only half of it.
/// `multi_label`: each logit of [N,K] is a sigmoid's, and so the log odds themselves.
/// Only what follows A goes on the tape. The model must be frozen (set_trainable(false)), so that A
/// is a leaf; throws Error when it is not, and when it computes no such A.
Tensor grad_cam(Layer& model, const Tensor& x, const std::vector<int32_t>& classes,
                bool multi_label = false);

}  // namespace fettle
