"""Writes keras_resnet.json: Keras's ResNet50 in float64, as make_resnet.py does for torchvision's, and
the names of its layers in the order in which Keras numbers them in a .weights.h5. Why batch-norm has
such weights stands there.

Run with any Python that has tensorflow and numpy: python3 tests/values/make_keras_resnet.py
Weights are numbered in fettle's layouts: [K,R,S,C], dense [units,C].
"""
import json
import math
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

keras.backend.set_floatx("float64")
N, H, W, CLASSES = 2, 64, 96, 10
INPUT = 1000


def spread(index, shape):
    """Numbers in [0, 1) that the golden ratio spreads; the same in C++, digit by digit."""
    x = np.arange(math.prod(shape), dtype=np.float64) * 0.6180339887498949
    x += index * 0.7548776662466927
    return (x - np.floor(x)).astype(np.float32).astype(np.float64).reshape(shape)


def rounded(value):
    return value.astype(np.float32).astype(np.float64)


PARTS = {4: ("weight", "bias", "running_mean", "running_var"), 2: ("weight", "bias")}
AXES = {4: (3, 0, 1, 2), 2: (1, 0), 1: (0,)}  # fettle's from Keras's

model = keras.applications.ResNet50(weights=None, include_top=True, input_shape=(H, W, 3),
                                    classes=CLASSES, classifier_activation=None)
layers = [layer for layer in model.layers if layer.weights]
named = []  # (Keras layer and part, variable)
for layer in layers:
    for part, variable in zip(PARTS[len(layer.weights)], layer.weights, strict=True):
        named.append((f"{layer.name}.{part}", variable))
for index, (name, variable) in enumerate(named):
    axes = AXES[len(variable.shape)]
    shape = tuple(variable.shape[a] for a in axes)
    u = spread(index, shape)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        value = (0.5 + u) * (0.25 if name.endswith("_3_bn.weight") else 1)
    elif len(shape) == 4:
        value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:]))
    elif name.endswith("_bn.bias"):
        value = u + 2
    else:
        value = u - 0.5
    variable.assign(np.transpose(rounded(value), np.argsort(axes)))


def flat(values):
    return [float(f"{v:.7g}") for v in np.asarray(values).flatten().tolist()]


x = tf.constant(rounded(4 * spread(INPUT, (N, H, W, 3)) - 2))
dy = rounded(2 * spread(1001, (N, CLASSES)) - 1)
out = {"names": [name for name, _ in named], "input": INPUT,
       "layers": [layer.name for layer in layers],
       "base_parameters": model.count_params() - layers[-1].count_params()}
trained = [(i, n, v) for i, (n, v) in enumerate(named) if "running" not in n]
for mode, training in (("predicted", False), ("trained", True)):
    with tf.GradientTape() as tape:
        logits = model(x, training=training)
        loss = tf.reduce_sum(logits * dy)
    gradients = {}
    for (index, name, variable), g in zip(
            trained, tape.gradient(loss, [v.value for _, _, v in trained]), strict=True):
        g = np.transpose(g.numpy(), AXES[len(g.shape)])
        probe = spread(2000 + index, g.shape) - 0.5
        gradients[name] = flat([np.sqrt((g * g).sum()), (g * probe).sum()])
    out[mode] = {"logits": flat(logits), "gradients": gradients}
pixels = rounded(255 * spread(1002, (1, 2, 2, 3)))
out["caffe"] = flat(keras.applications.resnet50.preprocess_input(pixels.copy()))
out["symmetric"] = flat(keras.applications.mobilenet.preprocess_input(pixels.copy()))
path = pathlib.Path(__file__).parent / "keras_resnet.json"
path.write_text(json.dumps(out))
print(path, path.stat().st_size, "bytes,", model.count_params(), "parameters")
