"""Segments of symmetry maps, from maps made by hand and from drawn crystals."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.symmetry.preprocess import Preprocess
from latticewatch.detectors.symmetry.score import SymmetryDetector, SymmetryMap
from latticewatch.detectors.symmetry.segments import Segment, find_segments
from support.faulted import faulted

SHAPE = (512, 512)
STEP = 8.0
RULE = Preprocess(1, 2.0, 3.0, -10.0, 10.0)
Y, X = np.indices((63, 63))


@dataclass(frozen=True)
class HandMade:
    """What `find_segments` reads of a model: bright columns on a dark ground, a period of 12 px."""

    period_px: float | None = 12.0
    preprocess: Preprocess = RULE

    @property
    def patch(self) -> NDArray[np.float32]:
        """Waves with narrow tops."""
        y, x = np.indices((128, 128)) * 2 * np.pi / 12
        wave: NDArray[np.float32] = (np.exp(np.cos(y) + np.cos(x)) / 20).astype(np.float32)
        return wave


def made(
    added: NDArray[np.floating],
    variance: NDArray[np.floating] | float = 3.0,
    level: NDArray[np.floating] | float = 100.0,
) -> SymmetryMap:
    """Build a map of unit noise with something on top of it, in standard deviations."""
    z = np.random.default_rng(1).normal(size=added.shape) + added
    distance = 7.4 * np.exp(0.1 * z)
    for grid in (distance, z):
        grid[:2] = grid[-2:] = np.nan
        grid[:, :2] = grid[:, -2:] = np.nan
    spread = np.where(np.isnan(z), np.nan, np.broadcast_to(variance, z.shape))
    return SymmetryMap(
        distance=distance.astype(np.float32),
        severity=(distance / 10).astype(np.float32),
        p_value=special.ndtr(-z),
        variance=spread.astype(np.float32),
        level=np.broadcast_to(level, z.shape).astype(np.float32),
        step_px=STEP,
        first_px_yx=(7.5, 7.5),
        gain=1.0,
        stale=False,
        told=(),
    )


def lines(found: SymmetryMap) -> list[Segment]:
    return [one for one in find_segments(found, HandMade(), SHAPE) if one.kind == "boundary"]


def test_clean_map_has_no_segment() -> None:
    assert find_segments(made(np.zeros((63, 63))), HandMade(), SHAPE) == []


def test_stale_map_has_no_segment() -> None:
    found = replace(made(12.0 * (np.abs(Y - 31) <= 1)), stale=True)
    assert find_segments(found, HandMade(), SHAPE) == []


def test_ridge_is_one_open_line_from_edge_to_edge() -> None:
    (line,) = lines(made(6.0 * (np.abs(Y - 31) <= 1)))
    assert not line.closed
    assert np.abs(line.outline_px_yx[:, 0] - (7.5 + 31 * STEP)).max() < STEP
    assert line.length_px == pytest.approx(511, abs=3)
    assert min(line.orientation_rad, np.pi - line.orientation_rad) < 0.02
    assert line.p_value < 1e-6


def test_point_defects_are_no_line() -> None:
    added = np.zeros((63, 63))
    for y, x in np.random.default_rng(0).integers(5, 58, (25, 2)):
        added[y : y + 2, x : x + 2] = 30.0
    assert lines(made(added)) == []


def test_short_ridge_is_no_line() -> None:
    assert lines(made(6.0 * ((np.abs(Y - 31) <= 1) & (np.abs(X - 31) <= 2)))) == []


def test_other_crystal_is_reported_by_its_edge() -> None:
    (line,) = lines(made(10.0 * (Y < 25)))
    assert not line.closed
    # Half a cell beyond the last strange one. Real edges are as wide as boxes, and drawn to better
    # than a third of a cell; one as sharp as this looks like one with a seam.
    assert np.abs(line.outline_px_yx[:, 0] - (7.5 + 24.5 * STEP)).max() < 1.25 * STEP


def test_inclusion_is_closed() -> None:
    (line,) = lines(made(10.0 * (np.hypot(Y - 30, X - 33) < 10)))
    assert line.closed
    assert np.hypot(line.center_px_yx[0] - 247.5, line.center_px_yx[1] - 271.5) < 6
    assert line.area_px2 == pytest.approx(np.pi * 80**2, rel=0.2)


def test_smooth_part_is_an_amorphous_patch() -> None:
    inside = np.hypot(Y - 30, X - 33) < 8
    (patch,) = find_segments(made(8.0 * inside, np.where(inside, 0.3, 3.0)), HandMade(), SHAPE)
    assert (patch.kind, patch.closed) == ("amorphous", True)
    assert patch.area_px2 == pytest.approx(np.pi * 64**2, rel=0.25)


def test_smooth_dark_part_is_vacuum_and_not_listed() -> None:
    empty = Y < 20
    found = made(8.0 * empty, np.where(empty, 0.3, 3.0), np.where(empty, 0.0, 100.0))
    assert find_segments(found, HandMade(), SHAPE) == []


def test_speck_is_no_patch() -> None:
    inside = np.hypot(Y - 30, X - 33) < 1.5
    found = made(8.0 * inside, np.where(inside, 0.1, 3.0))
    assert [one for one in find_segments(found, HandMade(), SHAPE) if one.kind == "amorphous"] == []


@pytest.mark.slow
def test_drawn_twin_is_found_within_a_period() -> None:
    shown = faulted("dumbbells", defect="twin", seed=5, period_px=16.0, counts=100.0)
    clean = faulted("dumbbells", seed=1005, angle_seed=5, period_px=16.0, counts=100.0)
    model, _ = fit([clean.frame], SymmetryParameters())
    found = replace(SymmetryDetector(model).score(shown.frame, None), stale=False)
    points = np.concatenate(
        [
            np.linspace(a, b, 50)
            for one in find_segments(found, model, SHAPE)
            for a, b in zip(one.outline_px_yx[:-1], one.outline_px_yx[1:], strict=True)
        ]
    )
    (truth,) = shown.lines
    away = np.hypot(*(truth[:, None] - points[None]).transpose(2, 0, 1)).min(axis=1)
    assert (away <= 16.0).mean() >= 0.95
