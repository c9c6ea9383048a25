"""Times whole networks beside PyTorch, ONNX Runtime, OpenVINO and ncnn, all in fp32 and with the
same random weights: prediction of ResNet50 (224x224) and Res-UNet (256x256, 256x1600) with 1 and 8
pictures, and a training step with 8 beside PyTorch. Each engine is a process of its own; they take
turns, and a ratio is formed turn by turn: above 1, fettle is faster. Results are compared first.

    pip install -r bench/requirements.txt     # whoever is missing is left out
    python3 bench/peers.py build/bench --out peers.json

`start` is the time from the start of a fresh process to its first prediction, in seconds; for
engines of Python that holds the interpreter and the imports, and `loaded` is the part after them.
`peak` is the most memory that the process had at once, in MiB. ncnn predicts picture by picture. A
training step begins with weights of its own: its result is not compared here.
"""
import argparse
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import numpy as np
except ImportError:
    sys.exit("peers.py: Python has no numpy; pip install -r bench/requirements.txt brings it and "
             "the engines")

HERE = pathlib.Path(__file__).parent
ENGINES = ["torch", "onnxruntime", "openvino", "ncnn"]
SIZES = [("resnet50", 224, 224), ("res_unet", 256, 256), ("res_unet", 256, 1600)]
CHANNELS = {"resnet50": 3, "res_unet": 1}


class Contestant:
    """A process that answers with times; see bench/inference.cpp."""

    def __init__(self, command):
        begin = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        answer = self.read().split()
        self.start = time.perf_counter() - begin
        self.loaded = float(answer[1]) if len(answer) > 1 else self.start

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"peers.py: {' '.join(self.process.args)} ended early; its message is above")
        return line

    def time(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return float(self.read())

    def end(self):
        """Ends the process; returns its peak memory in MiB. (The system's ru_maxrss would count
        what this process had when it started the other.)"""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"peers.py: {' '.join(self.process.args)} failed at its end")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


class FettleTraining:
    """bench_training_step, a fresh process a turn, in place of a Contestant."""

    def __init__(self, program, name, threads):
        self.processors = sorted(os.sched_getaffinity(0))[:threads]  # it takes all that it may use
        self.command = [program, f"--benchmark_filter=training_step/{name}/",
                        "--benchmark_format=json"]
        self.peak = 0

    def time(self, seconds):
        process = subprocess.Popen([*self.command, f"--benchmark_min_time={seconds}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                   preexec_fn=lambda: os.sched_setaffinity(0, self.processors))
        answer = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"peers.py: {' '.join(process.args)} failed")
        self.peak = max(self.peak, usage.ru_maxrss / 1024)
        return json.loads(answer)["benchmarks"][0]["real_time"] / 1e3  # it speaks of milliseconds

    def end(self):
        return self.peak


def take_turns(contestants, rounds, seconds):
    """Seconds a batch of each, round by round; whoever was first is last in the next round."""
    times = {name: [] for name in contestants}
    for i in range(rounds):
        for name in list(contestants)[:: 1 if i % 2 == 0 else -1]:
            time.sleep(0.25)  # until idle threads of the one before sleep
            times[name].append(contestants[name].time(seconds))
    return times


def row(case, engine, batch, times, peak, **more):
    return {**case, "engine": engine, "batch": batch, "seconds": times[engine],
            "ratios": [theirs / ours for theirs, ours in zip(times[engine], times["fettle"])],
            "peak_mib": peak, **more}


def print_row(r):
    ratios = r["ratios"]
    start = f"{r['start']:7.2f} {r['loaded']:7.2f}" if "start" in r else ""
    print(f"{r['network']:9} {r['size']:9} {r['what']:8} {r['batch']:5} {r['threads']:7} "
          f"{r['engine']:12} {r['batch'] / statistics.median(r['seconds']):10.2f} "
          f"{statistics.median(ratios):13.2f} {min(ratios):6.2f} {max(ratios):6.2f} "
          f"{r['peak_mib']:8.0f} {start}", flush=True)


def compare(engine, ours, theirs):
    if ours.shape == theirs.shape:
        error = float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))
        if error < 1e-3:
            return error
    else:
        error = f"sizes {theirs.size} and {ours.size}"
    sys.exit(f"peers.py: {engine} and fettle differ ({error}), so there is nothing to time")


def time_inference(options, engines, name, height, width, base, folder):
    peer = [sys.executable, str(HERE / "peer.py")]
    rows = []
    for batch in options.batch:
        pictures = folder / "pictures.bin"
        x = np.random.default_rng(1).standard_normal((batch, height, width, CHANNELS[name]))
        x.astype(np.float32).tofile(pictures)
        tail = [str(pictures), str(batch), str(height), str(width), str(options.threads)]
        program = options.build / "bench/bench_inference"
        commands = {"fettle": [str(program), f"{base}.fettle", *tail]}
        for engine in engines:
            commands[engine] = [*peer, engine, str(base), *tail]
        output = {engine: folder / f"{engine}.bin" for engine in commands}
        commands = {engine: [*command, str(output[engine])] for engine, command in commands.items()}

        starts = {engine: [] for engine in commands}
        for _ in range(options.starts):
            for engine, command in commands.items():
                contestant = Contestant(command)
                starts[engine].append((contestant.start, contestant.loaded))
                contestant.end()
        results = {engine: np.fromfile(file, np.float32) for engine, file in output.items()}
        errors = {engine: compare(engine, results["fettle"], y) for engine, y in results.items()}
        contestants = {engine: Contestant(command) for engine, command in commands.items()}
        times = take_turns(contestants, options.rounds, options.seconds)
        case = {"network": name, "size": f"{height}x{width}", "what": "predict",
                "threads": options.threads}
        for engine, contestant in contestants.items():
            start, loaded = (statistics.median(s) for s in zip(*starts[engine]))
            rows.append(row(case, engine, batch, times, contestant.end(), start=start,
                            loaded=loaded, error=errors[engine]))
            print_row(rows[-1])
    return rows


def time_training(options, name, height, width, base, batch=8):
    contestants = {
        "fettle": FettleTraining(str(options.build / "bench/bench_training_step"), name,
                                 options.threads),
        "torch": Contestant([sys.executable, str(HERE / "peer.py"), "train", name, str(base),
                             str(batch), str(height), str(width), str(options.threads)])}
    times = take_turns(contestants, options.rounds, options.seconds)
    case = {"network": name, "size": f"{height}x{width}", "what": "train",
            "threads": options.threads}
    rows = [row(case, engine, batch, times, c.end()) for engine, c in contestants.items()]
    for r in rows:
        print_row(r)
    return rows


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, help="folder of a build with FETTLE_BENCH")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--engines", nargs="*", default=ENGINES, choices=ENGINES)
    parser.add_argument("--networks", nargs="+", default=["resnet50", "res_unet"],
                        choices=["resnet50", "res_unet"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2, help="of a turn, at least one batch")
    parser.add_argument("--starts", type=int, default=3, help="fresh processes to start and time")
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--quick", action="store_true",
                        help="Res-UNet at 256x256, one picture, once")
    options = parser.parse_args()
    if options.quick:
        options.networks, options.batch = ["res_unet"], [1]
        options.rounds, options.seconds, options.starts = 1, 0.3, 1
    return options


def main():
    options = parse_arguments()
    if options.out and not options.out.parent.is_dir():
        sys.exit(f"peers.py: the folder of '{options.out}' is missing; make it first")
    programs = ["bench_inference", "bench_export_model", "bench_training_step"]
    for program in programs:
        if not (options.build / "bench" / program).exists():
            sys.exit(f"peers.py: '{options.build}/bench/{program}' is missing; build the targets "
                     f"{', '.join(programs)} with -DFETTLE_BENCH=ON")
    needs = {"ncnn": ["ncnn", "pnnx", "torch"], "torch": ["torch", "torchvision"]}
    engines = []
    for engine in options.engines:
        missing = [m for m in needs.get(engine, [engine]) if not importlib.util.find_spec(m)]
        if missing:
            print(f"{engine} is left out: Python has no {', '.join(missing)}")
        else:
            engines.append(engine)
    versions = {engine: importlib.metadata.version(engine) for engine in engines}
    print("\nWhole networks beside", ", ".join(f"{e} {v}" for e, v in versions.items()) or "nobody")
    print(f"{'network':9} {'size':9} {'what':8} {'batch':>5} {'threads':>7} {'engine':12} "
          f"{'pictures/s':>10} {'ratio: median':>13} {'min':>6} {'max':>6} {'peak MiB':>8} "
          f"{'start':>7} {'loaded':>7}")

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, height, width in SIZES:
            if name not in options.networks or (options.quick and width != 256):
                continue
            base = folder / f"{name}_{width}"
            subprocess.run([options.build / "bench/bench_export_model", name, str(height),
                            str(width), base], check=True)
            if "torch" in engines:
                subprocess.run([sys.executable, HERE / "peer.py", "prepare", name, base,
                                str(height), str(width)], check=True)
            rows += time_inference(options, engines, name, height, width, base, folder)
            if "torch" in engines and width != 1600 and not options.no_training:
                rows += time_training(options, name, height, width, base)
    if options.out:
        temporary = options.out.with_name(options.out.name + ".part")
        temporary.write_text(json.dumps({"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                                         "load": os.getloadavg(), "versions": versions,
                                         "rows": rows}, indent=1) + "\n")
        temporary.rename(options.out)


if __name__ == "__main__":
    main()
