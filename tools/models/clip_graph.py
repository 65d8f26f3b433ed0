"""CLIP (Radford et al., 2021) as two ONNX graphs, pictures and texts, each with its projection.

Read from safetensors with the names of transformers (config.json) or of open_clip (open_clip_config.json; without one, heads
of 64 and gelu, as its models have unless their configuration says otherwise). The outputs are not normalised: who compares
them does it.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
from onnx_graph import Graph, Linear, Norm
from safetensors_file import ModelError, Tensors, find

ACTIVATIONS = ("quick_gelu", "gelu")
LEGACY_END = 2  # in configurations written before transformers 4.32: the end is then the highest id of a text


@dataclass(frozen=True)
class Block:
    before_attention: Norm
    qkv: Linear
    output: Linear
    before_mlp: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True)
class Tower:
    """What both have."""

    positions: np.ndarray  # [tokens, width]
    blocks: list[Block]
    last: Norm
    projection: np.ndarray  # [width, dimensions]
    heads: int
    activation: str


@dataclass(frozen=True)
class Vision(Tower):
    patches: np.ndarray  # [width, 3, patch, patch]
    token: np.ndarray  # [width], the one whose result is taken
    first: Norm

    @property
    def edge(self) -> int:
        return round((len(self.positions) - 1) ** 0.5) * self.patches.shape[2]


@dataclass(frozen=True)
class Text(Tower):
    words: np.ndarray  # [vocabulary, width]
    end: int | None  # the id that ends a text; None: the highest


@dataclass(frozen=True)
class Clip:
    vision: Vision
    text: Text


def read(folder: Path) -> Clip:
    """Of a folder with a safetensors file and its configuration."""
    tensors = Tensors(find(folder))
    if "visual.class_embedding" in tensors:
        config = folder / "open_clip_config.json"
        clip = OpenClip(tensors, load_json(config) if config.exists() else {}).read()
    elif "vision_model.embeddings.class_embedding" in tensors:
        clip = Transformers(tensors, load_json(folder / "config.json")).read()
    else:
        raise ModelError(f"{tensors.path}: is no CLIP model of transformers or open_clip")
    check(tensors.path, clip)
    return clip


def load_json(path: Path) -> dict:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path}: is no map")
    return document


class Source:
    """What the two kinds of naming share."""

    def __init__(self, tensors: Tensors, config: dict):
        self.tensors, self.config = tensors, config

    def section(self, *names: str) -> dict:
        found = self.config
        for name in names:
            found = found.get(name) or {}
            if not isinstance(found, dict):
                raise ModelError(f"{self.tensors.path}: its configuration's {name} is no map")
        return found

    def number(self, section: dict, key: str, otherwise: float) -> float:
        value = section.get(key, otherwise)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e9:
            raise ModelError(f"{self.tensors.path}: its configuration's {key} cannot be {value!r}")
        return value

    def norm(self, name: str, epsilon: float) -> Norm:
        return Norm(self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], epsilon)

    def linear(self, name: str) -> Linear:
        return Linear(self.tensors[f"{name}.weight"].T, self.tensors[f"{name}.bias"])

    def count(self, pattern: str) -> int:
        layers = 0
        while pattern.format(layers) in self.tensors:
            layers += 1
        return layers


class Transformers(Source):
    def blocks(self, prefix: str, epsilon: float) -> list[Block]:
        result = []
        for i in range(self.count(prefix + ".encoder.layers.{}.layer_norm1.weight")):
            at = f"{prefix}.encoder.layers.{i}"
            parts = [self.linear(f"{at}.self_attn.{part}_proj") for part in "qkv"]
            qkv = Linear(np.concatenate([part.weight for part in parts], 1), np.concatenate([part.bias for part in parts]))
            result.append(Block(self.norm(f"{at}.layer_norm1", epsilon), qkv, self.linear(f"{at}.self_attn.out_proj"),
                                self.norm(f"{at}.layer_norm2", epsilon), self.linear(f"{at}.mlp.fc1"),
                                self.linear(f"{at}.mlp.fc2")))  # fmt: skip
        return result

    def tower(self, prefix: str, section: dict, heads: int, last: str, projection: str) -> dict:
        epsilon = self.number(section, "layer_norm_eps", 1e-5)
        return {"positions": self.tensors[f"{prefix}.embeddings.position_embedding.weight"],
                "blocks": self.blocks(prefix, epsilon),
                "last": self.norm(f"{prefix}.{last}", epsilon),
                "projection": self.tensors[projection].T,
                "heads": int(self.number(section, "num_attention_heads", heads)),
                "activation": section.get("hidden_act", "quick_gelu")}  # fmt: skip

    def read(self) -> Clip:
        of_vision, of_text = self.section("vision_config"), self.section("text_config")
        vision = self.tower("vision_model", of_vision, 12, "post_layernorm", "visual_projection.weight")
        text = self.tower("text_model", of_text, 8, "final_layer_norm", "text_projection.weight")
        end = int(self.number(of_text, "eos_token_id", LEGACY_END))
        first = self.norm("vision_model.pre_layrnorm", vision["last"].epsilon)  # so spelt in transformers
        return Clip(
            Vision(**vision, patches=self.tensors["vision_model.embeddings.patch_embedding.weight"],
                   token=self.tensors["vision_model.embeddings.class_embedding"], first=first),
            Text(**text, words=self.tensors["text_model.embeddings.token_embedding.weight"],
                 end=None if end == LEGACY_END else end))  # fmt: skip


class OpenClip(Source):
    EPSILON = 1e-5

    def blocks(self, prefix: str) -> list[Block]:
        result = []
        for i in range(self.count(prefix + ".resblocks.{}.ln_1.weight")):
            at = f"{prefix}.resblocks.{i}"
            qkv = Linear(self.tensors[f"{at}.attn.in_proj_weight"].T, self.tensors[f"{at}.attn.in_proj_bias"])
            result.append(Block(self.norm(f"{at}.ln_1", self.EPSILON), qkv, self.linear(f"{at}.attn.out_proj"),
                                self.norm(f"{at}.ln_2", self.EPSILON), self.linear(f"{at}.mlp.c_fc"),
                                self.linear(f"{at}.mlp.c_proj")))  # fmt: skip
        return result

    def read(self) -> Clip:
        config = self.section("model_cfg")
        of_vision, of_text = self.section("model_cfg", "vision_cfg"), self.section("model_cfg", "text_cfg")
        activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
        token, words = self.tensors["visual.class_embedding"], self.tensors["token_embedding.weight"]
        heads = len(token) // int(self.number(of_vision, "head_width", 64))
        vision = Vision(positions=self.tensors["visual.positional_embedding"], blocks=self.blocks("visual.transformer"),
                        last=self.norm("visual.ln_post", self.EPSILON), projection=self.tensors["visual.proj"],
                        heads=heads, activation=activation, patches=self.tensors["visual.conv1.weight"], token=token,
                        first=self.norm("visual.ln_pre", self.EPSILON))  # fmt: skip
        text = Text(positions=self.tensors["positional_embedding"], blocks=self.blocks("transformer"),
                    last=self.norm("ln_final", self.EPSILON), projection=self.tensors["text_projection"],
                    heads=int(self.number(of_text, "heads", max(1, words.shape[-1] // 64))), activation=activation,
                    words=words, end=None)  # fmt: skip
        return Clip(vision, text)


def check(path: Path, clip: Clip) -> None:
    """That the shapes belong together; what is left is found by onnx's own check."""
    for name, tower, first in (("vision", clip.vision, clip.vision.token), ("text", clip.text, clip.text.words)):
        width = first.shape[-1]
        sound = tower.positions.ndim == 2 and tower.positions.shape[1] == width == tower.projection.shape[0]
        if not tower.blocks or not sound:
            raise ModelError(f"{path}: its {name} tower has no layers, or of another width than its embeddings")
        if tower.heads < 1 or width % tower.heads:
            raise ModelError(f"{path}: its {name} tower of width {width} cannot have {tower.heads} heads")
        if tower.activation not in ACTIVATIONS:
            raise ModelError(f"{path}: has the activation {tower.activation!r}; known: {', '.join(ACTIVATIONS)}")
    vision = clip.vision
    if vision.patches.ndim != 4 or len(vision.patches) != len(vision.token) or len(vision.positions) != (vision.edge // vision.patches.shape[2]) ** 2 + 1:
        raise ModelError(f"{path}: its picture has no whole number of patches")
    if clip.text.projection.shape[1] != vision.projection.shape[1]:
        raise ModelError(f"{path}: pictures and texts have vectors of different lengths")


def through(graph: Graph, x: str, tower: Tower, mask: str | None) -> str:
    for block in tower.blocks:
        mixed = graph.attention(graph.norm(x, block.before_attention), block.qkv, block.output, tower.heads, mask)
        x = graph.emit("Add", [x, mixed])
        wide = graph.activation(graph.linear(graph.norm(x, block.before_mlp), block.up), tower.activation)
        x = graph.emit("Add", [x, graph.linear(wide, block.down)])
    return x


def vision_graph(vision: Vision, opset: int) -> onnx.ModelProto:
    """`pixel_values` [batch, 3, edge, edge] → `image_embeds` [batch, dimensions]."""
    graph = Graph(opset)
    width, edge, patch = len(vision.token), vision.edge, vision.patches.shape[2]
    cells = graph.emit("Conv", ["pixel_values", graph.constant(vision.patches)], strides=[patch, patch])
    rows = graph.emit("Transpose", [graph.emit("Reshape", [cells, graph.ints(0, width, -1)])], perm=(0, 2, 1))
    # The token's row has its position added already; one for each picture, which a shape's arithmetic makes.
    batch = graph.emit("Slice", [graph.emit("Shape", ["pixel_values"]), graph.ints(0), graph.ints(1)])
    shape = graph.emit("Concat", [batch, graph.ints(1, width)], axis=0)
    token = graph.emit("Expand", [graph.constant((vision.token + vision.positions[0])[None, None]), shape])
    x = graph.emit("Concat", [token, graph.emit("Add", [rows, graph.constant(vision.positions[1:][None])])], axis=1)
    x = through(graph, graph.norm(x, vision.first), vision, None)
    pooled = graph.norm(graph.emit("Gather", [x, graph.constant(np.int64(0))], axis=1), vision.last)
    result = graph.linear(pooled, Linear(vision.projection))
    inputs = {"pixel_values": (TensorProto.FLOAT, ["batch", 3, edge, edge])}
    return graph.model(inputs, result, "image_embeds", ["batch", vision.projection.shape[1]])


def text_graph(text: Text, opset: int) -> onnx.ModelProto:
    """`input_ids` [batch, tokens] int64 → `text_embeds` [batch, dimensions]; what follows the end changes nothing."""
    graph = Graph(opset)
    context = len(text.positions)
    tokens = graph.emit("Slice", [graph.emit("Shape", ["input_ids"]), graph.ints(1), graph.ints(2)])
    words = graph.emit("Gather", [graph.constant(text.words), "input_ids"])
    x = graph.emit("Add", [words, graph.emit("Slice", [graph.constant(text.positions), graph.ints(0), tokens, graph.ints(0)])])
    causal = np.triu(np.full((context, context), -np.inf, np.float32), 1)
    mask = graph.emit("Slice", [graph.constant(causal), graph.ints(0, 0), graph.emit("Concat", [tokens, tokens], axis=0),
                                graph.ints(0, 1)])  # fmt: skip
    x = through(graph, x, text, mask)
    marks = "input_ids"
    if text.end is not None:
        marks = graph.emit("Cast", [graph.emit("Equal", ["input_ids", graph.constant(np.int64(text.end))])], to=TensorProto.INT32)
    at = graph.emit("ArgMax", [marks], axis=1, keepdims=1)
    pooled = graph.norm(graph.emit("GatherND", [x, at], batch_dims=1), text.last)
    result = graph.linear(pooled, Linear(text.projection))
    inputs = {"input_ids": (TensorProto.INT64, ["batch", "tokens"])}
    return graph.model(inputs, result, "text_embeds", ["batch", text.projection.shape[1]])
