"""Writes batch_norm_fusion.json: batch normalisation with what follows it in a residual block, as
PyTorch computes it (float64). Run: python3 tests/values/make_batch_norm_fusion.py

Layouts are fettle's: pictures are [N,H,W,C].
"""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
SHAPE = (2, 3, 3, 6)


def flat(values):
    return [float(f"{v:.9g}") for v in values.detach().flatten().tolist()]


def leaf(*shape):
    return torch.randn(*shape).float().double().requires_grad_()


def norm(x, term, training):
    y = F.batch_norm(x.permute(0, 3, 1, 2), term["mean"].clone(), term["variance"].clone(),
                     term["gamma"], term["beta"], training, 0.1, 1e-3)
    return y.permute(0, 2, 3, 1)


def case(second, relu, training):
    terms = [{"x": leaf(*SHAPE), "gamma": leaf(6), "beta": leaf(6), "mean": torch.randn(6),
              "variance": torch.rand(6) + 0.5} for _ in range(1 if second == "none" else 2)]
    y = norm(terms[0]["x"], terms[0], training)
    if second == "plain":
        terms[1] = {"x": terms[1]["x"]}
        y = y + terms[1]["x"]
    elif second == "normalised":
        y = y + norm(terms[1]["x"], terms[1], training)
    y = F.relu(y) if relu else y
    dy = torch.randn_like(y).float().double()
    y.backward(dy)
    stored = []
    for term in terms:
        stored.append({name: flat(value) for name, value in term.items()})
        stored[-1] |= {"d" + name: flat(value.grad) for name, value in term.items()
                       if value.grad is not None}
    return {"second": second, "relu": relu, "training": training, "terms": stored, "y": flat(y),
            "dy": flat(dy)}


cases = [case(second, relu, training) for second in ("none", "plain", "normalised")
         for relu in (True, False) for training in (True, False)]
path = pathlib.Path(__file__).with_name("batch_norm_fusion.json")
path.write_text(json.dumps({"torch": torch.__version__, "shape": SHAPE, "cases": cases},
                           separators=(",", ":")) + "\n")
