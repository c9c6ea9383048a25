"""Reads the machine code of the GPU's kernels and writes what it holds, a line a kernel: registers,
local memory (spills and arrays that are indexed at run time), shared memory that is known when it is
compiled, and how often the instructions stand in it that a rung is about. No GPU is needed, and no
figure here is a measurement.

    cmake --preset gpu-machine && cmake --build --preset gpu-machine
    python3 bench/machine_code.py build/gpu-machine/libfettle_kernels_cuda.a --out TABLE.csv

Exit code 1 where a kernel uses local memory, or, from sm_90 on, touches global memory before it has
waited for the kernels before (cu.h, wait_for_kernels_before). Needs cuobjdump of the CUDA toolkit
and c++filt.
"""
import argparse
import collections
import csv
import re
import shutil
import subprocess
import sys

# SASS names: what they are in PTX and in kernels/cu/.
INSTRUCTIONS = {
    "FFMA": r"FFMA",  # fp32 multiply and add
    "HMMA": r"HMMA",  # mma.sync
    "HGMMA": r"HGMMA",  # wgmma
    "LDSM": r"LDSM",  # ldmatrix
    "STSM": r"STSM",  # stmatrix
    "LDGSTS": r"LDGSTS",  # cp.async
    "UTMALDG": r"UTMALDG",  # bulk tensor copy
    "SYNCS": r"SYNCS",  # mbarrier
    "LDL_STL": r"LDL|STL",  # local memory
    "ACQBULK": r"ACQBULK",  # griddepcontrol.wait
}
GLOBAL = re.compile(r"LDG|STG|LD|ST|RED|REDG|ATOM|ATOMG|LDGSTS|UTMALDG|UTMASTG|UBLKCP")


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"machine_code.py: {command[0]} failed: {result.stderr.strip()}")
    return result.stdout


def demangled(names):
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True).stdout
    return dict(zip(names, text.splitlines()))


def short(name):
    """Without namespaces, the parameters and what the template arguments repeat."""
    name = re.sub(r"fettle::|\(anonymous namespace\)::|^void ", "", name)
    depth = 0
    for i, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0 and i > 0:
            return name[:i]
    return name


def resources(cuobjdump, path):
    """(architecture, mangled name) -> registers, stack, local and shared bytes."""
    found, arch, name = {}, None, None
    for line in run(cuobjdump, "-res-usage", path).splitlines():
        if match := re.match(r"arch = (\w+)", line):
            arch = match[1]
        elif match := re.match(r"\s*Function (\S+):", line):
            name = match[1]
        elif "REG:" in line:
            found[arch, name] = {key: int(value) for key, value in
                                 re.findall(r"(REG|STACK|LOCAL|SHARED):(\d+)", line)}
    return found


def instructions(cuobjdump, path):
    """(architecture, mangled name) -> how often each of INSTRUCTIONS stands in its code."""
    found, arch, name = {}, None, None
    code = re.compile(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][A-Z0-9_]*)")
    for line in run(cuobjdump, "-sass", path).splitlines():
        if match := re.match(r"arch = (\w+)", line):
            arch = match[1]
        elif match := re.match(r"\s*Function : (\S+)", line):
            name = match[1]
            found[arch, name] = collections.Counter()
        elif match := code.match(line):
            found[arch, name]["all"] += 1
            if GLOBAL.fullmatch(match[1]) and not found[arch, name]["ACQBULK"]:
                found[arch, name]["early"] += 1
            for key, pattern in INSTRUCTIONS.items():
                found[arch, name][key] += bool(re.fullmatch(pattern, match[1]))
    return found


def main():
    parser = argparse.ArgumentParser(description="Reads the machine code of the GPU's kernels.")
    parser.add_argument("files", nargs="+", help="objects or libraries that nvcc made")
    parser.add_argument("--out", help="CSV file to write; the terminal by default")
    parser.add_argument("--cuobjdump", default="cuobjdump")
    arguments = parser.parse_args()
    if not shutil.which(arguments.cuobjdump):
        sys.exit(f"machine_code.py: '{arguments.cuobjdump}' is not there; it belongs to the CUDA "
                 "toolkit, and --cuobjdump says where it is")

    rows, faults = {}, []
    for path in arguments.files:
        used = resources(arguments.cuobjdump, path)
        code = instructions(arguments.cuobjdump, path)
        names = demangled(sorted({name for _, name in code}))
        for (arch, name), counts in code.items():
            use = used.get((arch, name), {})
            row = {"kernel": short(names[name]), "arch": arch, "registers": use.get("REG"),
                   "local_bytes": use.get("STACK", 0) + use.get("LOCAL", 0),
                   "static_shared_bytes": use.get("SHARED"), "instructions": counts["all"],
                   **{key: counts[key] for key in INSTRUCTIONS}}
            if row["local_bytes"] or row["LDL_STL"]:
                faults.append(f"{row['kernel']} ({arch}) uses local memory")
            if counts["early"] and int(re.search(r"\d+", arch)[0]) >= 90:
                faults.append(f"{row['kernel']} ({arch}) does not wait for the kernels before")
            rows[row["kernel"], arch] = row  # a kernel that several objects hold, once
    if not rows:
        sys.exit("machine_code.py: no kernel in " + " ".join(arguments.files))
    out = open(arguments.out, "w", newline="") if arguments.out else sys.stdout
    out.write("# What nvcc made of the kernels, read by bench/machine_code.py without a GPU: nothing "
              "here is measured.\n")
    table = csv.DictWriter(out, next(iter(rows.values())).keys(), lineterminator="\n")
    table.writeheader()
    table.writerows(rows[key] for key in sorted(rows))
    for fault in faults:
        print(f"machine_code.py: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
