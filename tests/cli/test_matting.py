"""Closed-form matting: against the paper's equations in scipy, and beside the guided filter where a model's mask is blunt."""

import numpy as np
import pytest
from engine import FAILED, SAMPLES
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.sparse import coo_matrix, identity
from scipy.sparse.linalg import spsolve
from segment_models import install_known
from test_segment import composite, enlarged, hair, mask_of

BAND, REGULAR, PRIOR = 8, 1e-5, 1e-3


def laplacian(picture):
    """Equation 12 of Levin, Lischinski and Weiss, for windows of 3 × 3."""
    height, width, _ = picture.shape
    numbers, rows, columns, values = np.arange(height * width).reshape(height, width), [], [], []
    for y in range(height - 2):
        for x in range(width - 2):
            places, colours = numbers[y : y + 3, x : x + 3].ravel(), picture[y : y + 3, x : x + 3].reshape(9, 3)
            away = colours - colours.mean(0)
            covariance = away.T @ away / 9 + REGULAR / 9 * np.eye(3)
            values.append(np.eye(9) - (1 + away @ np.linalg.inv(covariance) @ away.T) / 9)
            rows.append(np.repeat(places, 9))
            columns.append(np.tile(places, 9))
    flat = lambda parts: np.concatenate([part.ravel() for part in parts])  # noqa: E731
    return coo_matrix((flat(values), (flat(rows), flat(columns))), shape=(height * width,) * 2).tocsr()


def reference(picture, mask):
    edge = maximum_filter(maximum_filter(mask > 0.05, 3) & maximum_filter(mask < 0.95, 3), 2 * BAND + 1).ravel()
    alpha, matrix = (mask.ravel() >= 0.95).astype(float), laplacian(picture)
    prior = PRIOR * identity(edge.sum())
    alpha[edge] = spsolve((matrix[edge][:, edge] + prior).tocsc(), PRIOR * mask.ravel()[edge] - matrix[edge][:, ~edge] @ alpha[~edge])
    return np.clip(alpha, 0, 1).reshape(mask.shape), edge.reshape(mask.shape)


@pytest.mark.parametrize("centre, radius", [((32, 30), 16), ((5, 40), 22)])
def test_alpha_is_what_the_equations_say(engine, folder, centre, radius):
    """Of the first nothing is surely inside."""
    rng, side = np.random.default_rng(4), 64
    y, x = np.mgrid[0:side, 0:side] + 0.5
    alpha = np.clip(0.5 - (np.hypot(x - centre[0], y - centre[1]) - radius) / 6, 0, 1)
    texture = lambda base: np.clip(base + gaussian_filter(rng.standard_normal((side, side, 3)), (3, 3, 0)) * 0.6, 0, 1)  # noqa: E731
    mixed = alpha[..., None] * texture([0.8, 0.3, 0.2]) + (1 - alpha[..., None]) * texture([0.2, 0.4, 0.7])
    photo = Image.fromarray(np.uint8(mixed * 255 + 0.5))
    photo.save(folder / "a.png")
    mask = np.float32(gaussian_filter(alpha, 2))
    install_known(engine, mask)
    wanted, edge = reference(np.asarray(photo) / 255, mask)
    assert 0.1 < edge.mean() < 0.9
    engine.json("segment", folder / "a.png", "-o", folder / "m.png", "--as", "mask", "--rough", "--matting", "closed-form")
    found = mask_of(folder / "m.png") / 255
    assert np.abs(found - wanted).max() <= 1.5 / 255
    assert np.abs(mask - wanted).max() > 0.1  # it is not the mask


def test_beside_the_guided_filter_where_the_mask_is_blunt(engine, folder):
    size, side = (1500, 1000), 512
    picture, alpha, _ = composite(hair, size)
    picture.save(folder / "a.png")
    mask = gaussian_filter(np.asarray(Image.fromarray(alpha).resize((side, side), Image.BILINEAR)), 3)
    install_known(engine, mask)
    plain, errors = np.abs(enlarged(mask, size) - alpha).mean(), {}
    for matting in ("guided", "closed-form"):
        document = engine.json("segment", folder / "a.png", "-o", folder / "m.png", "--as", "mask", "--force", "--matting", matting)
        errors[matting] = np.abs(mask_of(folder / "m.png") / 255 - alpha).mean()
        print(f"{matting}: {errors[matting]:.5f}, {errors[matting] / plain:.3f} times bilinear's, {document['results'][0]['seconds']['refine']} s")
    assert errors["closed-form"] <= 0.7 * errors["guided"]


def test_a_mask_without_an_edge_stays_and_videos_are_refused(engine, folder):
    install_known(engine, np.ones((64, 64), np.float32))
    Image.new("RGB", (90, 70), (20, 90, 200)).save(folder / "a.png")
    engine.json("segment", folder / "a.png", "-o", folder / "m.png", "--as", "mask", "--matting", "closed-form")
    assert (mask_of(folder / "m.png") == 255).all()
    outcome = engine.run("segment", SAMPLES / "videos/Megamind.avi", "-o", folder / "v.webm", "--matting", "closed-form")
    assert outcome.code == FAILED and "for photos" in outcome.message and not (folder / "v.webm").exists()
