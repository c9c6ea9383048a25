"""Prints what bench/run-gpu measured, from the files that it kept.

    python3 bench/gpu_page.py FOLDER

Convolutions: geometric means over the distinct ones of a network, of the others' time over ours
(above 1, fettle is faster) and of how much of the roof both reach; see bench/roofline.py. The
others are the quicker of cuDNN and cuBLASLt.
"""
import argparse
import collections
import json
import math
import pathlib
import sys

from roofline import DIRECTIONS, PRECISIONS, geomean, read, roof_of, work


def convolutions(folder):
    paths = sorted(folder.glob("conv2d-*.json"))
    if not paths:
        return
    report, cases = read(paths)
    if "limits" not in report:
        print("convolutions: nothing was measured beside them")
        return
    limits, roof_at = report["limits"], roof_of(report)
    print("roof: a copy of " + f"{limits['copy_bytes_per_second'] / 1e12:.2f} TB/s; " + ", ".join(
        f"{p} {roof_at(p, math.inf) / 1e12:.0f} TFLOP/s" for p in PRECISIONS))
    groups = collections.defaultdict(list)
    for (_, n, precision), case in cases.items():
        if "ours" not in case or "theirs" not in case:
            continue
        row = case["ours"]
        flops, size = work(row)
        most = roof_at(precision, flops / size)
        groups[row["network"], n, row["direction"], precision].append(
            (case["theirs"] / row["median_seconds"], flops / row["median_seconds"] / most,
             flops / case["theirs"] / most))
    print(f"\n{'network':18}{'batch':>6}  {'direction':17}" + "".join(
        f"{precision + ': ratio':>14} % roof, theirs" for precision in PRECISIONS))
    for network, n, direction in dict.fromkeys(key[:3] for key in groups):
        line = f"{network:18}{n:6}  {DIRECTIONS[direction]:17}"
        for precision in PRECISIONS:
            found = list(zip(*groups[network, n, direction, precision])) or [[], [], []]
            ratio, ours, theirs = map(geomean, found)
            line += f"{ratio:14.2f}{100 * ours:7.0f}{100 * theirs:8.0f}"
        print(line)


def memory_bound(path):
    report = json.loads(path.read_text())
    print(f"\n{'bound by memory, batch ' + str(report['batch']):50}{'GB/s':>8}{'% of a copy':>13}")
    for case in report["cases"]:
        print(f"{case['case']:50}{case['bytes_per_second'] / 1e9:8.0f}"
              f"{100 * case['share_of_copy']:12.0f}%")


def training_steps(path):
    runs = collections.defaultdict(dict)
    for line in path.read_text().splitlines():
        run = json.loads(line)
        who = "ours" if "torch" not in run else "compiled" if run["compile"] else "PyTorch"
        runs[run["model"], run["precision"]][who] = run
    print(f"\n{'milliseconds':10}{'precision':>12}" + "".join(
        f"{what + ': ours':>18}{'PyTorch':>9}{'ratio':>7}{'compiled':>10}"
        for what in ("training", "prediction")))
    for (model, precision), found in runs.items():
        line = f"{model:12}{precision:>10}"
        for what in ("train", "predict"):
            ours, eager, compiled = (found.get(who, {}).get(what, {}).get("median_ms", math.nan)
                                     for who in ("ours", "PyTorch", "compiled"))
            line += f"{ours:18.1f}{eager:9.1f}{eager / ours:7.2f}{compiled / ours:10.2f}"
        print(line.replace("nan", "   "))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
arguments = parser.parse_args()
parts = [(convolutions, arguments.folder)] + [
    (part, path) for part, path in ((memory_bound, arguments.folder / "memory_bound.json"),
                                    (training_steps, arguments.folder / "training_steps.jsonl"))
    if path.exists()]
for path in sorted(arguments.folder.glob("*.json")):
    report = json.loads(path.read_text())
    print(f"{report['gpu']}, driver {report['driver']}, {report['date']}")
    break
else:
    sys.exit(f"gpu_page.py: there are no reports in '{arguments.folder}'; bench/run-gpu makes them")
for part, path in parts:
    part(path)
