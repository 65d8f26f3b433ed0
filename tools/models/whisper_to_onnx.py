"""Writes a Whisper (Radford et al., 2022) of CTranslate2's format as sherpa-onnx's pair of graphs, in fp32 and int8.

encoder_{fp32,int8}.onnx: `mel` [1, mels, frames] → `n_layer_cross_k` [layers, 1, heads, width / heads, frames / 2],
`n_layer_cross_v` [layers, 1, heads, frames / 2, width / heads]. decoder_{fp32,int8}.onnx: `tokens`, the caches of earlier tokens
[layers, 1, length, width] of which the first `offset` are taken, those two, `offset` → `logits`, the caches with the new tokens, and
`cross_attention_weights` [1, alignment heads, tokens, frames / 2], by which words get their times. sherpa-onnx goes by the order of
inputs and outputs and passes on what it does not read, so keys and values lie as the products want them. tokens.txt: its words.

The decoder is a loop over its layers: the loop takes the cross keys and values of each where they lie, while an operator that splits
them would copy 37 MB for each word of `base`. The weights of a layer are constants of a branch, as ONNX Runtime packs constants only.
In the fp32 files weights are stored in fp16, as CTranslate2's are.

Reads model.bin, config.json and vocabulary.json or vocabulary.txt.

usage: whisper_to_onnx.py --input FOLDER --output FOLDER
"""

import base64
import json
import sys
from pathlib import Path

import numpy as np
import onnx
from clip_graph import load_json
from converter import run, save
from ctranslate2_file import Variables
from onnx import TensorProto, helper, numpy_helper
from onnx_graph import Graph, Linear, Norm, quantised
from safetensors_file import ModelError

OPSET = 17
MICROSOFT = "com.microsoft"
EPSILON = 1e-5
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
LEAST_LARGEST = 1e-9
LEAST_HALVED = 4096  # numbers; smaller constants stay in fp32


class Part(Graph):
    """A graph, or one inside another, whose names are its own; matrices in fp16 or int8.

    `by_rows`: each row of what an int8 matrix is multiplied with has a scale of its own. ONNX Runtime's fast product has one scale for
    all rows; a single loud frame then takes the digits of the others, and the encoder of `base` mistook German for Latin.
    """

    def __init__(self, prefix: str, int8: bool, by_rows: bool = False):
        super().__init__(OPSET)
        self.prefix, self.int8, self.by_rows, self.rounded, self.evened = prefix, int8, by_rows, {}, {}

    def emit(self, op: str, inputs: list[str], outputs: int = 1, **attributes):
        label = f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        names = [label] if outputs == 1 else [f"{label}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=label, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, array: np.ndarray) -> str:
        name, array = f"{self.prefix}constant_{len(self.initializers)}", np.asarray(array, order="C")
        half = array.dtype == np.float32 and array.size >= LEAST_HALVED
        self.initializers.append(numpy_helper.from_array(array.astype(np.float16) if half else array, name))
        return self.emit("Cast", [name], to=FLOAT) if half else name

    def product(self, x: str, weights: str, scale: str) -> str:
        """Of `x` and an int8 matrix, in the pattern that ONNX Runtime knows."""
        if x not in self.rounded:
            self.rounded[x] = self.emit("DynamicQuantizeLinear", [x], outputs=3)
        values, factor, zero = self.rounded[x]
        whole = self.emit("MatMulInteger", [values, weights, zero, self.constant(np.zeros((), np.int8))])
        factors = self.emit("Mul", [factor, scale])
        return self.emit("Mul", [self.emit("Cast", [whole], to=FLOAT), factors])

    def linear(self, x: str, layer: Linear) -> str:
        if not self.int8:
            return super().linear(x, layer)
        values, scale = quantised(layer.weight, axis=0)
        even, largest = self.even(x) if self.by_rows else (x, None)
        y = self.product(even, self.constant(values), self.constant(scale))
        y = y if largest is None else self.emit("Mul", [y, largest])
        return y if layer.bias is None else self.emit("Add", [y, self.constant(layer.bias)])

    def even(self, x: str) -> tuple[str, str]:
        """Rows whose largest number is 1, and what each was divided by."""
        if x not in self.evened:
            largest = self.emit("ReduceMax", [self.emit("Abs", [x])], axes=[-1], keepdims=1)
            largest = self.emit("Max", [largest, self.constant(np.float32(LEAST_LARGEST))])
            self.evened[x] = self.emit("Div", [x, largest]), largest
        return self.evened[x]

    def gelu(self, x: str) -> str:
        return self.emit("Gelu", [x], domain=MICROSOFT)

    def add(self, x: str, y: str) -> str:
        return self.emit("Add", [x, y])

    def branch(self, name: str, outputs: list[str]) -> onnx.GraphProto:
        """What is here as a graph without inputs; the types of its outputs are found by inference."""
        return helper.make_graph(self.nodes, name, [], [helper.make_empty_tensor_value_info(output) for output in outputs], self.initializers)


def value(name: str, kind: int, shape: list) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def finished(part: Part, inputs: list, outputs: list, results: list[str], metadata: dict) -> onnx.ModelProto:
    for name, output in zip(results, outputs):
        part.nodes.append(helper.make_node("Identity", [name], [output.name], name=f"result_{output.name}"))
    graph = helper.make_graph(part.nodes, "model", inputs, outputs, part.initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="image-engine")
    model.ir_version = helper.find_min_ir_version_for(opsets[:1])
    helper.set_model_props(model, {key: str(entry) for key, entry in metadata.items()})
    onnx.checker.check_model(model)
    return model


class Whisper:
    def __init__(self, folder: Path):
        self.weights = Variables(folder / "model.bin", "WhisperSpec")
        self.words = read_words(folder)
        self.numbers = {word: number for number, word in enumerate(self.words)}
        self.mels = self.weights["encoder/conv1/weight"].shape[1]
        self.frames, self.width = self.weights["encoder/position_encodings/encodings"].shape
        self.context = self.weights["decoder/position_encodings/encodings"].shape[0]
        self.heads = int(self.weights["decoder/num_heads"])
        self.encoder_layers, self.layers = (self.count(f"{side}/layer_{{}}/ffn/linear_0/weight") for side in ("encoder", "decoder"))
        table = self.weights["decoder/embeddings/weight"]
        if table.shape != (len(self.words), self.width):
            raise ModelError(f"{folder}: the vocabulary has {len(self.words)} words, the weights are of {table.shape[0]}")
        if not self.layers or not self.encoder_layers or self.heads < 1 or self.width % self.heads:
            raise ModelError(f"{folder}: has no layers, or {self.heads} heads of a width of {self.width}")
        if int(self.weights["encoder/num_heads"]) != self.heads:
            raise ModelError(f"{folder}: encoder and decoder have other numbers of heads")
        self.alignment = self.alignment_heads(folder)

    def count(self, pattern: str) -> int:
        layers = 0
        while pattern.format(layers) in self.weights:
            layers += 1
        return layers

    def alignment_heads(self, folder: Path) -> list[tuple[int, int]]:
        """Whose attention follows the sound: layer and head of each. Without a list those of the upper half of the layers, as upstream."""
        given = load_json(folder / "config.json").get("alignment_heads")
        heads = [(layer, head) for layer in range(self.layers // 2, self.layers) for head in range(self.heads)]
        if given is None:
            return heads
        if not isinstance(given, list) or not given or not all(isinstance(pair, list) and len(pair) == 2 for pair in given):
            raise ModelError(f"{folder}: config.json's alignment_heads are no list of pairs")
        pairs = sorted({(layer, head) for layer, head in given})
        if any(layer not in range(self.layers) or head not in range(self.heads) for layer, head in pairs):
            raise ModelError(f"{folder}: config.json's alignment_heads name layers or heads that are not there")
        return pairs

    def number(self, *names: str) -> int:
        """Of a special word, which later models call otherwise."""
        for name in names:
            if name in self.numbers:
                return self.numbers[name]
        raise ModelError(f"the vocabulary has no {names[0]}")

    def metadata(self) -> dict:
        start, transcribe = self.number("<|startoftranscript|>"), self.number("<|transcribe|>")
        translate = self.number("<|translate|>")
        end = self.number("<|endoftext|>")
        many = len(self.words) >= 51865  # as upstream tells them apart
        sequence = [start, self.number("<|en|>"), transcribe] if many else [start]
        # Languages lie between the start and the tasks.
        languages = range(start + 1, min(translate, transcribe))
        found = {
            "model_type": "whisper", "version": 1, "maintainer": "image-engine",
            "n_mels": self.mels, "n_audio_ctx": self.frames, "n_audio_state": self.width, "n_audio_head": self.heads,
            "n_audio_layer": self.encoder_layers, "n_vocab": len(self.words), "n_text_ctx": self.context, "n_text_state": self.width,
            "n_text_head": self.heads, "n_text_layer": self.layers, "sot": start, "sot_index": 0, "eot": end,
            "blank_id": self.number("Ġ"), "is_multilingual": int(many), "translate": translate, "transcribe": transcribe,
            "no_speech": self.number("<|nospeech|>", "<|nocaptions|>"), "no_timestamps": self.number("<|notimestamps|>"),
            "sot_prev": self.number("<|startofprev|>"), "sot_lm": self.number("<|startoflm|>"),
            "sot_sequence": ",".join(map(str, sequence)), "n_alignment_heads": len(self.alignment),
        }  # fmt: skip
        if many:
            found["all_language_tokens"] = ",".join(map(str, languages))
            found["all_language_codes"] = ",".join(self.words[language].strip("<|>") for language in languages)
        return found

    def norm(self, at: str) -> Norm:
        return Norm(self.weights[f"{at}/gamma"], self.weights[f"{at}/beta"], EPSILON)

    def linear(self, at: str) -> Linear:
        return Linear(self.weights[f"{at}/weight"].T, self.weights[f"{at}/bias"])

    def mlp(self, part: Part, x: str, at: str) -> str:
        wide = part.gelu(part.linear(part.norm(x, self.norm(f"{at}/layer_norm")), self.linear(f"{at}/linear_0")))
        return part.add(x, part.linear(wide, self.linear(f"{at}/linear_1")))

    # The encoder

    def encoder(self, int8: bool) -> onnx.ModelProto:
        part, width = Part("", int8, by_rows=True), self.width
        x = "mel"
        for conv, stride in (("conv1", 1), ("conv2", 2)):
            inputs = [x, part.constant(self.weights[f"encoder/{conv}/weight"]), part.constant(self.weights[f"encoder/{conv}/bias"])]
            x = part.gelu(part.emit("Conv", inputs, kernel_shape=[3], pads=[1, 1], strides=[stride]))
        x = part.emit("Transpose", [x], perm=[0, 2, 1])
        length = part.emit("Slice", [part.emit("Shape", [x]), part.ints(1), part.ints(2)])
        places = part.constant(self.weights["encoder/position_encodings/encodings"])
        x = part.add(x, part.emit("Slice", [places, part.ints(0), length, part.ints(0)]))
        for index in range(self.encoder_layers):
            at = f"encoder/layer_{index}/self_attention"
            wide = part.linear(part.norm(x, self.norm(f"{at}/layer_norm")), self.linear(f"{at}/linear_0"))
            parts = part.emit("Split", [wide, part.ints(width, width, width)], outputs=3, axis=-1)
            mixed = part.emit("MultiHeadAttention", parts, domain=MICROSOFT, num_heads=self.heads)
            x = part.add(x, part.linear(mixed, self.linear(f"{at}/linear_1")))
            x = self.mlp(part, x, f"encoder/layer_{index}/ffn")
        x = part.norm(x, self.norm("encoder/layer_norm"))
        size, results = width // self.heads, []
        by_head = part.ints(0, 0, self.heads, size)
        both = [self.linear(f"decoder/layer_{index}/attention/linear_1") for index in range(self.layers)]
        for side, order in ((slice(0, width), (0, 2, 3, 1)), (slice(width, 2 * width), (0, 2, 1, 3))):
            layers = []
            for layer in both:
                flat = part.linear(x, Linear(layer.weight[:, side], layer.bias[side]))
                turned = part.emit("Transpose", [part.emit("Reshape", [flat, by_head])], perm=order)
                layers.append(part.emit("Unsqueeze", [turned, part.ints(0)]))
            results.append(part.emit("Concat", layers, axis=0))
        shapes = [[self.layers, 1, self.heads, size, "length"], [self.layers, 1, self.heads, "length", size]]
        outputs = [value(f"n_layer_cross_{side}", FLOAT, shape) for side, shape in zip("kv", shapes)]
        return finished(part, [value("mel", FLOAT, [1, self.mels, "frames"])], outputs, results, self.metadata())

    # The decoder

    def decoder(self, int8: bool) -> onnx.ModelProto:
        part, width = Part("", int8), self.width
        count = part.emit("Slice", [part.emit("Shape", ["tokens"]), part.ints(1), part.ints(2)])
        past, length = "offset", part.emit("Add", ["offset", count])
        words, head = self.embeddings(part)
        places = part.constant(self.weights["decoder/position_encodings/encodings"])
        x = part.add(words, part.emit("Slice", [places, past, length, part.ints(0)]))
        causal = part.constant(np.triu(np.full((self.context, self.context), -np.inf, np.float32), 1))
        mask = part.emit("Slice", [part.emit("Slice", [causal, past, length, part.ints(0)]), part.ints(0), length, part.ints(1)])
        body = self.loop(int8, mask, past)
        inputs = [x, part.constant(np.arange(self.layers, dtype=np.int64)), "in_n_layer_self_k_cache", "in_n_layer_self_v_cache",
                  "n_layer_cross_k", "n_layer_cross_v"]  # fmt: skip
        x, keys, values, weights = part.emit("Scan", inputs, outputs=4, num_scan_inputs=5, body=body)
        logits = head(part.norm(x, self.norm("decoder/layer_norm")))
        aligned = part.constant(np.array([(layer, 0, head) for layer, head in self.alignment], np.int64))
        weights = part.emit("Unsqueeze", [part.emit("GatherND", [weights, aligned]), part.ints(0)])
        size = width // self.heads
        caches = [value(f"in_n_layer_self_{side}_cache", FLOAT, [self.layers, 1, "past", width]) for side in "kv"]
        given = [value("tokens", INT64, [1, "tokens"]), *caches,
                 value("n_layer_cross_k", FLOAT, [self.layers, 1, self.heads, size, "length"]),
                 value("n_layer_cross_v", FLOAT, [self.layers, 1, self.heads, "length", size]), value("offset", INT64, [1])]  # fmt: skip
        outputs = [value("logits", FLOAT, [1, "tokens", len(self.words)]),
                   *(value(f"out_n_layer_self_{side}_cache", FLOAT, [self.layers, 1, "present", width]) for side in "kv"),
                   value("cross_attention_weights", FLOAT, [1, len(self.alignment), "tokens", "length"])]  # fmt: skip
        metadata = {"n_alignment_heads": len(self.alignment)}
        return finished(part, given, outputs, [logits, keys, values, weights], metadata)

    def embeddings(self, part: Part) -> tuple:
        """The words' vectors, and what makes logits of vectors, of one table."""
        table = self.weights["decoder/embeddings/weight"]
        if part.int8:
            values, scale = quantised(table, axis=1)
            rows, scales = part.constant(values), part.constant(scale)
            words = part.emit("Cast", [part.emit("Gather", [rows, "tokens"])], to=FLOAT)
            words = part.emit("Mul", [words, part.emit("Gather", [scales, "tokens"])])
            turned, factors = part.emit("Transpose", [rows], perm=[1, 0]), part.emit("Reshape", [scales, part.ints(-1)])
            return words, lambda x: part.product(x, turned, factors)
        rows = part.constant(table)
        halved = part.initializers[-1].name  # rows are taken first and made fp32 then
        words = part.emit("Cast", [part.emit("Gather", [halved, "tokens"])], to=FLOAT)
        return words, lambda x: part.emit("MatMul", [x, part.emit("Transpose", [rows], perm=[1, 0])])

    def loop(self, int8: bool, mask: str, past: str) -> onnx.GraphProto:
        """Over the layers; each takes a branch of its own."""
        body = Part("loop_", int8)
        given = {name: f"loop_{name}" for name in ("x", "index", "keys", "values", "cross_keys", "cross_values")}
        results = self.chosen(body, range(self.layers), given, mask, past)
        size = self.width // self.heads
        inputs = [value(given["x"], FLOAT, [1, "tokens", self.width]), value(given["index"], INT64, []),
                  *(value(given[name], FLOAT, [1, "past", self.width]) for name in ("keys", "values")),
                  value(given["cross_keys"], FLOAT, [1, self.heads, size, "length"]),
                  value(given["cross_values"], FLOAT, [1, self.heads, "length", size])]  # fmt: skip
        shapes = ([1, "tokens", self.width], [1, "present", self.width], [1, "present", self.width], [1, self.heads, "tokens", "length"])
        outputs = [value(f"loop_result_{place}", FLOAT, shape) for place, shape in enumerate(shapes)]
        for name, output in zip(results, outputs):
            body.nodes.append(helper.make_node("Identity", [name], [output.name], name=f"{output.name}_made"))
        return helper.make_graph(body.nodes, "loop", inputs, outputs, body.initializers)

    def chosen(self, part: Part, layers: range, given: dict, mask: str, past: str) -> list[str]:
        """The results of that of `layers` whose index is given: by halves, so that few choices lead to each."""
        if len(layers) == 1:
            return self.layer(part, layers[0], given, mask, past)
        middle = layers[len(layers) // 2]
        sides = []
        for name, side in (("then", range(layers[0], middle)), ("else", range(middle, layers[-1] + 1))):
            inner = Part(f"{part.prefix}{name[0]}_", part.int8)
            sides.append(inner.branch(f"{part.prefix}{name}", self.chosen(inner, side, given, mask, past)))
        lower = part.emit("Less", [given["index"], part.constant(np.array(middle, np.int64))])
        return part.emit("If", [lower], outputs=4, then_branch=sides[0], else_branch=sides[1])

    def layer(self, part: Part, index: int, given: dict, mask: str, past: str) -> list[str]:
        at, width, size = f"decoder/layer_{index}", self.width, self.width // self.heads
        scaled = np.float32(size**-0.5)
        by_head, flat, first = part.ints(0, 0, self.heads, size), part.ints(0, 0, width), part.ints(0)

        def turned(name: str, order: tuple) -> str:
            return part.emit("Transpose", [part.emit("Reshape", [name, by_head])], perm=order)

        def attended(queries: str, keys: str, values: str, hidden: str | None) -> tuple[str, str]:
            scores = part.emit("MatMul", [turned(queries, (0, 2, 1, 3)), keys])
            weights = part.emit("Softmax", [scores if hidden is None else part.add(scores, hidden)], axis=-1)
            mixed = part.emit("Transpose", [part.emit("MatMul", [weights, values])], perm=(0, 2, 1, 3))
            return part.emit("Reshape", [mixed, flat]), weights

        whole = self.linear(f"{at}/self_attention/linear_0")
        factor = np.ones(3 * width, np.float32)
        factor[:width] = scaled
        wide = part.linear(part.norm(given["x"], self.norm(f"{at}/self_attention/layer_norm")), Linear(whole.weight * factor, whole.bias * factor))
        queries, keys, values = part.emit("Split", [wide, part.ints(width, width, width)], outputs=3, axis=-1)
        keys, values = (
            part.emit("Concat", [part.emit("Slice", [given[name], first, past, part.ints(1)]), new], axis=1)
            for name, new in (("keys", keys), ("values", values))
        )
        mixed, _ = attended(queries, turned(keys, (0, 2, 3, 1)), turned(values, (0, 2, 1, 3)), mask)
        x = part.add(given["x"], part.linear(mixed, self.linear(f"{at}/self_attention/linear_1")))
        query = self.linear(f"{at}/attention/linear_0")
        queries = part.linear(part.norm(x, self.norm(f"{at}/attention/layer_norm")), Linear(query.weight * scaled, query.bias * scaled))
        mixed, weights = attended(queries, given["cross_keys"], given["cross_values"], None)
        x = part.add(x, part.linear(mixed, self.linear(f"{at}/attention/linear_2")))
        return [self.mlp(part, x, f"{at}/ffn"), keys, values, weights]


def read_words(folder: Path) -> list[str]:
    """By their numbers."""
    document, text = folder / "vocabulary.json", folder / "vocabulary.txt"
    if text.is_file():
        words = text.read_text(encoding="utf-8").split("\n")
        return words[:-1] if words[-1] == "" else words
    try:
        words = load_list(document)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{document}: cannot be read: {error}") from error
    return words


def load_list(path: Path) -> list[str]:
    words = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("it is no list of words")
    return words


def bytes_by_letter() -> dict[str, int]:
    """The bytes that the letters of a vocabulary of GPT-2's kind stand for."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


def token_lines(words: list[str]) -> str:
    """sherpa-onnx's tokens.txt: the bytes of each word in base64, and its number. Special words are left out."""
    letters, lines = bytes_by_letter(), []
    for number, word in enumerate(words):
        if word and all(letter in letters for letter in word) and not (word.startswith("<|") and word.endswith("|>")):
            lines.append(f"{base64.b64encode(bytes(letters[letter] for letter in word)).decode()} {number}\n")
    return "".join(lines)


def convert(folder: Path, output: Path) -> None:
    model = Whisper(folder)
    for name, precision in (("fp32", False), ("int8", True)):
        save(model.encoder(precision), output / f"encoder_{name}.onnx")
        save(model.decoder(precision), output / f"decoder_{name}.onnx")
    (output / "tokens.txt").write_text(token_lines(model.words), encoding="ascii")


if __name__ == "__main__":
    sys.exit(run(__doc__, convert))
