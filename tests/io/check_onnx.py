"""Checks the ONNX files of a folder: onnx's checker accepts each, and ONNX Runtime computes for the
tensor "x" of the .safetensors beside it what the other tensors there say, to 1e-4 of the largest.

python3 check_onnx.py FOLDER
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime


def read_safetensors(path):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors


failed = False
files = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
for file in files:
    onnx.checker.check_model(str(file), full_check=True)
    model = onnx.load(str(file))
    assert model.opset_import[0].version == 17
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    tensors = read_safetensors(file.with_suffix(".safetensors"))
    x = tensors.pop("x")
    for name, expected in tensors.items():
        (found,) = session.run([name], {session.get_inputs()[0].name: x})
        assert found.shape == expected.shape, (file.name, name, found.shape, expected.shape)
        error = np.abs(found - expected).max() / max(1, np.abs(expected).max())
        print(f"{file.stem} {name} {list(found.shape)}: {error:.1e}")
        failed |= not error < 1e-4
sys.exit(failed or not files)
