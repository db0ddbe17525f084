"""Whatever a symmetry map holds, its segments are found without an error."""

import warnings

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.score import SymmetryMap
from latticewatch.detectors.symmetry.segments import find_segments
from support.symmetry_maps import HandMade

FILLS = (
    "noise",
    "nan",
    "zero",
    "infinite",
    "minus_infinite",
    "huge",
    "tiny",
    "negative",
    "checkerboard",
    "stripes",
    "halves",
    "disc",
    "frame",
    "points",
)


def grid(fill: str, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Fill a grid in one way."""
    y, x = np.indices(shape)
    noise = np.exp(0.1 * rng.normal(size=shape))
    return {
        "noise": lambda: noise,
        "nan": lambda: np.full(shape, np.nan),
        "zero": lambda: np.zeros(shape),
        "infinite": lambda: np.full(shape, np.inf),
        "minus_infinite": lambda: np.full(shape, -np.inf),
        "huge": lambda: np.full(shape, 1e38),
        "tiny": lambda: np.full(shape, 1e-38),
        "negative": lambda: -noise,
        "checkerboard": lambda: np.where((y + x) % 2, noise, np.inf),
        "stripes": lambda: np.where(y % 4 < 2, noise, 5.0),
        "halves": lambda: np.where(x < shape[1] / 2, noise, 4.0 * noise),
        "disc": lambda: np.where(np.hypot(y - 6, x - 6) < 5, 0.2 * noise, noise),
        "frame": lambda: np.where((y % (shape[0] - 1 or 1)) * (x % (shape[1] - 1 or 1)), noise, 9),
        "points": lambda: np.where(rng.uniform(size=shape) < 0.1, 30.0, noise),
    }[fill]()


def made(
    fills: tuple[str, ...], shape: tuple[int, int], seed: int, share: float, gain: float
) -> SymmetryMap:
    """Build a map of which each part may be anything, some cells masked."""
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        distance, variance, level = (grid(fill, shape, rng) for fill in fills[:3])
        chances = {
            "law": lambda: np.clip(1.0 - (distance - 0.7) / 0.6, 1e-6, 1.0),
            "any": lambda: rng.uniform(size=shape),
            "one": lambda: np.ones(shape),
            "zero": lambda: np.zeros(shape),
            "nan": lambda: np.full(shape, np.nan),
        }[fills[3]]()
        distance[rng.uniform(size=shape) < share] = np.nan
        return SymmetryMap(
            distance=distance.astype(np.float32),
            severity=(distance / 1.5).astype(np.float32),
            p_value=chances,
            variance=(3.0 * variance).astype(np.float32),
            level=(100.0 * level).astype(np.float32),
            step_px=8.0,
            first_px_yx=(7.5, 7.5),
            gain=gain,
            stale=False,
            told=(),
        )


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(*[st.sampled_from(FILLS)] * 3, st.sampled_from(("law", "any", "one", "zero", "nan"))),
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.integers(0, 99),
    st.sampled_from((0.0, 0.05, 0.9)),
    st.sampled_from((1.0, 0.0, np.inf, np.nan)),
    st.sampled_from((None, 3.0, 12.0, 400.0)),
)
@example(("halves", "noise", "noise", "law"), (24, 24), 0, 0.0, 1.0, 12.0)
@example(("stripes", "disc", "halves", "law"), (24, 24), 1, 0.0, 1.0, 12.0)
def test_no_map_raises(
    fills: tuple[str, ...],
    shape: tuple[int, int],
    seed: int,
    share: float,
    gain: float,
    period_px: float | None,
) -> None:
    found = made(fills, shape, seed, share, gain)
    height, width = (8 * (size + 1) for size in shape)
    for segment in find_segments(found, HandMade(period_px), (height, width)):
        assert np.isfinite(segment.outline_px_yx).all()
        assert (segment.outline_px_yx >= 0).all()
        assert (segment.outline_px_yx <= (height, width)).all()
        assert np.isfinite([*segment.center_px_yx, segment.length_px, segment.area_px2]).all()
        assert 0.0 <= segment.p_value <= 1.0
