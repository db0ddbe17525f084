"""Windows of exactly one period, and features that do not see the phase of fringes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.detectors.patterson.fringe_fit import fit_fringes
from latticewatch.detectors.patterson.fringes import (
    bright_columns,
    filtered_fringes,
    fringe_windows,
    patterson_maps,
)
from support.twins import twin


@given(
    st.sampled_from([12, 13, 24, 25]),
    st.floats(0.1, 10.0),
    st.floats(-3.2, 3.2),
    st.floats(-3.2, 3.2),
)
def test_map_of_a_uniform_fringe_is_free_of_its_phase(
    size: int, amplitude: float, phase: float, other: float
) -> None:
    turns = np.arange(size)[:, None] / size + np.zeros(size)
    windows = np.stack([amplitude * np.cos(2 * np.pi * turns + p) for p in (phase, other)])
    one, two = patterson_maps(windows)
    np.testing.assert_allclose(one, two, atol=1e-12 * amplitude**2)
    # (A^2 / 2) cos(2 pi u / d)
    expected = amplitude**2 / 2 * np.cos(2 * np.pi * turns)
    np.testing.assert_allclose(one.reshape(size, size), expected, atol=1e-12 * amplitude**2)


@pytest.mark.parametrize("g", [(0.04, 0.006), (-0.03, 0.05), (0.0, 0.08), (0.07, 0.0)])
def test_fringes_lie_along_the_second_axis_of_a_window(g: tuple[float, float]) -> None:
    y, x = np.indices((128, 160))
    fringes = np.cos(2 * np.pi * (g[0] * y + g[1] * x)).astype(np.float32)
    columns = np.random.default_rng(1).uniform(0, 128, (40, 2))
    windows, whole = fringe_windows(fringes, g, columns)
    period_px = 1 / np.hypot(*g)
    assert windows.shape[1:] == (round(period_px), round(period_px))
    # Bilinear samples of a wave are a little too flat.
    np.testing.assert_allclose(np.ptp(windows, axis=2), 0, atol=0.1)
    assert np.ptp(windows, axis=1).min() > 1.7
    reach = 0.8 * period_px
    inside = ((columns >= reach) & (columns <= np.array([127, 159]) - reach)).all(axis=1)
    np.testing.assert_array_equal(whole, inside)


def test_filter_keeps_one_pair_only() -> None:
    y, x = np.indices((128, 128))
    g = (5 / 128, 9 / 128)
    kept = np.cos(2 * np.pi * (g[0] * y + g[1] * x))
    other = 3 * np.cos(2 * np.pi * (9 * y - 4 * x) / 128)
    fringes = filtered_fringes((7 + kept + other).astype(np.float32), g)
    np.testing.assert_allclose(fringes, np.sqrt(2) * kept, atol=1e-4)


def test_filter_keeps_both_members_where_the_half_plane_shows_them() -> None:
    y, _ = np.indices((128, 128))
    kept = np.cos(2 * np.pi * 9 * y / 128)
    fringes = filtered_fringes(kept.astype(np.float32), (9 / 128, 0.0))
    np.testing.assert_allclose(fringes, np.sqrt(2) * kept, atol=1e-4)


def test_columns_of_a_crystal_are_found() -> None:
    frame = twin("square", share=0.0, counts=None, seed=1).frame
    columns = bright_columns(frame, 20.0)
    # The faint half of them is no maximum above 0.3 of the range.
    assert len(columns) == pytest.approx(512**2 / 400, rel=0.06)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_constant_frame_has_no_columns(value: float) -> None:
    frame: NDArray[np.float32] = np.full((64, 64), value, np.float32)
    assert len(bright_columns(frame, 10.0)) == 0
    with pytest.raises(ValueError, match="0 windows"):
        fit_fringes(frame, (0.05, 0.05))
