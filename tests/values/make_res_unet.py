"""Writes res_unet.json: a narrow Res-UNet in PyTorch (float64), with weights, input and upstream
gradient from a formula that the test repeats, so that only results are stored.

Run with any Python that has torch and numpy: python3 tests/values/make_res_unet.py
Layouts are fettle's: pictures [N,H,W,C], weights [K,R,S,C].
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

N, H, W, C, CLASSES, WIDTH = 2, 32, 48, 2, 3, 2


def spread(index, shape):
    """Numbers in [0, 1) that the golden ratio spreads; the same in C++, digit by digit."""
    count = math.prod(shape)
    x = np.arange(count, dtype=np.float64) * 0.6180339887498949 + index * 0.7548776662466927
    return torch.tensor((x - np.floor(x)).astype(np.float32).astype(np.float64)).reshape(shape)


names, tensors = [], {}


def tensor(name, shape):
    index = len(names)
    names.append(name)
    u = spread(index, shape)
    if name.endswith(("running_var", "bn1.weight", "bn2.weight", "bn_shortcut.weight")):
        value = 0.5 + u
    elif len(shape) == 4:
        value = (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:]))
    else:
        value = u - 0.5
    tensors[name] = value.float().double()
    if "running" not in name:
        tensors[name].requires_grad_()


def conv_tensors(name, filters, kernel, channels):
    tensor(f"{name}.weight", (filters, kernel, kernel, channels))
    tensor(f"{name}.bias", (filters,))


def norm_tensors(name, channels):
    for part in ("weight", "bias", "running_mean", "running_var"):
        tensor(f"{name}.{part}", (channels,))


def block_tensors(name, filters, channels):
    conv_tensors(f"{name}.conv1", filters, 1, channels)
    norm_tensors(f"{name}.bn1", filters)
    conv_tensors(f"{name}.conv2", filters, 3, filters)
    norm_tensors(f"{name}.bn2", filters)
    conv_tensors(f"{name}.shortcut", filters, 1, channels)
    norm_tensors(f"{name}.bn_shortcut", filters)


def conv(name, x):
    w = tensors[f"{name}.weight"].permute(0, 3, 1, 2)
    return F.conv2d(x, w, tensors[f"{name}.bias"], padding=int(w.shape[2]) // 2)


def norm(name, x, training):
    t = lambda part: tensors[f"{name}.{part}"]
    mean, var = t("running_mean").clone(), t("running_var").clone()
    return F.batch_norm(x, mean, var, t("weight"), t("bias"), training, 0.0, 1e-3)


def block(name, x, training):
    y = F.relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x), training))
    y = norm(f"{name}.bn2", conv(f"{name}.conv2", y), training)
    return F.relu(y + norm(f"{name}.bn_shortcut", conv(f"{name}.shortcut", x), training))


def res_unet(x, training):
    x = norm("bn1", F.relu(conv("conv1", x)), training)
    skips = [norm("bn2", F.relu(conv("conv2", x)), training)]
    y = F.max_pool2d(skips[0], 2)
    for i in (1, 2, 3):
        skips.append(block(f"down{i}", y, training))
        y = F.max_pool2d(skips[i], 2)
    y = block("down4", y, training)
    for i in (1, 2, 3, 4):
        up = F.interpolate(y, scale_factor=2, mode="nearest")
        y = block(f"up{i}", torch.cat([up, skips[4 - i]], 1), training)
    return conv("output", y)


def flat(values):
    return [float(f"{v:.7g}") for v in values.detach().numpy().flatten().tolist()]


def main():
    torch.set_default_dtype(torch.float64)
    conv_tensors("conv1", WIDTH, 3, C)
    norm_tensors("bn1", WIDTH)
    conv_tensors("conv2", WIDTH, 3, WIDTH)
    norm_tensors("bn2", WIDTH)
    channels = WIDTH
    for i in (1, 2, 3, 4):
        block_tensors(f"down{i}", WIDTH << i, channels)
        channels = WIDTH << i
    for i in (1, 2, 3, 4):
        filters = WIDTH << (4 - i)
        block_tensors(f"up{i}", filters, channels + filters)
        channels = filters
    conv_tensors("output", CLASSES, 1, WIDTH)

    x = (4 * spread(1000, (N, H, W, C)) - 2).float().double().permute(0, 3, 1, 2).contiguous()
    x.requires_grad_()
    dy = (2 * spread(1001, (N, H, W, CLASSES)) - 1).float().double().permute(0, 3, 1, 2)
    y = res_unet(x, True)
    y.backward(dy)

    nhwc = lambda t: t.permute(0, 2, 3, 1).contiguous()
    out = {"names": names,
           "predicted": flat(nhwc(res_unet(x, False))),
           "trained": flat(nhwc(y)),
           "dx": flat(nhwc(x.grad)),
           "gradients": {name: flat(t.grad) for name, t in tensors.items() if t.requires_grad}}
    path = pathlib.Path(__file__).parent / "res_unet.json"
    path.write_text(json.dumps(out))
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
