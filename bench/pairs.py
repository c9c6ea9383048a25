"""Compares two builds of a benchmark by turns, so that what else the machine does meets both:
prints, for each case, the time of the first over the second (above 1: the second is faster); once
as a clock sees it and once as the processor's time of all threads, which a loaded machine disturbs
less.

    python3 bench/pairs.py BEFORE/bench_training_step AFTER/bench_training_step --pairs 7 [--benchmark_filter=...]
"""
import argparse
import json
import statistics
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("before")
parser.add_argument("after")
parser.add_argument("--pairs", type=int, default=7)
arguments, options = parser.parse_known_args()


def rows(program):
    """The program's results by name."""
    text = subprocess.run([program, "--benchmark_format=json", *options], check=True,
                          capture_output=True, text=True).stdout
    return {row["name"]: row for row in json.loads(text)["benchmarks"]}


pairs = []
for i in range(arguments.pairs):  # whoever goes first may find the machine in another state
    first, second = (arguments.before, arguments.after)[:: 1 if i % 2 == 0 else -1]
    results = {first: rows(first)}
    results[second] = rows(second)
    pairs.append((results[arguments.before], results[arguments.after]))

print(f"{'case':44} {'':5} {'before':>10} {'after':>10}   ratio: median    min    max")
for name, sample in pairs[0][0].items():
    for what in ("real", "cpu"):
        before, after = ([side[name][what + "_time"] for side in sides] for sides in zip(*pairs))
        ratios = [one / other for one, other in zip(before, after)]
        print(f"{name:44} {what:5} {statistics.median(before):8.1f}{sample['time_unit']} "
              f"{statistics.median(after):8.1f}{sample['time_unit']} "
              f"{statistics.median(ratios):15.3f} {min(ratios):6.3f} {max(ratios):6.3f}")
    if "peak MiB" in sample:
        print(f"{name:44} {'MiB':5} {sample['peak MiB']:10.1f} {pairs[0][1][name]['peak MiB']:10.1f}")
