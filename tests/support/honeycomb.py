"""Doped honeycomb with absent and displaced columns: the frame of the Patterson specification.

Gaussian columns on a honeycomb, drawn without the simulator and without any code under test.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

PERIOD_PX = 22.6
SIGMA_PX = 3.6
PEAK_COUNTS = 25.0
BACKGROUND_COUNTS = 6.0
DOPANT_RATIO = 1.42
SHIFT_PX = 5.0
# A hole is defective if the ideal place of a bad column is so near (fractions of a / sqrt 3).
_TOUCHES_HOLE = 1.35
_FROM_EDGE = 2.2  # periods


@dataclass(frozen=True, slots=True)
class Honeycomb:
    """A frame and what it shows; places [y, x] in pixels.

    Attributes
    ----------
    counts : (H, W)
        The frame.
    ideal_yx : (N, 2)
        Lattice places of all columns in the field, absent ones too.
    drawn_yx : (N, 2)
        Where the columns were drawn, jitter and displacement included.
    dopant, absent, displaced : (N,) bool
        What each column is.
    holes_yx : (M, 2)
        Lattice points: centres of the hexagons.
    bad_hole : (M,) int
        0: no bad column touches it; 1: a displaced one does; 2: an absent one.
    """

    counts: Image
    ideal_yx: NDArray[np.float64]
    drawn_yx: NDArray[np.float64]
    dopant: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    displaced: NDArray[np.bool_]
    holes_yx: NDArray[np.float64]
    bad_hole: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to draw.

    Attributes
    ----------
    dopants
        Probability of a column to be 1.42 times as bright.
    n_absent, n_displaced
        Bad columns, all at least 2.2 periods from the edge; displaced ones move by 5 px.
    angle_deg
        Of the first lattice vector.
    dose
        Factor on the counts: 25 at the peak of a column, 6 between, Poisson.
    line_jitter_px
        Random sideways shift of each row, rms.
    side_px, period_px, sigma_px
        Of the frame, the lattice and the columns.
    """

    dopants: float = 0.09
    n_absent: int = 15
    n_displaced: int = 9
    angle_deg: float = 11.0
    dose: float = 1.0
    line_jitter_px: float = 0.0
    side_px: int = 1024
    period_px: float = PERIOD_PX
    sigma_px: float = SIGMA_PX


def perfect_honeycomb(seed: int, **settings: Any) -> Image:  # noqa: ANN401 - of the recipe, by name
    """Counts of a frame without bad columns; dopants stay."""
    return honeycomb(seed, n_absent=0, n_displaced=0, **settings).counts


@lru_cache(maxsize=16)
def honeycomb(seed: int, **settings: Any) -> Honeycomb:  # noqa: ANN401 - of the recipe, by name
    """Draw a frame; everything random follows from the seed."""
    recipe = Recipe(**settings)
    side_px, period_px, sigma_px = recipe.side_px, recipe.period_px, recipe.sigma_px
    n_absent, n_displaced = recipe.n_absent, recipe.n_displaced
    rng = np.random.default_rng(seed)
    turns = np.radians([recipe.angle_deg, recipe.angle_deg + 60.0])
    basis = period_px * np.stack([np.sin(turns), np.cos(turns)], axis=1)
    numbers = np.indices((181, 181)).reshape(2, -1).T - 90
    points = numbers @ basis + side_px / 2
    columns = np.concatenate([points + basis.sum(axis=0) / 3, points + 2 * basis.sum(axis=0) / 3])
    ideal = columns[_inside(columns, side_px, -4 * sigma_px)]
    drawn = ideal + rng.normal(0.0, 0.35, ideal.shape)
    deep = np.flatnonzero(_inside(ideal, side_px, _FROM_EDGE * period_px))
    bad = rng.choice(deep, n_absent + n_displaced, replace=False)
    absent, displaced = (np.zeros(len(ideal), bool) for _ in range(2))
    absent[bad[:n_absent]], displaced[bad[n_absent:]] = True, True
    heading = rng.uniform(0, 2 * np.pi, n_displaced)
    drawn[bad[n_absent:]] += SHIFT_PX * np.stack([np.sin(heading), np.cos(heading)], axis=1)
    dopant = rng.random(len(ideal)) < recipe.dopants
    weight = np.where(absent, 0.0, np.where(dopant, DOPANT_RATIO, 1.0))
    expected = BACKGROUND_COUNTS + PEAK_COUNTS * gaussian_columns(drawn, weight, sigma_px, side_px)
    if recipe.line_jitter_px > 0:
        shifts = np.round(rng.normal(0.0, recipe.line_jitter_px, side_px) * 8) / 8
        at = np.arange(side_px)
        expected = np.stack(
            [np.interp(at - shift, at, row) for shift, row in zip(shifts, expected, strict=True)]
        )
    holes = points[_inside(points, side_px, 0.0)]
    return Honeycomb(
        counts=rng.poisson(recipe.dose * expected).astype(np.float32),
        ideal_yx=ideal,
        drawn_yx=drawn,
        dopant=dopant,
        absent=absent,
        displaced=displaced,
        holes_yx=holes,
        bad_hole=_bad_holes(holes, ideal, absent, displaced, period_px),
    )


def _inside(places: NDArray[np.float64], side_px: int, margin_px: float) -> NDArray[np.bool_]:
    inside = (places >= margin_px) & (places <= side_px - 1 - margin_px)
    return np.asarray(inside.all(axis=1))


def gaussian_columns(
    places: NDArray[np.float64], weight: NDArray[np.float64], sigma_px: float, side_px: int
) -> NDArray[np.float64]:
    """Sum of Gaussians of these heights, out to five widths."""
    image = np.zeros((side_px, side_px))
    reach = int(np.ceil(5 * sigma_px))
    for (y, x), height in zip(places, weight, strict=True):
        if height == 0:
            continue
        rows = np.arange(max(int(y) - reach, 0), min(int(y) + reach + 1, side_px))
        columns = np.arange(max(int(x) - reach, 0), min(int(x) + reach + 1, side_px))
        if not len(rows) or not len(columns):
            continue
        profile_y = np.exp(-(((rows - y) / sigma_px) ** 2) / 2)
        profile_x = np.exp(-(((columns - x) / sigma_px) ** 2) / 2)
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += height * np.outer(
            profile_y, profile_x
        )
    return image


def _bad_holes(
    holes: NDArray[np.float64],
    ideal: NDArray[np.float64],
    absent: NDArray[np.bool_],
    displaced: NDArray[np.bool_],
    period_px: float,
) -> NDArray[np.int64]:
    bad = np.zeros(len(holes), np.int64)
    reach = _TOUCHES_HOLE * period_px / np.sqrt(3)
    for mark, columns in ((1, ideal[displaced]), (2, ideal[absent])):
        for column in columns:
            bad[np.linalg.norm(holes - column, axis=1) < reach] = mark
    return bad
