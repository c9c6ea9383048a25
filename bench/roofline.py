"""Draws the convolutions of bench_conv2d_cuda and those of conv2d_torch.py under the roof that was
measured on the same GPU: a page of panels, one for each precision and direction, as an SVG.

    python3 bench/roofline.py ours.json cudnn.json --out roofline.svg

Right of the bend the roof is the largest product of matrices, left of it a copy. A convolution
stands at its operations over the bytes of its three tensors, each moved once, in bf16 two bytes a
number; the same for both, whatever they move. Ours is the plan that plan_conv2d() chooses; cuDNN's
is cuBLASLt's product of matrices where that was timed and is quicker. Theirs may stand above the
roof: Winograd's algorithm multiplies less than is counted.
"""
import argparse
import json
import math
import sys

DIRECTIONS = {"forward": "forward", "backward_input": "backward input",
              "backward_weight": "backward weight"}
PRECISIONS = ["bf16", "tf32", "fp32"]
OURS, THEIRS, INK, FAINT = "#0b63c5", "#d9631e", "#24292f", "#d0d7de"
LEFT, TOP, WIDTH, HEIGHT, GAP = 66, 104, 316, 196, 18  # of a panel, in pixels


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def work(row):
    """Operations, and bytes at least: a stride beyond the kernel skips pixels of the input, whose
    gradient is written nevertheless."""
    n, h, c, k, r, stride = (row[key] for key in ("N", "H", "C", "K", "R", "stride"))
    w = row.get("W", h)
    p, q = ((extent + 2 * (r // 2) - r) // stride + 1 for extent in (h, w))
    if row["direction"] != "backward_input":
        h, w = min(h, p * r), min(w, q * r)
    size = 2 if row["precision"] == "bf16" else 4
    return 2 * n * p * q * k * r * r * c, size * (n * h * w * c + k * r * r * c + n * p * q * k)


def read(paths):
    """The reports in one: what is the same for all, and for each (convolution, N, precision) our
    row of the chosen plan and the others' seconds."""
    report, cases = {}, {}
    for path in paths:
        try:
            with open(path) as file:
                part = json.load(file)
            for row in part.pop("convolutions"):
                if row["convolution"].startswith("depthwise/"):  # no product of matrices
                    continue
                case = cases.setdefault(
                    (row["convolution"], row.get("N", part.get("batch")), row["precision"]), {})
                if row.get("chosen") and not row.get("wrong"):
                    case["ours"] = row
                libraries = [row[key] for key in ("cudnn_seconds", "cublaslt_seconds") if key in row]
                if libraries:
                    case["theirs"] = min(libraries)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            sys.exit(f"roofline.py: '{path}' cannot be read as a report of bench_conv2d_cuda or "
                     f"conv2d_torch.py ({error!r})")
        report.update(part)
    return report, cases


class Panel:
    """Logarithmic axes at a place on the page."""

    def __init__(self, x, y, intensities, rates):
        self.x, self.y = x, y
        self.intensities, self.rates = intensities, rates  # (least, most)

    def at(self, intensity, rate):
        def share(value, ends):
            return math.log(value / ends[0]) / math.log(ends[1] / ends[0])
        return (self.x + WIDTH * share(intensity, self.intensities),
                self.y + HEIGHT * (1 - share(rate, self.rates)))


def text(x, y, words, size=11, anchor="start", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{more}>{words}'
            "</text>")


def line(a, b, colour, width, more=""):
    return (f'<path d="M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" stroke="{colour}" '
            f'stroke-width="{width}" fill="none"{more}/>')


MARKERS = {("fettle", "resnet50"): "a", ("fettle", "res_unet"): "b",
           ("cuDNN", "resnet50"): "c", ("cuDNN", "res_unet"): "d"}


def definitions():
    """A disc and a diamond for each of both: ours filled, theirs hollow."""
    shapes = {"resnet50": '<circle r="3"', "res_unet": '<path d="M0-4l4 4l-4 4l-4-4z"'}
    return "<defs>" + "".join(
        f'{shapes[network]} id="{name}" fill="{OURS if who == "fettle" else "#fff"}" '
        f'stroke="{OURS if who == "fettle" else THEIRS}" stroke-width="1.2"/>'
        for (who, network), name in MARKERS.items()) + "</defs>"


def marker(place, who, network, title=""):
    network = "resnet50" if network == "resnet50" else "res_unet"
    more = f"><title>{title}</title></use>" if title else "/>"
    return f'<use href="#{MARKERS[who, network]}" x="{place[0]:.1f}" y="{place[1]:.1f}"{more}'


def grid(panel, first, last):
    """Decades; numbers at the left column and below the last row."""
    lines = []
    (x0, x1), (y0, y1) = panel.intensities, panel.rates
    for power in range(math.ceil(math.log10(x0) - 1e-9), math.floor(math.log10(x1)) + 1):
        value = 10.0 ** power
        lines.append(line(panel.at(value, y0), panel.at(value, y1), FAINT, 0.6))
        if last:
            x, y = panel.at(value, y0)
            lines.append(text(x, y + 15, f"{value:g}", anchor="middle"))
    for power in range(math.ceil(math.log10(y0) - 1e-9), math.floor(math.log10(y1)) + 1):
        value = 10.0 ** power
        lines.append(line(panel.at(x0, value), panel.at(x1, value), FAINT, 0.6))
        if first:
            x, y = panel.at(x0, value)
            lines.append(text(x - 7, y + 4, f"{value / 1e12:g}", anchor="end"))
    lines.append(f'<rect x="{panel.x}" y="{panel.y}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
                 f'stroke="{INK}" stroke-width="0.8"/>')
    return lines


def roof(panel, bandwidth, peak):
    (x0, x1), _ = panel.intensities, panel.rates
    bend, start = peak / bandwidth, max(x0, panel.rates[0] / bandwidth)
    lines = [line(panel.at(start, start * bandwidth), panel.at(bend, peak), INK, 1.6),
             line(panel.at(bend, peak), panel.at(x1, peak), INK, 1.6)]
    a, b = panel.at(start, start * bandwidth), panel.at(bend, peak)
    angle = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    x, y = panel.at(start * 1.35, start * bandwidth * 1.35)
    lines.append(text(x, y - 5, f"{bandwidth / 1e12:.2f} TB/s", 10,
                      more=f' transform="rotate({angle:.1f} {x:.1f} {y:.1f})"'))
    lines.append(text(b[0] + 4, b[1] - 5, f"{peak / 1e12:.0f} TFLOP/s", 10))
    return lines


def points(panel, cases, roof_at):
    """Of one panel: a line from ours to theirs, both marked; how much of the roof they reach."""
    lines, marks, shares = [], [], {"fettle": [], "cuDNN": []}
    for case in cases:
        row = case["ours"]
        flops, size = work(row)
        places = []
        for who, seconds in (("cuDNN", case.get("theirs")), ("fettle", row["median_seconds"])):
            if not seconds:
                continue
            rate = flops / seconds
            places.append(panel.at(flops / size, rate))
            shares[who].append(rate / roof_at(flops / size))
            how = f", {row['plan']}" if who == "fettle" else ""
            marks.append(marker(places[-1], who, row["network"],
                                f"{row['convolution']}: {who}{how}, {rate / 1e12:.1f} TFLOP/s"))
        if len(places) == 2:
            lines.append(line(*places, "#8c959f", 0.7))
    caption = [f"{who} {100 * geomean(values):.0f} %" for who, values in shares.items() if values]
    lines += marks
    lines.append(text(panel.x + WIDTH - 8, panel.y + HEIGHT - 9,
                      ", ".join(caption) + " of the roof", 10.5, "end"))
    return lines


def legend(x, y):
    lines = []
    for who, network in MARKERS:
        words = f"{who}, {'ResNet50' if network == 'resnet50' else 'Res-UNet'}"
        lines += [marker((x, y - 4), who, network), text(x + 9, y, words, 12)]
        x += 134
    lines += [line((x - 4, y - 4), (x + 18, y - 4), INK, 1.6), text(x + 25, y, "measured roof", 12)]
    return lines


def roof_of(report):
    """Operations a second at most: a function of the precision and of operations a byte."""
    limits = report["limits"]
    return lambda precision, intensity: min(limits[f"matmul_{precision}_flops_per_second"],
                                            intensity * limits["copy_bytes_per_second"])


def page(report, cases, batch):
    bandwidth, roof_at = report["limits"]["copy_bytes_per_second"], roof_of(report)
    ours = [case["ours"] for case in cases]
    intensities = [flops / size for flops, size in map(work, ours)]
    rates = [work(case["ours"])[0] / seconds for case in cases
             for seconds in (case["ours"]["median_seconds"], case.get("theirs")) if seconds]
    precisions = [p for p in PRECISIONS if any(row["precision"] == p for row in ours)]
    peaks = {p: roof_at(p, math.inf) for p in precisions}
    span_x = min(intensities) / 1.5, max(intensities) * 1.5
    span_y = min(rates) / 5, max(rates + list(peaks.values())) * 2.2
    width = LEFT + 3 * WIDTH + 2 * GAP + 20
    bottom = TOP + len(precisions) * (HEIGHT + GAP + 8) - GAP - 8
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 48}" '
             f'font-family="-apple-system,Segoe UI,Helvetica,Arial,sans-serif" fill="{INK}">',
             f'<rect width="{width}" height="{bottom + 48}" rx="6" fill="#fff"/>',
             definitions(),
             text(LEFT, 30, f"Convolutions of ResNet50 and Res-UNet, {batch} pictures, under the "
                  f"roof of one {report['gpu']}", 16, more=' font-weight="600"')]
    lines += legend(LEFT + 4, 56)
    for column, direction in enumerate(DIRECTIONS):
        lines.append(text(LEFT + column * (WIDTH + GAP) + WIDTH / 2, TOP - 12,
                          DIRECTIONS[direction], 13, "middle", ' font-weight="600"'))
    for row, precision in enumerate(precisions):
        for column, direction in enumerate(DIRECTIONS):
            panel = Panel(LEFT + column * (WIDTH + GAP), TOP + row * (HEIGHT + GAP + 8), span_x,
                          span_y)
            these = [case for case in cases if case["ours"]["precision"] == precision
                     and case["ours"]["direction"] == direction]
            lines += grid(panel, column == 0, precision == precisions[-1])
            lines += roof(panel, bandwidth, peaks[precision])
            lines += points(panel, these, lambda x, p=precision: roof_at(p, x))
            lines.append(text(panel.x + 9, panel.y + 18, precision, 13, more=' font-weight="600"'))
    middle = (TOP + bottom) / 2
    lines.append(text(20, middle, "TFLOP/s", 12, "middle", f' transform="rotate(-90 20 {middle})"'))
    lines.append(text(LEFT + 1.5 * WIDTH + GAP, bottom + 36,
                      "operations a byte, if each tensor moved once", 12, "middle"))
    return "\n".join(lines + ["</svg>\n"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE.json")
    parser.add_argument("--batch", type=int, help="pictures, where the files have several sizes")
    parser.add_argument("--out", required=True, help="SVG file to write")
    arguments = parser.parse_args()
    report, cases = read(arguments.files)
    batch = arguments.batch or max((key[1] for key in cases), default=0)
    cases = [case for key, case in cases.items() if key[1] == batch and "ours" in case]
    if not cases or "limits" not in report:
        sys.exit("roofline.py: it needs a report of bench_conv2d_cuda with cases of that batch, "
                 "and one of conv2d_torch.py with the limits")
    with open(arguments.out, "w") as file:
        file.write(page(report, cases, batch))


if __name__ == "__main__":
    main()
