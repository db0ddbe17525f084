"""Columns are drawn where and as bright as the formula says."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.simulator.optics import draw_columns, tabulate_profile

SIGMA_PX = 3.0


def by_formula(
    pixel_yx: NDArray[np.float64],
    peaks: NDArray[np.float32],
    row_shift_px: NDArray[np.float32],
    shape_yx: tuple[int, int],
) -> NDArray[np.float64]:
    y, x = np.indices(shape_yx)
    image = np.zeros(shape_yx)
    for (y0, x0), peak in zip(pixel_yx, peaks, strict=True):
        square = (y - y0) ** 2 + (x - row_shift_px[:, None] - x0) ** 2
        image += peak * np.exp(-square / (2 * SIGMA_PX**2))
    return image


def drawn(
    pixel_yx: NDArray[np.float64],
    peaks: NDArray[np.float32],
    row_shift_px: NDArray[np.float32],
    shape_yx: tuple[int, int],
) -> NDArray[np.float32]:
    out = np.zeros(shape_yx, np.float32)
    draw_columns(pixel_yx, peaks, tabulate_profile(SIGMA_PX), row_shift_px, SIGMA_PX, out)
    return out


@pytest.mark.parametrize("shape_yx", [(40, 56), (16, 17), (64, 16)])
def test_drawing_agrees_with_the_formula_also_across_the_borders(shape_yx: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pixel_yx = rng.uniform(-15, 70, (60, 2))
    peaks = rng.uniform(0, 2, 60).astype(np.float32)
    shifts = rng.normal(0, 1.0, shape_yx[0]).astype(np.float32)
    expected = by_formula(pixel_yx, peaks, shifts, shape_yx)
    # Half a phase off is 1/128 px at the steepest flank; the skirts end at 2e-4 of a peak.
    tolerance = 2 * 60 * (0.61 / SIGMA_PX / 128 + 2e-4) / 20
    np.testing.assert_allclose(drawn(pixel_yx, peaks, shifts, shape_yx), expected, atol=tolerance)


def test_an_empty_column_leaves_no_trace() -> None:
    out = drawn(np.array([[8.0, 8.0]]), np.zeros(1, np.float32), np.zeros(16, np.float32), (16, 16))
    assert not out.any()


def test_a_centred_column_is_symmetric() -> None:
    out = drawn(
        np.array([[15.0, 15.0]]), np.ones(1, np.float32), np.zeros(31, np.float32), (31, 31)
    )
    np.testing.assert_allclose(out, out[::-1], atol=2e-4)
    np.testing.assert_allclose(out, out.T, atol=2e-4)
    assert out[15, 15] == 1.0


def test_positions_have_no_bias() -> None:
    x0 = np.linspace(14.0, 15.0, 301)
    x = np.arange(31.0)
    measured = []
    for place in x0:
        out = drawn(
            np.array([[15.0, place]]), np.ones(1, np.float32), np.zeros(31, np.float32), (31, 31)
        )
        measured.append((out.sum(axis=0) * x).sum() / out.sum())
    error = np.array(measured) - x0
    assert abs(error.mean()) < 1e-3
    assert abs(error).max() < 1.1 / 128
