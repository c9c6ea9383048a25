"""Times cuDNN, through PyTorch, on the convolutions that bench_conv2d_cuda timed, on the same GPU,
and prints both: channels_last, cuDNN's own search (benchmark mode), fp32, tf32 and bf16.

    bench_conv2d_cuda --batch 32 --out ours.json
    python3 bench/conv2d_torch.py ours.json --out cudnn.json

The ratio is cuDNN's median time over that of our quickest plan of the same precision: above 1,
fettle is faster; `chosen` is the same for the plan that plan_conv2d() picks. In bf16 ours reads and writes
fp32 and rounds on the way, within the time; cuDNN's tensors are bf16 already. Buffers rotate through
more than the second-level cache in both. The limits are measured at the end: a copy on the GPU, and
a product of two matrices of 8192x8192.
"""
import argparse
import collections
import json
import math
import statistics

import torch

BUDGET = 0.03  # seconds a case


def time_calls(calls):
    """Seconds of a call: the calls take turns, timed by CUDA events; the median."""
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
    repeats = max(3, min(21, int(BUDGET / (one * launches))))
    seconds, turn = [], 0
    for _ in range(repeats):
        begin.record()
        for _ in range(launches):
            calls[turn % len(calls)]()
            turn += 1
        end.record()
        torch.cuda.synchronize()
        seconds.append(begin.elapsed_time(end) / 1000 / launches)
    return statistics.median(seconds)


def convolution(row, precision):
    """Functions that compute the row's convolution, each on buffers of its own."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "fp32"
    n, h, c, k, r, stride = (row[key] for key in ("N", "H", "C", "K", "R", "stride"))
    pad = r // 2
    p = (h + 2 * pad - r) // stride + 1
    last = torch.channels_last
    size = dtype.itemsize * (n * h * h * c + n * p * p * k + k * r * r * c)
    calls = []
    for _ in range(max(1, min(64, (256 << 20) // size + 1))):
        x = torch.randn(n, c, h, h, device="cuda", dtype=dtype).to(memory_format=last)
        w = torch.randn(k, c, r, r, device="cuda", dtype=dtype).to(memory_format=last)
        y = torch.randn(n, k, p, p, device="cuda", dtype=dtype).to(memory_format=last)
        if row["direction"] == "forward":
            calls.append(lambda x=x, w=w: torch.conv2d(x, w, None, stride, pad))
        else:
            wanted = [row["direction"] == word for word in ("backward_input", "backward_weight", "")]
            calls.append(lambda x=x, w=w, y=y: torch.ops.aten.convolution_backward(
                y, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, wanted))
    return calls


def limits():
    found = {}
    a = torch.empty(1 << 28, device="cuda")
    b = torch.randn(1 << 28, device="cuda")
    found["copy_bytes_per_second"] = 2 * a.numel() * 4 / time_calls([lambda: a.copy_(b)])
    for precision in ("fp32", "tf32", "bf16"):
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
        x, y = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
        found[f"matmul_{precision}_flops_per_second"] = 2 * 8192 ** 3 / time_calls([lambda: x @ y])
    return found


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("ours", help="JSON of bench_conv2d_cuda")
parser.add_argument("--out", help="JSON file to write")
parser.add_argument("--precisions", nargs="+", default=["fp32", "tf32", "bf16"])
arguments = parser.parse_args()
torch.backends.cudnn.benchmark = True
with open(arguments.ours) as file:
    report = json.load(file)
by_case = collections.defaultdict(list)
for row in report["convolutions"]:
    if not row.get("wrong"):
        by_case[row["convolution"]].append(row)
result = {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__,
          "cudnn": torch.backends.cudnn.version(), "batch": report["batch"], "limits": limits(),
          "convolutions": []}
print(f"{'convolution':52} precision  cudnn us  ours us  ratio chosen  plan")
ratios = collections.defaultdict(list)
for name, rows in by_case.items():
    for precision in arguments.precisions:
        mine = [row for row in rows if row["precision"] == precision]
        if not mine:
            continue
        theirs = time_calls(convolution(mine[0], precision))
        best = min(mine, key=lambda row: row["median_seconds"])
        chosen = next((row for row in mine if row.get("chosen")), None)
        ratio = theirs / best["median_seconds"]
        chosen_ratio = theirs / chosen["median_seconds"] if chosen else math.nan
        network, direction = best["network"], best["direction"]
        ratios[network, direction, precision].append((ratio, chosen_ratio))
        result["convolutions"].append({"convolution": name, "precision": precision,
                                       "cudnn_seconds": theirs, "ratio": ratio,
                                       "best_plan": best["plan"], "chosen_ratio": chosen_ratio})
        print(f"{name:52} {precision:9} {theirs * 1e6:9.1f} {best['median_seconds'] * 1e6:8.1f} "
              f"{ratio:6.2f} {chosen_ratio:6.2f}  {best['plan']}")
print(f"{'network':10} {'direction':16} precision cases  ratio: geomean    min    max"
      "   chosen: geomean")
for (network, direction, precision), pairs in ratios.items():
    best = [ratio for ratio, _ in pairs]
    picked = [ratio for _, ratio in pairs if not math.isnan(ratio)]
    print(f"{network:10} {direction:16} {precision:9} {len(pairs):5} {geomean(best):15.2f} "
          f"{min(best):6.2f} {max(best):6.2f} {geomean(picked):17.2f}")
for name, value in result["limits"].items():
    print(f"{name} {value / 1e12:.2f}e12")
if arguments.out:
    with open(arguments.out, "w") as file:
        json.dump(result, file, indent=1)
