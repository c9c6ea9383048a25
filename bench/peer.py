"""Another engine as a contestant of bench/peers.py, which starts this program and speaks with it as
with bench_inference (see bench/inference.cpp):

    peer.py prepare MODEL BASE HEIGHT WIDTH
        writes BASE.pt for torch and BASE.ncnn.* for ncnn, of the weights in BASE.safetensors
    peer.py torch|onnxruntime|openvino|ncnn BASE PICTURES BATCH HEIGHT WIDTH THREADS OUTPUT
        "ready" is followed by the seconds since the imports were done
    peer.py train MODEL BATCH THREADS
        the same for steps of training in PyTorch
"""
import json
import pathlib
import subprocess
import sys
import time
import warnings

import numpy as np

CHANNELS = {"resnet50": 3, "res_unet": 1}


def read_weights(path):
    """The tensors of a safetensors file of fettle: kernels are [K,R,S,C]."""
    data = pathlib.Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"]).copy()
    return tensors


def torch_resnet50(classes, weights=None):
    import torch
    import torchvision
    model = torchvision.models.resnet50(num_classes=classes)
    if weights:
        state = {name: torch.from_numpy(w.transpose(0, 3, 1, 2) if w.ndim == 4 else w)
                 for name, w in weights.items()}
        missing, unknown = model.load_state_dict(state, strict=False)
        assert not unknown and all("num_batches" in name for name in missing), (missing, unknown)
    return model.to(memory_format=torch.channels_last)


def torch_res_unet(weights):
    """The definition that the tests compare with. It reads its weights from a dictionary, in
    fettle's layout, which is channels_last once turned."""
    import torch
    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/values"))
    import make_res_unet

    class ResUnet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, w in weights.items():
                key = name.replace(".", "-")
                if "running" in name:
                    self.register_buffer(key, torch.from_numpy(w))
                else:
                    self.register_parameter(key, torch.nn.Parameter(torch.from_numpy(w)))

        def forward(self, x):
            tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
            make_res_unet.tensors = {key.replace("-", "."): t for key, t in tensors.items()}
            return make_res_unet.res_unet(x, self.training)

    return ResUnet()


def torch_model(name, weights):
    classes = len(weights["fc.bias"]) if name == "resnet50" else None
    return torch_resnet50(classes, weights) if name == "resnet50" else torch_res_unet(weights)


def prepare(name, base, height, width):
    import torch
    model = torch_model(name, read_weights(f"{base}.safetensors")).eval()
    x = torch.zeros(1, CHANNELS[name], int(height), int(width))
    warnings.simplefilter("ignore", torch.jit.TracerWarning)  # a kernel's size is a constant
    with torch.no_grad():
        traced = torch.jit.trace(model, x.contiguous(memory_format=torch.channels_last))
        torch.jit.freeze(traced).save(f"{base}.pt")
        try:
            import pnnx
        except ImportError:
            return  # then there is no model for ncnn
        torch.jit.trace(model, x).save(f"{base}.pnnx.pt")
    shape = "[" + ",".join(map(str, x.shape)) + "]"
    subprocess.run([pnnx.EXEC_PATH, f"{base}.pnnx.pt", f"inputshape={shape}", "fp16=0",
                    f"ncnnparam={base}.ncnn.param", f"ncnnbin={base}.ncnn.bin",
                    f"ncnnpy={base}.ncnn.py", f"pnnxparam={base}.pnnx.param",
                    f"pnnxbin={base}.pnnx.bin", f"pnnxpy={base}.pnnx.py",
                    f"pnnxonnx={base}.pnnx.onnx"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


# Each of these imports its engine and returns a function that loads the model and returns another,
# which predicts the batch x [N,H,W,C] and whose result is an array, in the layout of `turn`.


def torch_engine(base, threads):
    import torch
    torch.set_num_threads(threads)

    def load(x):
        model = torch.jit.load(f"{base}.pt")
        x = torch.from_numpy(x).permute(0, 3, 1, 2)  # that is channels_last

        def predict():
            with torch.inference_mode():
                return model(x)
        return predict
    return load, lambda y: nhwc(y.numpy())


def onnxruntime_engine(base, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def load(x):
        session = onnxruntime.InferenceSession(f"{base}.onnx", options,
                                               providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"pictures": x})[0]
    return load, lambda y: y


def openvino_engine(base, threads):
    import openvino

    def load(x):
        core = openvino.Core()
        model = core.read_model(f"{base}.onnx")
        model.reshape(list(x.shape))
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"})
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

        def predict():
            request.infer()
            return request.get_output_tensor().data
        return predict
    return load, lambda y: y


def ncnn_engine(base, threads):
    import ncnn

    def load(x):
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        net.opt.use_bf16_storage = False
        assert net.load_param(f"{base}.ncnn.param") == 0 and net.load_model(f"{base}.ncnn.bin") == 0
        # A Mat does not keep its array alive.
        planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        pictures = [ncnn.Mat(picture).clone() for picture in planes]

        def predict():  # one picture at a time is all it takes
            results = []
            for picture in pictures:
                extractor = net.create_extractor()
                extractor.input("in0", picture)
                results.append(extractor.extract("out0")[1])
            return results
        return predict
    return load, lambda y: nhwc(np.stack([np.array(one) for one in y]))


def nhwc(y):
    return y.transpose(0, 2, 3, 1) if y.ndim == 4 else y


ENGINES = {"torch": torch_engine, "onnxruntime": onnxruntime_engine, "openvino": openvino_engine,
           "ncnn": ncnn_engine}


def serve(call):
    """Answers each number of seconds on stdin with the mean time of a call."""
    for line in sys.stdin:
        call()  # untimed: threads wake up, memory comes back
        begin, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - begin < float(line):
            call()
            calls += 1
        print((time.perf_counter() - begin) / calls, flush=True)


def predict(engine, base, pictures, batch, height, width, threads, output):
    load, turn = ENGINES[engine](base, int(threads))
    imported = time.perf_counter()
    x = np.fromfile(pictures, np.float32).reshape(int(batch), int(height), int(width), -1)
    call = load(x)
    y = call()
    print("ready", time.perf_counter() - imported, flush=True)
    np.ascontiguousarray(turn(y), np.float32).tofile(output)
    serve(call)


def focal_tversky(logits, targets):
    """The loss of fettle's Res-UNet (models/mask_loss.h)."""
    import torch
    p = torch.sigmoid(logits)
    tp = (p * targets).sum()
    missed, false = ((1 - p) * targets).sum(), (p * (1 - targets)).sum()
    return (1 - (tp + 1e-6) / (tp + 0.7 * missed + 0.3 * false + 1e-6)) ** 0.75


def train(name, base, batch, height, width, threads):
    import torch
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    n, height, width = int(batch), int(height), int(width)
    x = torch.randn(n, CHANNELS[name], height, width).to(memory_format=torch.channels_last)
    if name == "resnet50":
        model = torch_resnet50(2)
        y, loss = torch.arange(n) % 2, torch.nn.functional.cross_entropy
    else:
        model = torch_res_unet(read_weights(f"{base}.safetensors"))
        y = torch.rand(n, 4, height, width).to(memory_format=torch.channels_last)
        loss = focal_tversky
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.item()

    step()
    print("ready", flush=True)
    serve(step)


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "prepare":
        prepare(*rest)
    elif what == "train":
        train(*rest)
    else:
        predict(what, *rest)
