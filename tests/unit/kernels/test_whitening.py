"""Distances from a reference agree with their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.whitening import whitened_distance
from reference import moments as slow

SEEDS = st.integers(0, 1000)


def distances(
    moments: NDArray[np.float32],
    mean: NDArray[np.float32],
    whitening: NDArray[np.float32],
    gain: float = 1.0,
) -> NDArray[np.float32]:
    out = np.full(moments.shape[:2], np.nan, np.float32)
    whitened_distance(moments, mean, whitening, gain, out)
    return out


@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 60)),
    SEEDS,
    st.booleans(),
    st.floats(0.1, 10.0),
)
def test_distance_agrees_with_the_definition(
    shape: tuple[int, int, int], seed: int, is_triangle: bool, gain: float
) -> None:
    rng = np.random.default_rng(seed)
    moments = rng.normal(size=shape).astype(np.float32)
    mean = rng.normal(size=shape[2]).astype(np.float32)
    whitening = rng.normal(size=(shape[2], shape[2])).astype(np.float32)
    whitening = np.tril(whitening) if is_triangle else whitening
    expected = slow.whitened_distance(moments, mean, whitening, gain)
    found = distances(moments, mean, whitening, gain)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_distance_is_that_of_mahalanobis() -> None:
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(10, 10))
    samples = rng.normal(size=(4000, 10)) @ mixing.T
    covariance, mean = np.cov(samples.T), samples.mean(0)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    found = distances(
        samples.reshape(40, 100, 10).astype(np.float32),
        mean.astype(np.float32),
        whitening.astype(np.float32),
    )
    difference = samples - mean
    squares = np.einsum("ni,ij,nj->n", difference, np.linalg.inv(covariance), difference)
    np.testing.assert_allclose(found.ravel(), np.sqrt(squares), rtol=1e-4)


def test_a_large_common_level_costs_no_digits() -> None:
    rng = np.random.default_rng(4)
    level = np.float32(2.0**20)
    moments = level + rng.integers(-50, 50, (5, 7, 20)).astype(np.float32)
    mean = np.full(20, level, np.float32)
    expected = slow.whitened_distance(moments, mean, np.eye(20, dtype=np.float32), 1.0)
    found = distances(moments, mean, np.eye(20, dtype=np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@given(st.integers(0, 299), st.integers(0, 9), st.sampled_from([np.nan, np.inf]))
def test_a_bad_moment_spoils_its_own_cell_and_no_other(
    cell: int, feature: int, value: float
) -> None:
    rng = np.random.default_rng(5)
    moments = rng.normal(size=(3, 100, 10)).astype(np.float32)
    mean, whitening = np.zeros(10, np.float32), np.eye(10, dtype=np.float32)
    clean = distances(moments, mean, whitening)
    moments.reshape(-1, 10)[cell, feature] = value
    found = distances(moments, mean, whitening).ravel()
    assert not np.isfinite(found[cell])
    np.testing.assert_array_equal(np.delete(found, cell), np.delete(clean.ravel(), cell))


def test_no_cells_have_no_distances() -> None:
    empty = np.empty((0, 5, 10), np.float32)
    assert distances(empty, np.zeros(10, np.float32), np.eye(10, dtype=np.float32)).size == 0


def test_arrays_of_other_sizes_are_refused() -> None:
    moments, mean = np.zeros((2, 2, 3), np.float32), np.zeros(3, np.float32)
    whitening, out = np.eye(3, dtype=np.float32), np.empty((2, 2), np.float32)
    with pytest.raises(ValueError, match="mean"):
        whitened_distance(moments, mean[:2], whitening, 1.0, out)
    with pytest.raises(ValueError, match="out"):
        whitened_distance(moments, mean, whitening, 1.0, out[:1])
    with pytest.raises(ValueError, match="gain"):
        whitened_distance(moments, mean, whitening, 0.0, out)
