"""Every site inside a frame is found once, where `place_cells` says, and none beside it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.cells import place_cells
from latticewatch.kernels.places import place_sites

SEEDS = st.integers(0, 2**32 - 1)
BASIS_PX = np.array([[7.5, 2.8], [-3.1, 8.4]])
STEP_PX = 6.0
CORNERS = np.array([[-8, -8], [20, 20]], np.int64)
Sites = tuple[NDArray[np.float64], NDArray[np.int64], list[int]]


def smooth_phase(seed: int, whole_turns: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    along_y, along_x = np.indices((14, 16))
    slopes = rng.uniform(-0.01, 0.01, (2, 2, 1, 1))
    return np.asarray(whole_turns + slopes[0] * along_y + slopes[1] * along_x, np.float32)


def placed(
    fractions: NDArray[np.float64], phase: NDArray[np.float32], limits_px: tuple[float, ...]
) -> Sites:
    places, addresses = np.empty((2000, 2)), np.empty((2000, 2), np.int64)
    counts = np.empty(len(fractions), np.int64)
    least, below_y, below_x = limits_px
    n_found = place_sites(
        fractions,
        CORNERS,
        (BASIS_PX, phase, STEP_PX),
        (least, below_y, below_x),
        (places, addresses, counts),
    )
    return places[:n_found], addresses[:n_found], counts.tolist()


@given(SEEDS, st.integers(1, 3), st.integers(-2, 2), st.floats(0.0, 9.0), st.floats(20.0, 80.0))
def test_sites_are_those_of_all_addresses_that_lie_inside(
    seed: int, n_columns: int, whole_turns: int, least: float, below: float
) -> None:
    fractions = np.random.default_rng(seed).random((n_columns, 2))
    phase = smooth_phase(seed, whole_turns)
    grid = np.mgrid[CORNERS[0, 0] : CORNERS[1, 0] + 1, CORNERS[0, 1] : CORNERS[1, 1] + 1]
    every = grid.reshape(2, -1).T
    expected: list[tuple[float, ...]] = []
    counts = []
    for fraction in fractions:
        out = np.empty(every.shape)
        place_cells(every + fraction, BASIS_PX, phase, STEP_PX, out)
        inside = (out >= least).all(axis=1) & (out[:, 0] < below) & (out[:, 1] < below + 9)
        expected += [
            (*place, *address) for place, address in zip(out[inside], every[inside], strict=True)
        ]
        counts.append(int(inside.sum()))

    places, addresses, found = placed(fractions, phase, (least, below, below + 9))

    np.testing.assert_allclose(np.hstack([places, addresses]), np.reshape(expected, (-1, 4)))
    assert found == counts


def test_what_does_not_fit_is_counted_and_left_out() -> None:
    places, addresses = np.full((3, 2), -1.0), np.empty((3, 2), np.int64)
    counts = np.empty(1, np.int64)
    n_found = place_sites(
        np.zeros((1, 2)),
        CORNERS,
        (BASIS_PX, smooth_phase(1, 0), STEP_PX),
        (0.0, 60.0, 60.0),
        (places, addresses, counts),
    )
    assert n_found == pytest.approx(60 * 60 / abs(np.linalg.det(BASIS_PX)), rel=0.1)
    assert counts.tolist() == [3]
    assert (places >= 0).all()
