"""Moments by half the multiplications are those of the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.projection import (
    BLOCK_SITES,
    fold_basis,
    fold_discs,
    project_discs,
    projection_scratch,
)
from latticewatch.kernels.zernike import BasisKind, disc_basis
from reference import zernike as slow


def projected(
    patches: NDArray[np.float32], side: int, kind: BasisKind, n_max: int = 10
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Moments as computed, and as defined."""
    basis = disc_basis(side, kind=kind, n_max=n_max)
    folded = fold_basis(basis)
    out = np.full((len(patches), len(basis.terms)), np.nan, np.float32)
    used = np.ascontiguousarray(patches[:, : len(basis.offsets_yx)])
    project_discs(used, folded, projection_scratch(folded), out)
    return out, slow.moments_of(used, basis.values)


@given(
    st.integers(0, 10_000),
    st.integers(0, 5),
    st.sampled_from([("area", 9), ("area", 15), ("package", 8), ("package", 9), ("package", 12)]),
    st.integers(0, 6),
)
def test_moments_are_those_of_the_definition(
    seed: int, n_sites: int, shape: tuple[BasisKind, int], n_max: int
) -> None:
    kind, side = shape
    patches = np.random.default_rng(seed).normal(size=(n_sites, 15 * 15)).astype(np.float32)
    found, expected = projected(patches, side, kind, n_max)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("n_sites", [BLOCK_SITES - 1, BLOCK_SITES, BLOCK_SITES + 1])
def test_sites_beyond_a_block_are_projected_too(n_sites: int) -> None:
    patches = np.random.default_rng(1).normal(size=(n_sites, 33 * 33)).astype(np.float32)
    found, expected = projected(patches, 33, "area")
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(st.integers(1, 9))
def test_opposite_pixels_are_added_and_subtracted(n_pixels: int) -> None:
    patch = np.random.default_rng(n_pixels).normal(size=(1, n_pixels)).astype(np.float32)
    half = (n_pixels + 1) // 2
    even, odd = np.empty((1, half), np.float32), np.empty((1, half), np.float32)
    fold_discs(patch, even, odd)
    np.testing.assert_array_equal(even, patch[:, :half] + patch[:, ::-1][:, :half])
    np.testing.assert_array_equal(odd, patch[:, :half] - patch[:, ::-1][:, :half])


def test_wrong_shapes_are_refused() -> None:
    basis = disc_basis(9)
    folded = fold_basis(basis)
    with pytest.raises(ValueError, match="patches"):
        project_discs(
            np.zeros((2, 5), np.float32),
            folded,
            projection_scratch(folded),
            np.zeros((2, 66), np.float32),
        )
    with pytest.raises(ValueError, match="half"):
        fold_discs(
            np.zeros((2, 5), np.float32), np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32)
        )
