"""Frames of one crystal or of two that meet, with known truth, drawn without the simulator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Lattice vectors in periods, and columns of a cell with their brightness.
CRYSTALS: dict[str, tuple[list[list[float]], list[tuple[float, float, float]]]] = {
    "square": ([[1.0, 0.0], [0.0, 1.0]], [(0.0, 0.0, 1.0), (0.5, 0.5, 0.45)]),
    "hexagonal": ([[1.0, 0.0], [0.5, 0.866]], [(1 / 3, 1 / 3, 1.0), (2 / 3, 2 / 3, 0.4)]),
    "oblique": ([[1.0, 0.0], [0.35, 0.8]], [(0.0, 0.0, 1.0), (0.4, 0.3, 0.6)]),
}


@dataclass(frozen=True, slots=True)
class Twin:
    """A frame, and the signed distance (H, W) to the boundary, positive in the second crystal."""

    frame: NDArray[np.float32]
    distance_px: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What to draw: two crystals turned against each other.

    Attributes
    ----------
    crystal
        Key of `CRYSTALS`.
    share
        Of the second crystal's area; 0 for a single crystal.
    shape
        Of the boundary: line, curve, or disc.
    counts
        Mean per pixel; None for no noise.
    wedge
        Change of the brightness across the frame.
    strain
        Slow displacement, in periods rms.
    """

    crystal: str = "hexagonal"
    seed: int = 0
    shape_yx: tuple[int, int] = (512, 512)
    period_px: float = 20.0
    turn_deg: float = 20.0
    share: float = 0.3
    shape: str = "line"
    counts: float | None = 4.0
    wedge: float = 0.0
    strain: float = 0.0


def twin(crystal: str = "hexagonal", **settings: Any) -> Twin:  # noqa: ANN401 - fields of a scene
    """Draw a scene; equal settings give equal frames."""
    scene = Scene(crystal=crystal, **settings)
    rng = np.random.default_rng(scene.seed)
    vectors, motif = CRYSTALS[crystal]
    first = np.array(vectors) * scene.period_px @ _turn(float(rng.uniform(0, np.pi)))
    distance = _distance(scene.shape, scene.shape_yx, float(rng.uniform(0, 2 * np.pi)))
    distance -= np.quantile(distance, 1 - scene.share) if scene.share else distance.max() + 1e3
    moved = [_slow(rng, scene.shape_yx) * scene.strain * scene.period_px for _ in range(2)]
    image = np.zeros(scene.shape_yx)
    for sign, basis in ((-1, first), (1, first @ _turn(np.deg2rad(scene.turn_deg)))):
        origin = rng.uniform(0, scene.period_px, 2)
        places, weights = _columns(basis, motif, origin, scene.shape_yx)
        at = np.clip(np.round(places).astype(int), 0, np.array(scene.shape_yx) - 1)
        own = sign * distance[at[:, 0], at[:, 1]] > 0
        places, weights, at = places[own], weights[own], at[own]
        places = places + np.stack([axis[at[:, 0], at[:, 1]] for axis in moved], axis=1)
        _splat(image, places + rng.normal(0, 0.2, places.shape), weights)
    sigma_px = 0.15 * scene.period_px
    image = ndimage.gaussian_filter(image, sigma_px) * 2 * np.pi * sigma_px**2 + 0.3
    image *= 1 + scene.wedge * np.linspace(-0.5, 0.5, scene.shape_yx[0])[:, None]
    if scene.counts is not None:
        image = rng.poisson(image * scene.counts / image.mean()).astype(np.float64)
    return Twin(image.astype(np.float32), distance)


def _turn(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _distance(shape: str, shape_yx: tuple[int, int], angle: float) -> NDArray[np.float64]:
    y, x = np.indices(shape_yx) - (np.array(shape_yx)[:, None, None] - 1) / 2
    across, along = np.cos(angle) * y + np.sin(angle) * x, np.cos(angle) * x - np.sin(angle) * y
    if shape == "curve":
        across = across + 0.1 * min(shape_yx) * np.sin(5 * along / min(shape_yx))
    return np.asarray(-np.hypot(y, x) if shape == "disc" else across)


def _slow(rng: np.random.Generator, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    field = ndimage.gaussian_filter(rng.normal(size=shape_yx), 0.2 * min(shape_yx), mode="wrap")
    return np.asarray(field / field.std())


def _columns(
    basis: NDArray[np.float64],
    motif: list[tuple[float, float, float]],
    origin: NDArray[np.float64],
    shape_yx: tuple[int, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n_steps = int(1.2 * sum(shape_yx) / np.sqrt(abs(np.linalg.det(basis)))) + 3
    cells = np.indices((2 * n_steps + 1, 2 * n_steps + 1)).reshape(2, -1).T - n_steps
    places = np.concatenate([(cells + part[:2]) @ basis + origin for part in motif])
    weights = np.repeat([part[2] for part in motif], len(cells))
    near = ((places > -20) & (places < np.array(shape_yx) + 20)).all(axis=1)
    return places[near], weights[near]


def _splat(
    image: NDArray[np.float64], places: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    """Share each column's weight among the four pixels round it."""
    corner = np.floor(places).astype(int)
    rest = places - corner
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = corner + step
        weight = weights * np.abs(1 - np.array(step) - rest).prod(axis=1)
        inside = ((at >= 0) & (at < image.shape)).all(axis=1)
        np.add.at(image, tuple(at[inside].T), weight[inside])
