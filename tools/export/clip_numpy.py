"""CLIP in plain numpy, after the paper and the published code, to check exported graphs with; reads the tensors by itself."""

import numpy as np

# open_clip's names by transformers'; the former keep queries, keys and values in one matrix and projections untransposed.
OPEN_CLIP = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",
    "vision_model.post_layernorm": "visual.ln_post",
    "vision_model.encoder.layers": "visual.transformer.resblocks",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "text_model.encoder.layers": "transformer.resblocks",
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm": "ln_",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def erf(x):
    """Abramowitz and Stegun 7.1.26; within 1.5e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - series * np.exp(-x * x))


class Clip:
    """`tensors`: a mapping of names to arrays; `heads`: of pictures and texts; `end`: the id of a text's end, None: the highest."""

    def __init__(self, tensors, heads: tuple[int, int], activation: str, epsilon: float = 1e-5, end: int | None = None):
        self.tensors, self.heads, self.activation, self.epsilon, self.end = tensors, heads, activation, epsilon, end
        self.is_open = "visual.class_embedding" in tensors

    def get(self, name):
        if self.is_open:
            for theirs, ours in OPEN_CLIP.items():
                name = name.replace(theirs, ours)
        return self.tensors[name].astype(np.float64)

    def norm(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon) * self.get(f"{name}.weight") + self.get(f"{name}.bias")

    def linear(self, x, name):
        return x @ self.get(f"{name}.weight").T + self.get(f"{name}.bias")

    def queries_keys_values(self, x, at):
        if not self.is_open:
            return [self.linear(x, f"{at}.self_attn.{part}_proj") for part in "qkv"]
        joined = x @ self.get(f"{at}.attn.in_proj_weight").T + self.get(f"{at}.attn.in_proj_bias")
        return np.split(joined, 3, -1)

    def layer(self, x, at, heads, mask):
        parts = self.queries_keys_values(self.norm(x, f"{at}.layer_norm1"), at)
        side = x.shape[-1] // heads
        q, k, v = (part.reshape(*part.shape[:2], heads, side).swapaxes(1, 2) for part in parts)
        scores = q @ k.swapaxes(2, 3) / np.sqrt(side) + mask
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        x = x + self.linear((weights @ v).swapaxes(1, 2).reshape(x.shape), f"{at}.self_attn.out_proj")
        y = self.linear(self.norm(x, f"{at}.layer_norm2"), f"{at}.mlp.fc1")
        y = y / (1 + np.exp(-1.702 * y)) if self.activation == "quick_gelu" else y * 0.5 * (1 + erf(y / np.sqrt(2)))
        return x + self.linear(y, f"{at}.mlp.fc2")

    def layers(self, x, prefix, heads, mask):
        index = 0
        mark = "ln_1" if self.is_open else "layer_norm1"
        root = OPEN_CLIP[f"{prefix}.encoder.layers"] if self.is_open else f"{prefix}.encoder.layers"
        while f"{root}.{index}.{mark}.weight" in self.tensors:
            x = self.layer(x, f"{prefix}.encoder.layers.{index}", heads, mask)
            index += 1
        return x

    def before_last_norm_of_pictures(self, pixels):
        kernel = self.get("vision_model.embeddings.patch_embedding.weight")
        patch, cells = kernel.shape[2], pixels.shape[2] // kernel.shape[2]
        blocks = pixels.reshape(len(pixels), 3, cells, patch, cells, patch).transpose(0, 2, 4, 1, 3, 5)
        rows = blocks.reshape(len(pixels), cells * cells, -1) @ kernel.reshape(len(kernel), -1).T
        token = np.broadcast_to(self.get("vision_model.embeddings.class_embedding"), (len(pixels), 1, len(kernel)))
        x = np.concatenate([token, rows], 1) + self.get("vision_model.embeddings.position_embedding.weight")
        return self.layers(self.norm(x, "vision_model.pre_layrnorm"), "vision_model", self.heads[0], 0)[:, 0]

    def before_last_norm_of_texts(self, ids):
        x = self.get("text_model.embeddings.token_embedding.weight")[ids]
        x = x + self.get("text_model.embeddings.position_embedding.weight")[: ids.shape[1]]
        x = self.layers(x, "text_model", self.heads[1], np.triu(np.full((ids.shape[1],) * 2, -np.inf), 1))
        ends = ids.argmax(1) if self.end is None else (ids == self.end).argmax(1)
        return x[np.arange(len(ids)), ends]

    def project(self, x, ours, theirs):
        return x @ (self.get(theirs) if self.is_open else self.get(ours).T)

    def pictures(self, pixels):
        """[n, 3, edge, edge] → [n, dimensions], not normalised."""
        pooled = self.norm(self.before_last_norm_of_pictures(pixels), "vision_model.post_layernorm")
        return self.project(pooled, "visual_projection.weight", "visual.proj")

    def texts(self, ids):
        """[n, tokens] → [n, dimensions], not normalised."""
        pooled = self.norm(self.before_last_norm_of_texts(ids), "text_model.final_layer_norm")
        return self.project(pooled, "text_projection.weight", "text_projection")
