"""How far a network's outputs are from the reference's: cosines, and overlaps of boxes."""

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).min())


def overlaps(boxes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each wanted box (cx cy w h) with the box that meets it best."""
    (alow, ahigh), (blow, bhigh) = ((x[:, :2] - x[:, 2:] / 2, x[:, :2] + x[:, 2:] / 2) for x in (wanted[:, None].reshape(-1, 4), boxes))
    low, high = np.maximum(alow[:, None], blow[None]), np.minimum(ahigh[:, None], bhigh[None])
    common = np.clip(high - low, 0, None).prod(-1)
    return (common / ((ahigh - alow).prod(-1)[:, None] + (bhigh - blow).prod(-1)[None] - common + 1e-12)).max(1)


def deviation(got: dict[str, np.ndarray], wanted: dict) -> dict:
    result = {}
    for name, array in got.items():
        count = min(len(array), len(wanted[name]))
        result[name] = round(cosine(array[:count], wanted[name][:count]), 6)
        if name == "pred_boxes":
            best = [np.argsort(-scores.max(-1))[:50] for scores in wanted["logits"][:count]]
            met = np.concatenate([overlaps(array[i].astype(np.float64), wanted[name][i][best[i]].astype(np.float64)) for i in range(count)])
            result["overlap"] = [round(float(met.mean()), 4), round(float(met.min()), 4)]
    return result
