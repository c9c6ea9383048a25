"""Writes labels.json: what scikit-learn says of random answers to several labels a picture (its
report, curves, exact match and balanced weights), the loss with weights a label and its gradient by
PyTorch, and the temperature over all labels that scipy's minimiser finds.

Run with any Python that has scikit-learn, scipy, numpy and torch: python3 tests/values/make_labels.py
"""
import json
import pathlib

import numpy as np
import scipy.optimize
import scipy.special
import sklearn
import sklearn.metrics as metrics
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

rng = np.random.default_rng(11)


def balanced(targets):
    return [compute_class_weight("balanced", classes=np.array([0, 1]), y=column).tolist()
            for column in targets.T]


def temperature(logits, targets):
    def loss(log_t):
        z = logits / np.exp(log_t)
        return (np.logaddexp(0, z) - z * targets).mean()
    return float(np.exp(scipy.optimize.minimize_scalar(
        loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-10}).x))


def weighted_loss(logits, targets, weights):
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    t, w = torch.tensor(targets, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
    each = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    loss = (each * torch.where(t > 0, w[:, 1], w[:, 0])).mean()
    loss.backward()
    return loss.item(), z.grad.ravel().tolist()


def case(names, N, threshold):
    K = len(names)
    logits = np.round(2.5 * rng.standard_normal((N, K)) - 0.7, 1).astype(np.float32)
    targets = (rng.random((N, K)) < scipy.special.expit(logits / 1.6)).astype(int)
    p = scipy.special.expit(logits.astype(np.float64)).astype(np.float32)
    called = (p >= np.float32(threshold)).astype(int)
    weights = balanced(targets)
    loss, dlogits = weighted_loss(logits, targets, weights)
    return {"names": names, "shape": [N, K], "threshold": threshold,
            "logits": [round(float(z), 1) for z in logits.ravel()],
            "targets": targets.ravel().tolist(), "called": called.ravel().tolist(),
            "report": metrics.classification_report(targets, called, target_names=names,
                                                    output_dict=True, zero_division=0),
            "accuracy": float((targets == called).mean()),
            "exact_match": float(metrics.accuracy_score(targets, called)),
            "auc": [float(metrics.roc_auc_score(targets[:, k], p[:, k])) for k in range(K)],
            "average_precision": [float(metrics.average_precision_score(targets[:, k], p[:, k]))
                                  for k in range(K)],
            "loss": float((np.logaddexp(0, logits.astype(np.float64)) - logits * targets).mean()),
            "balanced": weights, "weighted_loss": loss, "weighted_dlogits": dlogits,
            "temperature": temperature(logits.astype(np.float64), targets)}


# With pictures that have no label and ones of which none is called.
cases = [case(["crack", "hole", "scratch"], 60, 0.5), case(["a", "b", "c", "d", "e"], 40, 0.8)]
assert any(not any(c["called"][i:i + c["shape"][1]]) for c in cases
           for i in range(0, len(c["called"]), c["shape"][1]))
path = pathlib.Path(__file__).with_name("labels.json")
path.write_text(json.dumps({"sklearn": sklearn.__version__, "cases": cases},
                           separators=(",", ":")) + "\n")
