"""Prints how fast fettle is beside oneDNN from the JSON of bench_conv2d: time of oneDNN over ours,
above 1 means that fettle is faster.

    python3 bench/ratios.py bench/results/FILE.json
"""
import collections
import json
import math
import sys

times = collections.defaultdict(dict)
for row in json.load(open(sys.argv[1]))["benchmarks"]:
    network, case, direction, who = row["name"].split("/")[:4]
    times[network, direction, case][who] = row["real_time"]

ratios = collections.defaultdict(list)
for (network, direction, _), both in times.items():
    ratios[network, direction].append(both["onednn"] / both["fettle"])

print(f"{'network':10} {'direction':16} {'cases':>5} {'geomean':>8} {'median':>7} {'min':>6} {'max':>6}")
for (network, direction), values in ratios.items():
    values.sort()
    mean = math.exp(sum(map(math.log, values)) / len(values))
    print(f"{network:10} {direction:16} {len(values):5} {mean:8.2f} {values[len(values) // 2]:7.2f} "
          f"{values[0]:6.2f} {values[-1]:6.2f}")
