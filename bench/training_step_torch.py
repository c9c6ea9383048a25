"""Times what bench_training_step_cuda times, in PyTorch on the same GPU: training steps (forward,
loss, backward, fused Adam) and predictions of ResNet50 and Res-UNet on random pictures, channels_last,
in fp32, tf32, or bf16 by autocast; with --compile, through torch.compile.

    python3 bench/training_step_torch.py --model resnet50 --batch 32 --precision bf16 [--compile]

Prints one JSON object, as bench_training_step_cuda does.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


class Block(nn.Module):
    """A residual block of Res-UNet: see models/res_unet.cpp."""

    def __init__(self, channels, filters):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, filters, 1), nn.BatchNorm2d(filters)
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, padding=1), nn.BatchNorm2d(filters)
        self.shortcut, self.bn3 = nn.Conv2d(channels, filters, 1), nn.BatchNorm2d(filters)

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.bn3(self.shortcut(x)))


class ResUnet(nn.Module):
    def __init__(self, channels=1, kinds=4, width=16):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width))
        down = [width * 2 ** i for i in range(5)]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip(down, down[1:]))
        up = down[::-1]
        self.up = nn.ModuleList(Block(a + b, b) for a, b in zip(up, up[1:]))
        self.output = nn.Conv2d(width, kinds, 1)
        self.pool, self.enlarge = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)

    def forward(self, x):
        skips = [self.first(x)]
        for block in self.down:
            skips.append(block(self.pool(skips[-1])))
        y = skips.pop()
        for block in self.up:
            y = block(torch.cat([self.enlarge(y), skips.pop()], 1))
        return self.output(y)


def focal_tversky(logits, masks, alpha=0.7, gamma=0.75):
    p = torch.sigmoid(logits.float())
    hit, missed, false = ((a * b).sum() for a, b in ((masks, p), (masks, 1 - p), (1 - masks, p)))
    return (1 - (hit + 1) / (hit + alpha * missed + (1 - alpha) * false + 1)) ** gamma


def time_steps(step):
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    milliseconds, start = [], time.perf_counter()
    while len(milliseconds) < 5 or (time.perf_counter() - start < 1.5 and len(milliseconds) < 200):
        begin = time.perf_counter()
        step()
        torch.cuda.synchronize()
        milliseconds.append((time.perf_counter() - begin) * 1000)
    return {"median_ms": statistics.median(milliseconds), "min_ms": min(milliseconds),
            "max_ms": max(milliseconds), "steps": len(milliseconds)}


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--model", choices=["resnet50", "res_unet"], default="res_unet")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--precision", choices=["fp32", "tf32", "bf16"], default="fp32")
parser.add_argument("--compile", action="store_true")
arguments = parser.parse_args()
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = arguments.precision != "fp32"
torch.backends.cudnn.allow_tf32 = arguments.precision != "fp32"
masks = arguments.model == "res_unet"
n = arguments.batch
if masks:
    model = ResUnet()
    x, y = torch.rand(n, 1, 256, 256), torch.rand(n, 4, 256, 256)
else:
    import torchvision
    model = torchvision.models.resnet50(num_classes=1000)
    x, y = torch.randn(n, 3, 224, 224), torch.full((n,), 7)
model = model.cuda().to(memory_format=torch.channels_last)
x, y = x.cuda().contiguous(memory_format=torch.channels_last), y.cuda()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
loss_function = focal_tversky if masks else nn.CrossEntropyLoss()
compute = torch.compile(model) if arguments.compile else model


def forward():
    with torch.autocast("cuda", torch.bfloat16, enabled=arguments.precision == "bf16"):
        return compute(x)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = loss_function(forward(), y)
    loss.backward()
    optimizer.step()
    return loss.item()


report = {"model": arguments.model, "batch": n, "precision": arguments.precision,
          "compile": arguments.compile, "torch": torch.__version__, "train": time_steps(step)}
report["train"]["peak_MiB"] = torch.cuda.max_memory_allocated() / 2 ** 20
model.eval()
with torch.inference_mode():
    report["predict"] = time_steps(lambda: forward().cpu())
print(json.dumps(report))
