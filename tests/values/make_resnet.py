"""Writes resnet.json: torchvision's ResNet50 and ResNet18 in float64, with weights, input and upstream
gradient from a formula that the test repeats. Of each gradient it keeps the length and the product
with another vector of the formula, not its millions of numbers.

A block's last batch-norm has small weights, as trained ones have, and the biases of batch-norm are
positive: else so many sums lie within rounding of ReLU's bend that, in training, the same network in
fp32 and in fp64 differs by a hundredth in PyTorch's own hands, too.

Run with any Python that has torchvision and numpy: python3 tests/values/make_resnet.py
Numbers are in fettle's layouts: pictures [N,H,W,C], weights [K,R,S,C].
"""
import json
import math
import pathlib

import numpy as np
import torch
import torchvision

torch.set_default_dtype(torch.float64)
N, H, W, CLASSES = 2, 64, 96, 10
INPUT = 1007  # of several, the one that keeps ResNet50's sums farthest from ReLU's bend


def spread(index, shape):
    """Numbers in [0, 1) that the golden ratio spreads; the same in C++, digit by digit."""
    x = np.arange(math.prod(shape), dtype=np.float64) * 0.6180339887498949
    x += index * 0.7548776662466927
    return (x - np.floor(x)).astype(np.float32).astype(np.float64).reshape(shape)


def rounded(value):
    return value.astype(np.float32).astype(np.float64)


def from_nhwc(value):
    """[N,H,W,C] to [N,C,H,W], and [K,R,S,C] to [K,C,R,S]."""
    return torch.tensor(value if value.ndim < 4 else np.transpose(value, (0, 3, 1, 2)))


def to_nhwc(tensor):
    value = tensor.detach().numpy()
    return value if value.ndim < 4 else np.transpose(value, (0, 2, 3, 1))


def set_weights(model):
    named = [(n, t) for n, t in model.state_dict().items() if "num_batches" not in n]
    for index, (name, tensor) in enumerate(named):
        shape = to_nhwc(tensor).shape
        u = spread(index, shape)
        if name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            value = (0.5 + u) * (0.25 if name.endswith("bn3.weight") else 1)
        elif len(shape) == 4:
            value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:]))
        elif name.endswith("bias") and ("bn" in name or "downsample.1" in name):
            value = u + 2
        else:
            value = u - 0.5
        tensor.copy_(from_nhwc(rounded(value)))
    return [name for name, _ in named]


def flat(values):
    return [float(f"{v:.7g}") for v in np.asarray(values).flatten().tolist()]


def gradients(model, names):
    out = {}
    parameters = dict(model.named_parameters())
    for index, name in enumerate(names):
        if name in parameters:
            g = to_nhwc(parameters[name].grad)
            probe = spread(2000 + index, g.shape) - 0.5
            out[name] = flat([np.sqrt((g * g).sum()), (g * probe).sum()])
    model.zero_grad()
    return out


def values_of(model):
    names = set_weights(model)
    x = from_nhwc(rounded(4 * spread(INPUT, (N, H, W, 3)) - 2))
    dy = torch.tensor(rounded(2 * spread(1001, (N, CLASSES)) - 1))
    out = {"names": names, "input": INPUT}
    for mode, training in (("predicted", False), ("trained", True)):
        model.train(training)
        y = model(x)
        y.backward(dy)
        out[mode] = {"logits": flat(y.detach().numpy()), "gradients": gradients(model, names)}
    return out


out = {name: values_of(getattr(torchvision.models, name)(num_classes=CLASSES))
       for name in ("resnet18", "resnet50")}
pixels = rounded(255 * spread(1002, (1, 2, 2, 3)))
normalize = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
out["imagenet"] = flat(to_nhwc(normalize(from_nhwc(pixels) / 255)))
path = pathlib.Path(__file__).parent / "resnet.json"
path.write_text(json.dumps(out))
print(path, path.stat().st_size, "bytes")
