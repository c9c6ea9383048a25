"""Writes conv2d.json: convolutions and a dense layer as PyTorch computes them, with gradients.

Run with any Python that has torch and numpy: python3 tests/values/make_conv2d.py
Layouts are fettle's: x [N,H,W,C], w [K,R,S,C/groups].
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)

CASES = [
    # name, N, H, W, C, K, R, S, strides, pads (top, bottom, left, right), dilation, groups
    ("valid", 2, 7, 11, 3, 5, 3, 2, (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ("strided", 2, 6, 9, 4, 3, 3, 5, (2, 3), (0, 1, 2, 2), (1, 1), 1),
    ("dilated_groups", 1, 8, 7, 4, 6, 2, 3, (1, 1), (1, 0, 2, 3), (3, 2), 2),
]


def flat(tensor):
    return [float(f"{v:.9g}") for v in tensor.detach().contiguous().flatten().tolist()]


def conv_case(name, n, h, w, c, k, r, s, strides, pads, dilation, groups):
    x = torch.randn(n, c, h, w).float().double().requires_grad_()
    weight = torch.randn(k, c // groups, r, s).float().double().requires_grad_()
    bias = torch.randn(k).float().double().requires_grad_()
    top, bottom, left, right = pads
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, strides, 0, dilation, groups)
    y = F.relu(y)
    dy = torch.randn_like(y).float().double()
    y.backward(dy)
    nhwc = lambda t: flat(t.permute(0, 2, 3, 1))
    return {
        "name": name, "x_shape": [n, h, w, c], "w_shape": [k, r, s, c // groups],
        "y_shape": [n, y.shape[2], y.shape[3], k], "strides": strides, "pads": pads,
        "dilation": dilation, "groups": groups, "x": nhwc(x), "w": nhwc(weight), "bias": flat(bias),
        "dy": nhwc(dy), "y": nhwc(y), "dx": nhwc(x.grad), "dw": nhwc(weight.grad),
        "dbias": flat(bias.grad),
    }


def dense_case(n, c, k):
    x = torch.randn(n, c).float().double().requires_grad_()
    weight = torch.randn(k, c).float().double().requires_grad_()
    bias = torch.randn(k).float().double().requires_grad_()
    y = F.linear(x, weight, bias)
    dy = torch.randn_like(y).float().double()
    y.backward(dy)
    return {"x_shape": [n, c], "w_shape": [k, c], "x": flat(x), "w": flat(weight),
            "bias": flat(bias), "dy": flat(dy), "y": flat(y), "dx": flat(x.grad),
            "dw": flat(weight.grad), "dbias": flat(bias.grad)}


out = {"torch": torch.__version__, "conv2d": [conv_case(*case) for case in CASES],
       "dense": dense_case(3, 7, 5)}
path = pathlib.Path(__file__).with_name("conv2d.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
