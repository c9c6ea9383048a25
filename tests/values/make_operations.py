"""Writes operations.json: losses, batch normalisation, pooling, upsampling and activations as
PyTorch computes them (float64), and metrics and optimisers as Keras 3 does.

Run with any Python that has torch, tensorflow and numpy: python3 tests/values/make_operations.py
Layouts are fettle's: pictures are [N,H,W,C].
"""
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)


def flat(values):
    if isinstance(values, torch.Tensor):
        values = values.detach().contiguous().numpy()
    return [float(f"{v:.9g}") for v in np.asarray(values).flatten().tolist()]


def leaf(*shape):
    return torch.randn(*shape).float().double().requires_grad_()


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def with_gradient(name, x, y, extra=None):
    dy = torch.randn_like(y).float().double()
    y.backward(dy)
    return {"name": name, "x_shape": list(x.shape), "y_shape": list(y.shape), "x": flat(x),
            "y": flat(y), "dy": flat(dy), "dx": flat(x.grad), **(extra or {})}


def activations():
    table = {"relu": F.relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "swish": F.silu,
             "softmax": lambda x: F.softmax(x, -1)}
    out = []
    for name, f in table.items():
        x = (torch.randn(3, 11) * 4).float().double().requires_grad_()
        out.append(with_gradient(name, x, f(x)))
    return out


def pools():
    out = []
    x = leaf(2, 7, 9, 3)
    out.append(with_gradient("max_2", x, nhwc(F.max_pool2d(nchw(x), 2))))
    x = leaf(2, 7, 9, 3)
    out.append(with_gradient("max_3_2_pad1", x, nhwc(F.max_pool2d(nchw(x), 3, 2, 1))))
    x = leaf(2, 7, 9, 3)
    out.append(with_gradient("average_3_2_pad1", x, nhwc(
        F.avg_pool2d(nchw(x), 3, 2, 1, count_include_pad=False))))
    x = leaf(2, 5, 4, 3)
    out.append(with_gradient("global_average", x, nchw(x).mean((2, 3))))
    return out


def upsamples():
    out = []
    for mode in ("nearest", "bilinear"):
        x = leaf(2, 3, 5, 2)
        kind = {} if mode == "nearest" else {"align_corners": False}
        out.append(with_gradient(mode, x, nhwc(
            F.interpolate(nchw(x), scale_factor=(2, 3), mode=mode, **kind))))
    return out


def batch_norm():
    out = []
    for training in (True, False):
        x, gamma, beta = leaf(3, 4, 5, 6), leaf(6), leaf(6)
        mean, variance = torch.randn(6), torch.rand(6) + 0.5
        before = {"mean": flat(mean), "variance": flat(variance)}
        y = nhwc(F.batch_norm(nchw(x), mean, variance, gamma, beta, training, 0.1, 1e-3))
        extra = {"gamma": flat(gamma), "beta": flat(beta), **before}
        case = with_gradient("training" if training else "inference", x, y, extra)
        case |= {"dgamma": flat(gamma.grad), "dbeta": flat(beta.grad), "mean_after": flat(mean),
                 "variance_after": flat(variance)}
        out.append(case)
    return out


def losses():
    out = {}
    logits, labels = leaf(7, 5), torch.tensor([0, 3, 4, 1, 1, 2, 0])
    weights = torch.tensor([1.0, 2.0, 0.5, 1.5, 1.0])
    each = F.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    loss = (each * weights[labels]).mean()
    loss.backward()
    out["categorical"] = {"logits_shape": [7, 5], "logits": flat(logits), "labels": labels.tolist(),
                          "weights": flat(weights), "label_smoothing": 0.1, "loss": loss.item(),
                          "dlogits": flat(logits.grad)}
    logits, targets = leaf(9, 1), (torch.rand(9, 1) > 0.5).double()
    loss = (F.binary_cross_entropy_with_logits(logits, targets * 0.8 + 0.1, reduction="none")
            * torch.where(targets >= 0.5, 2.0, 0.75)).mean()
    loss.backward()
    out["binary"] = {"logits_shape": [9, 1], "logits": flat(logits), "targets": flat(targets),
                     "weights": [0.75, 2.0], "label_smoothing": 0.2, "loss": loss.item(),
                     "dlogits": flat(logits.grad)}
    p = torch.rand(2, 3, 4, 5).float().double()
    t = (torch.rand(2, 3, 4, 5) > 0.6).double()
    out["regions"] = {"shape": [2, 3, 4, 5], "p": flat(p), "t": flat(t), "cases": []}
    axes = {"batch": (0, 1, 2, 3), "picture": (1, 2, 3), "channel": (0, 1, 2)}
    for grouping, axis in axes.items():
        for kind in ("dice", "tversky", "focal_tversky"):
            x = p.clone().requires_grad_()
            tp = (x * t).sum(axis)
            if kind == "dice":
                index = (2 * tp + 1) / (x.sum(axis) + t.sum(axis) + 1)
            else:
                fn, fp = ((1 - x) * t).sum(axis), (x * (1 - t)).sum(axis)
                index = (tp + 1e-6) / (tp + 0.7 * fn + 0.3 * fp + 1e-6)
            loss = ((1 - index) ** (0.75 if kind == "focal_tversky" else 1)).mean()
            loss.backward()
            out["regions"]["cases"].append({"kind": kind, "grouping": grouping,
                                            "loss": loss.item(), "dp": flat(x.grad)})
    return out


def metrics():
    p = np.round(rng.random(60), 3).astype(np.float32)
    p[:4] = [0.0, 1.0, 0.5, 0.5]
    labels = (rng.random(60) < p * 0.6 + 0.2).astype(np.int32)
    logits = np.log(np.clip(p, 1e-7, 1 - 1e-7) / (1 - np.clip(p, 1e-7, 1 - 1e-7))).astype(np.float32)
    p = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
    out = {"logits": flat(logits), "labels": labels.tolist()}
    for name, metric in {"auc": keras.metrics.AUC(), "precision": keras.metrics.Precision(),
                         "recall": keras.metrics.Recall(),
                         "accuracy": keras.metrics.BinaryAccuracy()}.items():
        metric.update_state(labels, p)
        out[name] = float(metric.result())
    return out


def optimizers():
    table = {
        "sgd": keras.optimizers.SGD(0.05),
        "sgd_momentum": keras.optimizers.SGD(0.05, momentum=0.9),
        "sgd_nesterov": keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        "adam": keras.optimizers.Adam(0.01),
        "adamw": keras.optimizers.AdamW(0.01, weight_decay=0.1),
        "nadam": keras.optimizers.Nadam(0.01),
    }
    w = rng.standard_normal(6).astype(np.float32)
    gradients = rng.standard_normal((5, 6)).astype(np.float32)
    out = {"w": flat(w), "gradients": [flat(g) for g in gradients], "after": {}}
    for name, optimizer in table.items():
        variable = keras.Variable(w)
        steps = []
        for g in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
            steps.append(flat(variable.numpy()))
        out["after"][name] = steps
    return out


out = {"torch": torch.__version__, "keras": keras.__version__, "activations": activations(),
       "pools": pools(), "upsamples": upsamples(), "batch_norm": batch_norm(), "losses": losses(),
       "metrics": metrics(), "optimizers": optimizers()}
path = pathlib.Path(__file__).with_name("operations.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
