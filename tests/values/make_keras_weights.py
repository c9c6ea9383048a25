"""Writes keras/: the weights of a tiny ResNet (one block, 2 channels wide) as Keras saves them in its new
and its old form, what Keras predicts with them, and HDF5 files that no program should follow.

Run with any Python that has tensorflow and h5py: python3 tests/values/make_keras_weights.py
"""
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import h5py
import keras
import numpy as np
from keras import layers as L

folder = pathlib.Path(__file__).parent / "keras"
folder.mkdir(exist_ok=True)
keras.utils.set_random_seed(7)


def conv(name, x, filters, kernel, **more):
    y = L.Conv2D(filters, kernel, name=f"{name}_conv", **more)(x)
    return L.BatchNormalization(epsilon=1.001e-5, name=f"{name}_bn")(y)


inputs = keras.Input((None, None, 3))
x = L.ZeroPadding2D(3, name="conv1_pad")(inputs)
x = L.ReLU()(conv("conv1", x, 2, 7, strides=2))
x = L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(1)(x))
shortcut = conv("conv2_block1_0", x, 8, 1)
y = L.ReLU()(conv("conv2_block1_1", x, 2, 1))
y = L.ReLU()(conv("conv2_block1_2", y, 2, 3, padding="same"))
y = L.ReLU()(L.Add()([shortcut, conv("conv2_block1_3", y, 8, 1)]))
logits = L.Dense(3, name="predictions")(L.GlobalAveragePooling2D()(y))
model = keras.Model(inputs, logits, name="resnet")
random = np.random.default_rng(7)
for layer in model.layers:
    layer.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim == 1 else w
                       for w in layer.get_weights()])

model.save_weights(folder / "tiny.weights.h5")
model.save(folder / "tiny_model.h5")  # the old form, in the group model_weights
# As the first versions with the new form wrote it: without the layers' names.
with h5py.File(folder / "tiny.weights.h5") as named, \
        h5py.File(folder / "tiny_unnamed.weights.h5", "w") as unnamed:
    for name in named:
        named.copy(name, unnamed, without_attrs=True)
# As Keras 2 wrote it: weights alone, names with :0 as texts of one length, lists in chunks.
with h5py.File(folder / "tiny_keras2.h5", "w") as old:
    layers = [layer for layer in model.layers if layer.weights]
    old.attrs["layer_names0"] = np.array([l.name.encode() for l in layers[:4]])
    old.attrs["layer_names1"] = np.array([l.name.encode() for l in layers[4:]])
    for layer in layers:
        group = old.create_group(layer.name)
        names = [f"{layer.name}/{w.name}:0" for w in layer.weights]
        group.attrs["weight_names"] = np.array([n.encode() for n in names])
        for name, w in zip(names, layer.get_weights(), strict=True):
            group[name] = w

pictures = np.floor(random.uniform(0, 256, (2, 9, 12, 3)))
seen = keras.applications.resnet50.preprocess_input(pictures.copy())
(folder / "tiny.json").write_text(json.dumps({
    "pictures": pictures.flatten().tolist(),
    "logits": [float(f"{v:.7g}") for v in model(seen).numpy().flatten().tolist()]}))


def bad(name, fill):
    with h5py.File(folder / f"{name}.weights.h5", "w") as file:
        fill(file.create_group("layers/dense/vars"))


source = h5py.VirtualSource("tiny.weights.h5", "layers/dense/vars/1", (3,))
layout = h5py.VirtualLayout((3,), np.float32)
layout[:] = source



def external_storage(group):
    group.create_dataset("0", (3,), np.float32, external=[("tiny.json", 0, 12)])


bad("external_link", lambda g: g.__setitem__("0", h5py.ExternalLink("tiny.weights.h5",
                                                                    "layers/dense/vars/1")))
bad("soft_link", lambda g: g.__setitem__("0", h5py.SoftLink("/layers/dense")))
bad("external_storage", external_storage)
bad("virtual", lambda g: g.create_virtual_dataset("0", layout))
bad("cycle", lambda g: g.parent.parent.__setitem__("again", g.parent.parent))
bad("huge", lambda g: g.create_dataset("0", (1 << 40, 1 << 20), np.float32, chunks=(1024, 1024)))
bad("unstored", lambda g: g.create_dataset("0", (1000, 1000), np.float32, chunks=(100, 100)))
bad("compressed", lambda g: g.create_dataset("0", data=np.zeros((1000, 100), np.float32),
                                             compression="gzip"))
bad("empty", lambda g: None)
for path in sorted(folder.iterdir()):
    print(path.name, path.stat().st_size, "bytes")
