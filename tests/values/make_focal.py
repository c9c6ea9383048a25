"""Writes focal.json: focal losses of torchvision (sigmoid) and Keras (softmax), with gradients by
PyTorch of the same formula in float64.

Run with any Python that has torch, torchvision and keras: python3 tests/values/make_focal.py
"""
import json
import pathlib

import keras
import numpy as np
import torch
import torch.nn.functional as F
import torchvision

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)
flat = lambda t: t.detach().double().numpy().ravel().tolist()
out = {"torchvision": torchvision.__version__, "keras": keras.__version__, "categorical": [],
       "binary": []}
for gamma, smoothing in ((2.0, 0.0), (0.5, 0.0), (3.0, 0.1)):
    logits = (2 * torch.randn(6, 4)).float().double().requires_grad_()
    labels = torch.tensor([0, 3, 1, 1, 2, 0])
    target = F.one_hot(labels, 4) * (1 - smoothing) + smoothing / 4
    p = logits.softmax(1)
    loss = -(target * (1 - p) ** gamma * p.log()).sum(1).mean()
    loss.backward()
    theirs = keras.losses.CategoricalFocalCrossentropy(
        alpha=1.0, gamma=gamma, from_logits=True, label_smoothing=smoothing, dtype="float64")(
            F.one_hot(labels, 4).numpy().astype(np.float64), logits.detach().numpy())
    assert abs(float(theirs) - loss.item()) < 1e-6, (float(theirs), loss.item())
    out["categorical"].append({"gamma": gamma, "smoothing": smoothing, "shape": [6, 4],
                               "logits": flat(logits), "labels": labels.tolist(),
                               "loss": float(theirs), "dlogits": flat(logits.grad)})
for gamma in (2.0, 0.5):
    logits = (2 * torch.randn(5, 3)).float().double().requires_grad_()
    targets = (torch.rand(5, 3) > 0.5).double()  # several labels may hold
    loss = torchvision.ops.sigmoid_focal_loss(logits, targets, alpha=-1, gamma=gamma,
                                              reduction="mean")
    loss.backward()
    out["binary"].append({"gamma": gamma, "shape": [5, 3], "logits": flat(logits),
                          "targets": flat(targets), "loss": loss.item(),
                          "dlogits": flat(logits.grad)})
path = pathlib.Path(__file__).with_name("focal.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
