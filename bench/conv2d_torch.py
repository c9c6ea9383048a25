"""Times cuDNN, through PyTorch, on the convolutions that bench_conv2d_cuda timed, on the same GPU,
and prints both: channels_last, fp32, tf32 and bf16. cuDNN's own search (benchmark mode) measures
what its heuristics propose, the first of them included, and takes the quickest. The plain 1x1
convolutions are also products of two matrices: these are timed by cuBLASLt, too.

    bench_conv2d_cuda --batch 32 --out ours.json
    python3 bench/conv2d_torch.py ours.json --out cudnn.json

The ratio is the median time of the quicker of both libraries over that of our quickest plan of the
same precision: above 1, fettle is faster; `chosen` is the same for the plan that plan_conv2d()
picks. In bf16 activations and weights are bf16 in both; ours has the gradients of weights in fp32.
Buffers rotate through more than the second-level cache in both, and where ours replayed CUDA graphs
(--graph), so does this. The limits are measured at the end: a copy on the GPU,
and a product of two matrices of 8192x8192.
"""
import argparse
import collections
import json
import math
import statistics
import time

import torch

BUDGET = 0.03  # seconds a case


def time_calls(calls, graph=False):
    """Seconds of a call: the calls take turns, timed by CUDA events; median, least, most. A graph
    has each of them once."""
    for call in calls[:3]:
        call()
    torch.cuda.synchronize()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    calls[0]()
    end.record()
    torch.cuda.synchronize()
    one = begin.elapsed_time(end) / 1000
    launches = max(1, min(8, int(0.001 / one)))
    if graph:
        captured, launches = torch.cuda.CUDAGraph(), len(calls)
        with torch.cuda.graph(captured):
            for call in calls:
                call()
    repeats = max(3, min(21, int(BUDGET / (one * launches))))
    seconds, turn = [], 0
    for repeat in range(-2, repeats):  # two to warm up
        begin.record()
        if graph:
            captured.replay()
        else:
            for _ in range(launches):
                calls[turn % len(calls)]()
                turn += 1
        end.record()
        torch.cuda.synchronize()
        if repeat >= 0:
            seconds.append(begin.elapsed_time(end) / 1000 / launches)
    return statistics.median(seconds), min(seconds), max(seconds)


def use(precision):
    """The type of the tensors; tf32 multiplies fp32."""
    allowed = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    return torch.bfloat16 if precision == "bf16" else torch.float32


def extents(row):
    """n, h, w, c, k, r, stride, and the output's p, q."""
    n, h, c, k, r, stride = (row[key] for key in ("N", "H", "C", "K", "R", "stride"))
    w = row.get("W", h)
    p, q = ((extent + 2 * (r // 2) - r) // stride + 1 for extent in (h, w))
    return n, h, w, c, k, r, stride, p, q


def sets(row, dtype):
    """How many buffers exceed the second-level cache."""
    n, h, w, c, k, r, _, p, q = extents(row)
    size = dtype.itemsize * (n * h * w * c + n * p * q * k + k * r * r * c // row.get("groups", 1))
    return range(max(1, min(512, (256 << 20) // size + 1)))


def convolution(row, precision):
    """Functions that compute the row's convolution, each on buffers of its own."""
    dtype, last = use(precision), torch.channels_last
    n, h, w, c, k, r, stride, p, q = extents(row)
    pad, groups, calls = r // 2, row.get("groups", 1), []
    for _ in sets(row, dtype):
        x = torch.randn(n, c, h, w, device="cuda", dtype=dtype).to(memory_format=last)
        f = torch.randn(k, c // groups, r, r, device="cuda", dtype=dtype).to(memory_format=last)
        if row["direction"] == "forward":
            calls.append(lambda x=x, f=f: torch.conv2d(x, f, None, stride, pad, 1, groups))
            continue
        y = torch.randn(n, k, p, q, device="cuda", dtype=dtype).to(memory_format=last)
        wanted = [row["direction"] == word for word in ("backward_input", "backward_weight", "")]
        calls.append(lambda x=x, f=f, y=y: torch.ops.aten.convolution_backward(
            y, x, f, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], groups, wanted))
    return calls


def product(row, precision):
    """The same for a 1x1 convolution as a product of matrices; pixels are rows."""
    dtype = use(precision)
    n, h, w, c, k, *_ = extents(row)
    calls = []
    for _ in sets(row, dtype):
        x = torch.randn(n * h * w, c, device="cuda", dtype=dtype)
        f = torch.randn(k, c, device="cuda", dtype=dtype)
        if row["direction"] == "forward":
            calls.append(lambda x=x, f=f: x @ f.t())
            continue
        y = torch.randn(n * h * w, k, device="cuda", dtype=dtype)
        if row["direction"] == "backward_input":
            calls.append(lambda f=f, y=y: y @ f)
        else:
            calls.append(lambda x=x, y=y: y.t() @ x)
    return calls


def limits():
    found = {}
    a = torch.empty(1 << 28, device="cuda")
    b = torch.randn(1 << 28, device="cuda")
    found["copy_bytes_per_second"] = 2 * a.numel() * 4 / time_calls([lambda: a.copy_(b)])[0]
    for precision in ("fp32", "tf32", "bf16"):
        dtype = use(precision)
        x, y = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
        seconds = time_calls([lambda: x @ y])[0]
        found[f"matmul_{precision}_flops_per_second"] = 2 * 8192 ** 3 / seconds
    return found


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("ours", help="JSON of bench_conv2d_cuda")
parser.add_argument("--out", help="JSON file to write")
parser.add_argument("--precisions", nargs="+", default=["fp32", "tf32", "bf16"])
parser.add_argument("--search", type=int, default=10,
                    help="how many of the heuristics' proposals cuDNN's search measures; 0: all")
arguments = parser.parse_args()
torch.backends.cudnn.benchmark = True
torch.backends.cudnn.benchmark_limit = arguments.search
torch.backends.cuda.preferred_blas_library("cublaslt")
with open(arguments.ours) as file:
    report = json.load(file)
by_case = collections.defaultdict(list)
for row in report["convolutions"]:
    if not row.get("wrong"):
        by_case[row["convolution"], row["N"]].append(row)
graph = report.get("graph", False)
result = {"gpu": torch.cuda.get_device_name(0), "driver": report.get("driver"),
          "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "torch": torch.__version__,
          "cudnn": torch.backends.cudnn.version(), "graph": graph, "limits": limits(),
          "convolutions": []}
print(f"{'N':>4} {'convolution':52} precision  cudnn us cublaslt  ours us  ratio chosen  plan")
ratios = collections.defaultdict(list)
for (name, n), rows in by_case.items():
    for precision in arguments.precisions:
        mine = [row for row in rows if row["precision"] == precision]
        if not mine:
            continue
        best = min(mine, key=lambda row: row["median_seconds"])
        chosen = next((row for row in mine if row.get("chosen")), None)
        case = {"convolution": name, "N": n, "precision": precision}
        theirs, column = [], f"{'':8}"
        try:
            for library, calls in (("cudnn", convolution), ("cublaslt", product)):
                if library == "cublaslt" and (best["R"] > 1 or best["stride"] > 1):
                    continue
                median, least, most = time_calls(calls(best, precision), graph)
                theirs.append(median)
                case[library + "_seconds"] = median
                case[library + "_min_seconds"], case[library + "_max_seconds"] = least, most
                if library == "cublaslt":
                    column = f"{median * 1e6:8.1f}"
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            print(f"{n:4} {name:52} {precision:9} needs more memory than the GPU has")
            continue
        ratio = min(theirs) / best["median_seconds"]
        chosen_ratio = min(theirs) / chosen["median_seconds"] if chosen else math.nan
        ratios[best["network"], best["direction"], n, precision].append((ratio, chosen_ratio))
        case.update(ratio=ratio, best_plan=best["plan"], chosen_ratio=chosen_ratio)
        result["convolutions"].append(case)
        print(f"{n:4} {name:52} {precision:9} {theirs[0] * 1e6:9.1f} {column} "
              f"{best['median_seconds'] * 1e6:8.1f} {ratio:6.2f} {chosen_ratio:6.2f}  "
              f"{best['plan']}")
print(f"{'network':16} {'direction':16} {'N':>4} precision cases  ratio: geomean    min    max"
      "   chosen: geomean")
for (network, direction, n, precision), pairs in ratios.items():
    best = [ratio for ratio, _ in pairs]
    picked = [ratio for _, ratio in pairs if not math.isnan(ratio)]
    print(f"{network:16} {direction:16} {n:4} {precision:9} {len(pairs):5} {geomean(best):15.2f} "
          f"{min(best):6.2f} {max(best):6.2f} {geomean(picked):17.2f}")
for name, value in result["limits"].items():
    print(f"{name} {value / 1e12:.2f}e12")
if arguments.out:
    with open(arguments.out, "w") as file:
        json.dump(result, file, indent=1)
