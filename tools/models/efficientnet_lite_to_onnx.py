"""Writes EfficientNet-Lite (Tan and Le, 2019; lite: 2020) as ONNX: `image` [batch, 3, 224, 224] → `logits` [batch, classes].

Reads the one *.pth of the folder: weights by the names of the efficientnet_pytorch packages, converted there from Google's
TensorFlow checkpoints, so paddings are TensorFlow's. Batch normalisation is folded into the convolutions.

usage: efficientnet_lite_to_onnx.py --input FOLDER --output FOLDER
"""

import sys

import numpy as np
import onnx
from converter import of_weights, run
from onnx import TensorProto
from onnx_graph import Graph, Linear
from safetensors_file import ModelError

OPSET = 17
EDGE = 224
EPSILON = 1e-3  # of TensorFlow's batch normalisation
STRIDES = {1: 2, 3: 2, 5: 2, 11: 2}  # of lite0's 16 blocks, by index; others 1
BLOCKS = 16


class Network:
    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights, self.graph, self.edge = weights, Graph(OPSET), EDGE

    def take(self, name: str) -> np.ndarray:
        if name not in self.weights:
            raise ModelError(f"has no {name}; only EfficientNet-Lite0 is known")
        array = self.weights[name]
        if array.dtype != np.float32 or not np.isfinite(array).all():
            raise ModelError(f"{name} holds no numbers, or such that are none")
        return array

    def convolution(self, x: str, name: str, norm: str, stride: int, is_active: bool) -> str:
        kernel = self.take(f"{name}.weight")
        factor = self.take(f"{norm}.weight") / np.sqrt(self.take(f"{norm}.running_var") + np.float32(EPSILON))
        bias = self.take(f"{norm}.bias") - self.take(f"{norm}.running_mean") * factor
        side = kernel.shape[2]
        after = -(-self.edge // stride)
        padding = max(0, (after - 1) * stride + side - self.edge)
        low, high = padding // 2, padding - padding // 2
        groups = kernel.shape[0] if kernel.shape[1] == 1 else 1
        inputs = [x, self.graph.constant(kernel * factor[:, None, None, None]), self.graph.constant(bias)]
        y = self.graph.emit("Conv", inputs, kernel_shape=[side, side], strides=[stride, stride], group=groups, pads=[low, low, high, high])
        self.edge = after
        if not is_active:
            return y
        return self.graph.emit("Clip", [y, self.graph.constant(np.float32(0)), self.graph.constant(np.float32(6))])

    def block(self, x: str, index: int) -> str:
        at, stride, y = f"_blocks.{index}", STRIDES.get(index, 1), x
        if f"{at}._expand_conv.weight" in self.weights:
            y = self.convolution(y, f"{at}._expand_conv", f"{at}._bn0", 1, True)
        y = self.convolution(y, f"{at}._depthwise_conv", f"{at}._bn1", stride, True)
        y = self.convolution(y, f"{at}._project_conv", f"{at}._bn2", 1, False)
        first = self.weights.get(f"{at}._expand_conv.weight", self.weights[f"{at}._depthwise_conv.weight"])
        channels = first.shape[1] if f"{at}._expand_conv.weight" in self.weights else first.shape[0]
        is_same = stride == 1 and channels == self.weights[f"{at}._project_conv.weight"].shape[0]
        return self.graph.emit("Add", [y, x]) if is_same else y

    def build(self) -> onnx.ModelProto:
        if f"_blocks.{BLOCKS}._project_conv.weight" in self.weights:
            raise ModelError(f"has more than {BLOCKS} blocks; only EfficientNet-Lite0 is known")
        x = self.convolution("image", "_conv_stem", "_bn0", 2, True)
        for index in range(BLOCKS):
            x = self.block(x, index)
        x = self.convolution(x, "_conv_head", "_bn1", 1, True)
        x = self.graph.emit("Flatten", [self.graph.emit("GlobalAveragePool", [x])], axis=1)
        head = Linear(self.take("_fc.weight").T, self.take("_fc.bias"))
        inputs = {"image": (TensorProto.FLOAT, ["batch", 3, EDGE, EDGE])}
        return self.graph.model(inputs, self.graph.linear(x, head), "logits", ["batch", len(head.bias)])


if __name__ == "__main__":
    sys.exit(run(__doc__, of_weights(lambda weights: Network(weights).build(), "efficientnet-lite0.onnx")))
