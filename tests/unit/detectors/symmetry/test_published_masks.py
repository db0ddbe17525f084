"""Masks of the published maps: what is empty, what is broken, and both in one picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.published_masks import (
    box_variance,
    fuse_masks,
    symmetry_mask,
    triangle_threshold,
    variance_mask,
)
from support.images import random_image


def test_variance_is_that_of_the_20_px_round_a_pixel() -> None:
    pixels = 100.0 + random_image(1, (50, 60)).astype(np.float64)
    found = box_variance(pixels)
    for y, x in ((10, 10), (25, 31), (40, 50)):
        box = pixels[y - 10 : y + 10, x - 10 : x + 10]
        assert found[y, x] == pytest.approx(box.var(), rel=1e-9)


def test_what_varies_less_than_the_model_tile_by_1_2_is_empty() -> None:
    variance = np.full((300, 300), 100.0)
    variance[:, 150:] = 82.0
    assert not variance_mask(variance, 98.0).any()
    mask = variance_mask(variance, 102.0)  # 85
    assert mask[:, 200:].all()
    assert not mask[:, :140].any()


def distances(peak: float) -> NDArray[np.float64]:
    """A quiet map with one strange square, and nothing known at its margin."""
    rng = np.random.default_rng(3)
    quiet = rng.uniform(0.2, 0.3, (200, 200)) * peak
    quiet[80:130, 90:140] = peak
    quiet[:16] = quiet[-16:] = quiet[:, :16] = quiet[:, -16:] = np.nan
    return quiet


def test_a_strange_square_is_marked() -> None:
    mask = symmetry_mask(distances(100.0))
    assert mask[90:120, 100:130].all()
    assert not mask[:60].any()
    assert not mask[:, 165:].any()


def test_a_map_below_90_of_four_tiles_shows_nothing() -> None:
    assert symmetry_mask(distances(22.6)).any()
    assert not symmetry_mask(distances(22.4)).any()


@pytest.mark.parametrize("value", [0.0, 50.0, np.nan])
def test_an_even_map_shows_nothing(value: float) -> None:
    assert not symmetry_mask(np.full((40, 40), value)).any()


def test_what_is_empty_hides_what_is_broken() -> None:
    broken, empty = np.array([False, True, False, True]), np.array([False, False, True, True])
    np.testing.assert_allclose(fuse_masks(broken, empty), [0.0, 1.0, 1.05, 1.05])


def farthest_below(counts: NDArray[np.int64]) -> list[float]:
    """Depth of each level below the line from the peak to one beyond the farther end."""
    used, peak = np.flatnonzero(counts), int(np.argmax(counts))
    goes_up = used[-1] - peak >= peak - used[0]
    end = used[-1] + 1 if goes_up else used[0] - 1
    depth = []
    for level in range(len(counts)):
        share = (level - peak) / (end - peak)
        inside = 0 <= share < 1
        depth.append(counts[peak] * (1 - share) - counts[level] if inside else -np.inf)
    return depth


@given(arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 50)).filter(np.any))
def test_triangle_takes_the_level_farthest_below_its_line(counts: NDArray[np.int64]) -> None:
    depth = farthest_below(counts)
    assert depth[triangle_threshold(counts)] == pytest.approx(max(depth))


@given(arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 50)).filter(np.any))
def test_triangle_does_not_see_levels_that_nothing_has(counts: NDArray[np.int64]) -> None:
    padded = np.concatenate([np.zeros(3, np.int64), counts, np.zeros(4, np.int64)])
    assert triangle_threshold(padded) == triangle_threshold(counts) + 3
