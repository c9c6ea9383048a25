"""Writes unet_xception.json: the car-damage project's U-Net in Keras 3 (float64), with weights, input
and upstream gradient from a formula that the test repeats. Of each gradient it keeps the length and
the product with another vector of the formula, not its two million numbers.

Run with any Python that has tensorflow and numpy: python3 tests/values/make_unet_xception.py
Weights are numbered in fettle's layouts: [K,R,S,C], transposed [C,R,S,K], depthwise [C,R,S,1].
"""
import json
import math
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

keras.backend.set_floatx("float64")
N, H, W, C = 2, 32, 48, 3


def spread(index, shape):
    """Numbers in [0, 1) that the golden ratio spreads; the same in C++, digit by digit."""
    x = np.arange(math.prod(shape), dtype=np.float64) * 0.6180339887498949
    x += index * 0.7548776662466927
    return (x - np.floor(x)).astype(np.float32).astype(np.float64).reshape(shape)


named = []  # (fettle's name, Keras variable, fettle's axes from Keras's)


def remember(name, layer, y):
    if isinstance(layer, L.SeparableConv2D):
        parts = [("depthwise", (2, 0, 1, 3)), ("pointwise", (3, 0, 1, 2)), ("bias", (0,))]
    elif isinstance(layer, L.BatchNormalization):
        parts = [(p, (0,)) for p in ("weight", "bias", "running_mean", "running_var")]
    else:
        parts = [("weight", (3, 0, 1, 2)), ("bias", (0,))]
    for (part, axes), variable in zip(parts, layer.weights, strict=True):
        named.append((f"{name}.{part}", variable, axes))
    return y


def apply(name, layer, x):
    y = layer(x)
    remember(name, layer, y)
    return y


inputs = keras.Input((H, W, C))
x = L.ReLU()(apply("first_bn", L.BatchNormalization(),
                   apply("first", L.Conv2D(32, 3, strides=2, padding="same"), inputs)))
for i, f in enumerate((64, 128, 256), 1):
    y = apply(f"down{i}_conv1", L.SeparableConv2D(f, 3, padding="same"), L.ReLU()(x))
    y = apply(f"down{i}_bn1", L.BatchNormalization(), y)
    y = apply(f"down{i}_conv2", L.SeparableConv2D(f, 3, padding="same"), L.ReLU()(y))
    y = apply(f"down{i}_bn2", L.BatchNormalization(), y)
    y = L.MaxPooling2D(3, strides=2, padding="same")(y)
    x = y + apply(f"down{i}_residual", L.Conv2D(f, 1, strides=2, padding="same"), x)
for i, f in enumerate((256, 128, 64, 32), 1):
    y = apply(f"up{i}_conv1", L.Conv2DTranspose(f, 3, padding="same"), L.ReLU()(x))
    y = apply(f"up{i}_bn1", L.BatchNormalization(), y)
    y = apply(f"up{i}_conv2", L.Conv2DTranspose(f, 3, padding="same"), L.ReLU()(y))
    y = apply(f"up{i}_bn2", L.BatchNormalization(), y)
    y = L.UpSampling2D(2)(y)
    x = y + apply(f"up{i}_residual", L.Conv2D(f, 1, padding="same"), L.UpSampling2D(2)(x))
logits = apply("output", L.Conv2D(1, 3, padding="same"), x)
model = keras.Model(inputs, logits)

for index, (name, variable, axes) in enumerate(named):
    shape = tuple(variable.shape[a] for a in axes)
    u = spread(index, shape)
    if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        value = 0.5 + u
    elif len(shape) == 4:
        fan = shape[1] * shape[2] * (shape[0] if "up" in name and "conv" in name else shape[3])
        value = (2 * u - 1) * math.sqrt(3 / fan)
    else:
        value = u - 0.5
    variable.assign(np.transpose(value.astype(np.float32).astype(np.float64), np.argsort(axes)))

pictures = tf.constant((4 * spread(1000, (N, H, W, C)) - 2).astype(np.float32).astype(np.float64))
dy = (2 * spread(1001, (N, H, W, 1)) - 1).astype(np.float32).astype(np.float64)
predicted = model(pictures, training=False)
with tf.GradientTape() as tape:
    trained = model(pictures, training=True)
    loss = tf.reduce_sum(trained * dy)
trainable = [(i, n, v, a) for i, (n, v, a) in enumerate(named) if "running" not in n]
gradients = {}
for (index, name, _, axes), g in zip(
        trainable, tape.gradient(loss, [v.value for _, _, v, _ in trainable]), strict=True):
    g = np.transpose(g.numpy().astype(np.float64), axes)
    probe = spread(2000 + index, g.shape) - 0.5
    gradients[name] = [float(f"{v:.7g}") for v in (np.sqrt((g * g).sum()), (g * probe).sum())]


def flat(values):
    return [float(f"{v:.7g}") for v in values.numpy().flatten().tolist()]


out = {"names": [n for n, _, _ in named], "parameters": model.count_params(),
       "predicted": flat(predicted), "trained": flat(trained), "gradients": gradients}
path = pathlib.Path(__file__).parent / "unet_xception.json"
path.write_text(json.dumps(out))
print(path, path.stat().st_size, "bytes,", model.count_params(), "parameters")
