"""Writes classification.json: the report and the curves of scikit-learn, the temperature that
scipy's minimiser finds, and the expected calibration error by NumPy, of random logits.

Run with any Python that has scikit-learn, scipy and numpy: python3 tests/values/make_classification.py
"""
import json
import pathlib

import numpy as np
import scipy.optimize
import scipy.special
import sklearn
import sklearn.metrics as metrics

rng = np.random.default_rng(5)
N, K = 80, 4


def cross_entropy(logits, labels, temperature):
    z = logits / temperature
    return -(z - scipy.special.logsumexp(z, axis=1, keepdims=True))[np.arange(len(z)), labels].mean()


def temperature(logits, labels):
    return scipy.optimize.minimize_scalar(
        lambda log_t: cross_entropy(logits, labels, np.exp(log_t)), bounds=(-3, 3),
        method="bounded", options={"xatol": 1e-10}).x


def calibration_error(p, labels, bins=15):
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    error = 0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


def case(logits, labels):
    logits = logits.astype(np.float32)
    p = scipy.special.softmax(logits.astype(np.float64), axis=1).astype(np.float32)
    t = float(np.exp(temperature(logits.astype(np.float64), labels)))
    curves = []
    for k in range(logits.shape[1]):
        fpr, tpr, thresholds = metrics.roc_curve(labels == k, p[:, k], drop_intermediate=False)
        precision, recall, _ = metrics.precision_recall_curve(labels == k, p[:, k])
        # Falling thresholds, without the points that scikit-learn puts before the first.
        curves.append({"thresholds": thresholds[1:].tolist(), "fpr": fpr[1:].tolist(),
                       "tpr": tpr[1:].tolist(), "precision": precision[-2::-1].tolist(),
                       "recall": recall[-2::-1].tolist(),
                       "auc": float(metrics.roc_auc_score(labels == k, p[:, k])),
                       "average_precision": float(
                           metrics.average_precision_score(labels == k, p[:, k]))})
    predicted = p.argmax(axis=1)
    return {"shape": list(logits.shape), "logits": logits.ravel().tolist(),
            "labels": labels.tolist(), "probabilities": p.ravel().tolist(), "curves": curves,
            "confusion": metrics.confusion_matrix(labels, predicted,
                                                  labels=range(logits.shape[1])).tolist(),
            "report": metrics.classification_report(labels, predicted, output_dict=True,
                                                    labels=range(logits.shape[1]),
                                                    zero_division=0),
            "temperature": t, "error": float(calibration_error(p, labels))}


labels = rng.choice(K, N, p=[0.4, 0.3, 0.2, 0.1])
logits = np.round(2.5 * rng.standard_normal((N, K)) + 3 * np.eye(K)[labels], 1)
logits[:, 3] -= 9  # never predicted
two = np.stack([np.zeros(N), np.round(0.4 * rng.standard_normal(N) + (labels > 0) - 0.5, 1)], 1)
# Several labels a picture.
scores = np.round(2 * rng.standard_normal((50, 3)), 1)
targets = rng.random((50, 3)) < scipy.special.expit(scores)
called = scores >= 0
several = {"logits": scores.ravel().tolist(), "targets": targets.astype(int).ravel().tolist()}
for name in ("precision", "recall", "f1"):
    score = getattr(metrics, name + "_score")
    several[name] = score(targets, called, average=None).tolist()
    several["macro_" + name] = float(score(targets, called, average="macro"))
out = {"sklearn": sklearn.__version__, "cases": [case(logits, labels),
                                                 case(two, (labels > 0).astype(int))],
       "several_labels": several}
path = pathlib.Path(__file__).with_name("classification.json")
path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
