"""Prints what bench_conv2d, bench_dense and bench_memory_bound wrote: for each case the speed, its
percentage of the limit that was measured in the same run (the FMA peak for FLOP, the triad for
bytes), and beside other libraries the ratio: the time of the quickest of them over the quickest of
ours, above 1 means that fettle is faster. The ratio is formed round by round; median, least and most are shown.
At the end geometric means of the medians.

    python3 bench/ratios.py conv2d.json [dense.json ...] [--summary]
"""
import argparse
import collections
import json
import math
import statistics
import sys


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def limit(report, threads):
    key = "FLOP/s" if report["unit"] == "FLOP" else "bytes/s"
    return next(row[key] for row in report["limits"] if row["threads"] == threads)


def rate(case, who):
    return case["work"] / statistics.median(case["seconds"][who])


def is_ours(who):
    return who.startswith("fettle")


def quickest(case, whose):
    return max(whose, key=lambda who: rate(case, who), default=None)


def our_rate(case):
    return rate(case, quickest(case, filter(is_ours, case["seconds"])))


def ratios(case):
    """Round by round, beside the other contestant with the best median; its name comes first."""
    seconds = case["seconds"]
    best = quickest(case, [who for who in seconds if not is_ours(who)])
    if not best:
        return None, []
    ours = quickest(case, filter(is_ours, seconds))
    return best, [theirs / mine for theirs, mine in zip(seconds[best], seconds[ours])]


def print_cases(report, unit):
    print(f"{'case':56} {'threads':>7} {unit:>8} {'% limit':>7}   "
          "ratio: median    min    max   the others")
    for case in report["cases"]:
        ours = our_rate(case)
        line = (f"{case['case']:56} {case['threads']:7} {ours / 1e9:8.1f} "
                f"{100 * ours / limit(report, case['threads']):6.0f}%")
        best, values = ratios(case)
        if best:
            line += f"   {statistics.median(values):13.2f} {min(values):6.2f} {max(values):6.2f}  "
            for who in case["seconds"]:
                if who != "fettle":
                    mark = "*" if who == best else ""
                    line += f" {who}{mark} {rate(case, who) / 1e9:.1f}"
        print(line)


def print_groups(report):
    groups = collections.defaultdict(list)
    for case in report["cases"]:
        groups[case["group"], case["threads"]].append(case)
    print(f"{'group':34} {'threads':>7} {'cases':>5} {'% limit':>8} {'ratio: geomean':>15} "
          f"{'median':>7} {'min':>6} {'max':>6} {'cases >= 1':>10}")
    for (group, threads), cases in groups.items():
        share = geomean([our_rate(case) / limit(report, threads) for case in cases])
        line = f"{group:34} {threads:7} {len(cases):5} {100 * share:7.0f}%"
        medians = sorted(statistics.median(values) for _, values in map(ratios, cases) if values)
        if medians:
            line += (f" {geomean(medians):15.2f} {statistics.median(medians):7.2f} "
                     f"{medians[0]:6.2f} {medians[-1]:6.2f} {sum(m >= 1 for m in medians):10}")
        print(line)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("files", nargs="+", metavar="FILE.json")
parser.add_argument("--summary", action="store_true", help="the geometric means alone")
arguments = parser.parse_args()
for path in arguments.files:
    try:
        with open(path) as file:
            report = json.load(file)
        report["limits"], report["cases"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"ratios.py: '{path}' cannot be read as a report of these programs ({error!r}); "
                 "bench/run FOLDER makes them")
    unit = "GFLOP/s" if report["unit"] == "FLOP" else "GB/s"
    print(f"\n{report['program']}, {report['date']}, {report['cpu']}, load {report['load']}, "
          f"{report['rounds']} rounds")
    for row in report["limits"]:
        print(f"  measured limit at {row['threads']} threads: FMA {row['FLOP/s'] / 1e9:.1f} "
              f"GFLOP/s, triad {row['bytes/s'] / 1e9:.1f} GB/s")
    if not report["cases"]:
        print("  no case was timed")
        continue
    if not arguments.summary:
        print_cases(report, unit)
    print_groups(report)
