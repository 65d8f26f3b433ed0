"""Writes the small ONNX models of tests/infer, inputs for them, and what onnxruntime's Python package makes of those.

usage: make_inputs.py FOLDER

FOLDER/cases.json: [{"model", "inputs": [tensor…], "outputs": [tensor…]}…], a tensor being {"name", "type", "shape",
"file"} with its bytes in that file; float16 outputs are stored as float32.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before ONNX Runtime is loaded: it would report to its maker

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

RANDOM = np.random.default_rng(6)


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return onnx.numpy_helper.from_array(np.asarray(array), name)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def model(nodes, inputs, outputs, constants=(), opset=17, ir=9, domain=None):
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def sound_models():
    x = value("x", T.FLOAT, ["batch", 3, 16, 16])
    yield "conv", model(
        [node("Conv", "x w", "c", pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", "c", "r"),
         node("GlobalAveragePool", "r", "p"), node("Flatten", "p", "f"), node("MatMul", "f m", "y"),
         node("Softmax", "y", "s")],
        [x], [value("y", T.FLOAT, ["batch", 5]), value("s", T.FLOAT, ["batch", 5])],
        [constant("w", normal(8, 3, 3, 3)), constant("m", normal(8, 5))])
    yield "fixed", model(
        [node("Cast", "b", "bf", to=T.FLOAT), node("MatMul", "a bf", "y"), node("Add", "b b", "z")],
        [value("a", T.FLOAT, [2, 3]), value("b", T.INT64, [3, 4])],
        [value("y", T.FLOAT, [2, 4]), value("z", T.INT64, [3, 4])])
    yield "half", model([node("Mul", "x x", "y")], [value("x", T.FLOAT16, ["n", 4])], [value("y", T.FLOAT16, ["n", 4])])
    yield "types", model(
        [node("Identity", "u", "u2"), node("Not", "b", "b2"), node("Mul", "i i", "i2")],
        [value("u", T.UINT8, [4]), value("b", T.BOOL, [4]), value("i", T.INT32, ["n"])],
        [value("u2", T.UINT8, [4]), value("b2", T.BOOL, [4]), value("i2", T.INT32, ["n"])])
    yield "nothing", model([node("Relu", "x", "y")], [value("x", T.FLOAT, ["n", 4])], [value("y", T.FLOAT, ["n", 4])])
    yield "double", model([node("Add", "x x", "y")], [value("x", T.FLOAT, [4])], [value("y", T.FLOAT, [4])])
    yield "huge", model([node("ConstantOfShape", "n", "y")], [value("n", T.INT64, [1])], [value("y", T.FLOAT, ["k"])])
    yield "reshape", model([node("Reshape", "x n", "y")], [value("x", T.FLOAT, [6]), value("n", T.INT64, [2])],
                           [value("y", T.FLOAT, ["a", "b"])])


def case_inputs():
    yield "conv", [normal(1, 3, 16, 16)]
    yield "conv", [normal(3, 3, 16, 16)]
    yield "conv", [normal(7, 3, 16, 16)]
    yield "fixed", [normal(2, 3), RANDOM.integers(-9, 9, (3, 4))]
    yield "half", [np.array([[0.1, -2.5, 6e-8, 240], [300, -0.0, 1, 65504]], np.float16)]  # subnormal, infinite too
    yield "types", [np.arange(252, 256, dtype=np.uint8), np.array([True, False, False, True]),
                    np.array([-3, 70000], np.int32)]
    yield "nothing", [np.zeros((0, 4), np.float32)]


def write_cases(folder):
    cases = []
    for number, (name, arrays) in enumerate(case_inputs()):

        def stored(tensor, array):
            file = f"case{number}_{tensor.name}.bin"
            (folder / file).write_bytes(np.ascontiguousarray(array).tobytes())
            return {"name": tensor.name, "type": str(array.dtype), "shape": list(array.shape), "file": file}

        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        inputs, outputs = session.get_inputs(), session.get_outputs()
        made = session.run(None, {tensor.name: array for tensor, array in zip(inputs, arrays)})
        made = [array.astype(np.float32) if array.dtype == np.float16 else array for array in made]
        cases.append({"model": f"{name}.onnx", "inputs": list(map(stored, inputs, arrays)),
                      "outputs": list(map(stored, outputs, made))})
    (folder / "cases.json").write_text(json.dumps(cases))


def with_external_data(location, in_attribute=False):
    tensor = T()
    tensor.name, tensor.data_type, tensor.data_location = "w", T.FLOAT, T.EXTERNAL
    tensor.dims.extend([4])
    for key, text in (("location", location), ("offset", "0"), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    nodes = [node("Add", "x w", "y")]
    x, y = value("x", T.FLOAT, [4]), value("y", T.FLOAT, [4])
    if in_attribute:
        return model([helper.make_node("Constant", [], ["w"], value=tensor)] + nodes, [x], [y])
    return model(nodes, [x], [y], [tensor])


def nested(field, message):
    """A protobuf field that is a message, of any length below 16 kB."""
    return bytes([field << 3 | 2, len(message) & 127 | 128, len(message) >> 7]) + message


def write_external(folder):
    inside = folder / "inside"
    inside.mkdir(exist_ok=True)
    for file in (folder / "outside.bin", inside / "weights.bin"):
        file.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    link = inside / "link.bin"
    link.unlink(missing_ok=True)
    link.symlink_to("../outside.bin")
    (inside / "short.bin").write_bytes(bytes(8))
    locations = {"good": "weights.bin", "up": "../outside.bin", "winding": "x/../../outside.bin",
                 "absolute": str((folder / "outside.bin").resolve()), "linked": "link.bin", "absent": "none.bin",
                 "short": "short.bin", "memory": "*/_ORT_MEM_ADDR_/*"}
    for name, location in locations.items():
        onnx.save(with_external_data(location), inside / f"{name}.onnx")
    onnx.save(with_external_data("../outside.bin", in_attribute=True), inside / "attribute.onnx")
    branch = with_external_data("../outside.bin", in_attribute=True).graph
    del branch.input[:]
    either = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    onnx.save(model([either], [value("x", T.FLOAT, [4])], [value("y", T.FLOAT, [4])], [constant("yes", np.bool_(True))]),
              inside / "branch.onnx")
    (inside / "folder").mkdir(exist_ok=True)
    onnx.save(with_external_data("folder"), inside / "no_file.onnx")
    deep = b""
    for _ in range(40):  # a graph in an attribute of a node of a graph …
        deep = nested(1, nested(5, nested(6, deep)))
    (inside / "deep.onnx").write_bytes(nested(7, deep))


def write_endless(folder):
    """Loops as long as its input is below 1e9, by 0 a round."""
    step = helper.make_graph(
        [node("Add", "v x", "w"), node("Less", "w most", "again")], "step",
        [value("i", T.INT64, []), value("go", T.BOOL, []), value("v", T.FLOAT, [1])],
        [value("again", T.BOOL, [1]), value("w", T.FLOAT, [1])], [constant("most", np.float32([1e9]).reshape(1)[0])])
    start = [node("Identity", "x", "v0"), helper.make_node("Loop", ["", "yes", "v0"], ["y"], body=step)]
    onnx.save(model(start, [value("x", T.FLOAT, [1])], [value("y", T.FLOAT, [1])], [constant("yes", np.bool_(True))]), folder / "endless.onnx")


def write_bad(folder):
    x, y = value("x", T.FLOAT, [4]), value("y", T.FLOAT, [4])
    relu = [node("Relu", "x", "y")]
    sound = (folder / "conv.onnx").read_bytes()
    files = {
        "truncated": sound[: len(sound) // 2], "empty": b"", "garbage": RANDOM.bytes(5000), "zeros": bytes(1000),
        "ort_format": b"\x10\0\0\0ORTM" + RANDOM.bytes(500),
        "operator": model([node("Nonsense", "x", "y")], [x], [y]).SerializeToString(),
        "domain": model([node("Nonsense", "x", "y", domain="acme")], [x], [y], domain="acme").SerializeToString(),
        "opset": model(relu, [x], [y], opset=99).SerializeToString(),
        "ir": model(relu, [x], [y], ir=99).SerializeToString(),
        "kernel": model(relu, [value("x", T.INT16, [4])], [value("y", T.INT16, [4])]).SerializeToString(),
        "cycle": model([node("Relu", "y", "z"), node("Relu", "z", "y")], [x], [y]).SerializeToString(),
        "mistyped": model([node("Not", "x", "y")], [x], [y]).SerializeToString(),
        "strings": model([node("Identity", "x", "y")], [value("x", T.STRING, [4])],
                         [value("y", T.STRING, [4])]).SerializeToString(),
    }
    for name, data in files.items():
        (folder / f"bad_{name}.onnx").write_bytes(data)


def write_precisions(folder):
    """fp32 does the work of int8 and much more besides, so that which is faster is no question of luck."""
    x, weights = value("x", T.FLOAT, ["batch", 64]), normal(64, 32)
    y = [value("y", T.FLOAT, ["batch", 32])]
    product = node("MatMul", "x w", "y")
    light = model([product], [x], y, [constant("w", weights)])
    chain = [node("MatMul", f"m{i} c", f"m{i + 1}") for i in range(20)]
    heavy = model(
        [node("ReduceMean", "x", "mean", keepdims=0), node("Expand", "mean side", "m0"), *chain,
         node("ReduceMean", "m20", "rest", keepdims=0), node("Mul", "rest tiny", "little"),
         node("MatMul", "x w", "p"), node("Add", "p little", "y")],
        [x], y, [constant("w", weights), constant("side", np.array([256, 256])), constant("tiny", np.float32(1e-12)),
                 constant("c", np.full((256, 256), 1 / 256, np.float32))])
    wrong = model([product], [x], y, [constant("w", normal(64, 32))])
    scaled = model([product], [x], y, [constant("w", weights * np.float32(1.5))])
    nan = model([node("MatMul", "x w", "p"), node("Mul", "p zero", "z"), node("Div", "z zero", "n"), node("Add", "p n", "y")],
                [x], y, [constant("w", weights), constant("zero", np.float32(0))])
    shape = model([product], [x], [value("y", T.FLOAT, ["batch", 31])], [constant("w", weights[:, :31].copy())])
    other_input = model([node("Cast", "x", "f", to=T.FLOAT), node("MatMul", "f w", "y")],
                        [value("x", T.FLOAT16, ["batch", 64])], y, [constant("w", weights)])
    models = {"light": light, "heavy": heavy, "wrong": wrong, "scaled": scaled, "nan": nan, "shape": shape,
              "other_input": other_input}
    for name, made in models.items():
        onnx.save(made, folder / f"p_{name}.onnx")
    quantize_dynamic(folder / "p_light.onnx", folder / "p_int8.onnx", weight_type=QuantType.QInt8, per_channel=True)
    (folder / "p_garbage.onnx").write_bytes(RANDOM.bytes(2000))
    (folder / "p_x.bin").write_bytes(normal(2, 64).tobytes())


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, made in sound_models():
        onnx.save(made, folder / f"{name}.onnx")
    write_external(folder)
    write_endless(folder)
    write_bad(folder)
    write_precisions(folder)
    write_cases(folder)


if __name__ == "__main__":
    main()
