"""Two laws are found where there are two, and the result is that of the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.mixture import N_RESULTS, two_normals
from reference import mixture as slow

Counts = NDArray[np.float64]


def fitted(counts: Counts, n_rounds: int = 40) -> Counts:
    out = np.full(N_RESULTS, 7.0)
    two_normals(counts, n_rounds, out)
    return out


def histogram(seed: int, laws: list[tuple[int, float, float]], n_bins: int = 64) -> Counts:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(mean, width, n) for n, mean, width in laws])
    places = np.clip(np.round(values), 0, n_bins - 1).astype(int)
    return np.bincount(places, minlength=n_bins).astype(np.float64)


@given(arrays(np.float64, st.integers(1, 24), elements=st.integers(0, 50).map(float)))
def test_few_rounds_agree_with_the_definition(counts: Counts) -> None:
    np.testing.assert_allclose(fitted(counts, 3), slow.two_normals(counts, 3), rtol=1e-6, atol=1e-6)


def test_two_laws_are_found() -> None:
    share, low, low_width, high, high_width, apart = fitted(
        histogram(1, [(3000, 15.0, 3.0), (9000, 45.0, 4.0)])
    )
    assert share == pytest.approx(0.25, abs=0.01)
    assert (low, high) == (pytest.approx(15, abs=0.2), pytest.approx(45, abs=0.2))
    assert (low_width, high_width) == (pytest.approx(3, abs=0.2), pytest.approx(4, abs=0.2))
    assert apart == pytest.approx(np.sqrt(2) * 30 / 5, rel=0.05)


def test_one_law_has_little_separation() -> None:
    assert fitted(histogram(2, [(9000, 32.0, 6.0)]))[5] < 2.0


@given(st.integers(0, 20), st.integers(5, 40))
def test_result_moves_with_the_histogram(seed: int, shift: int) -> None:
    counts = histogram(seed, [(300, 10.0, 2.0), (500, 22.0, 3.0)], 32)
    moved = fitted(np.concatenate([np.zeros(shift), counts]))
    expected = fitted(counts) + np.array([0, shift, 0, shift, 0, 0])
    np.testing.assert_allclose(moved, expected, rtol=1e-6)


@pytest.mark.parametrize("counts", [[], [5.0], [0.0, 0.0], [0.0, 9.0, 0.0]])
def test_one_bin_holds_no_two_laws(counts: list[float]) -> None:
    assert np.isnan(fitted(np.array(counts))).all()
