"""Sites in the rows of their address are those of the definition, however far from zero."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.addresses import (
    addresses_in_field,
    link_addresses,
    make_board,
    mean_of_cells,
)
from reference import addresses as slow

SEEDS = st.integers(0, 2**32 - 1)


def some_addresses(seed: int, n: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    corner = rng.integers(-(2**20), 2**20, 2)
    box = np.mgrid[:5, :6].reshape(2, -1).T + corner
    return np.ascontiguousarray(rng.permutation(box)[:n]).astype(np.int64)


@given(SEEDS, st.floats(0.0, 9.0))
def test_field_holds_what_the_definition_finds(seed: int, margin_px: float) -> None:
    rng = np.random.default_rng(seed)
    basis, shift = rng.normal(size=(2, 2)) * 4, rng.random(2)
    box, field = (-6, 5, -4, 7), (14.0, 19.0, margin_px)
    out = np.empty((12 * 12, 2), np.int64)
    n_found = addresses_in_field(box, shift, basis, field, out)
    expected = slow.addresses_in_field(box, shift, basis, field)
    assert [tuple(address) for address in out[:n_found].tolist()] == expected


@given(SEEDS, st.integers(0, 30))
def test_links_agree_with_the_definition(seed: int, n: int) -> None:
    address = some_addresses(seed, n)
    rng = np.random.default_rng(seed)
    steps = rng.integers(-3, 4, (4, 2)).astype(np.int64)
    empty = rng.random(n) < 0.3
    links = np.empty((n, 4), np.int32)
    link_addresses(make_board(address), steps, empty, (-1, -2), links)
    np.testing.assert_array_equal(links, slow.link_addresses(address, steps, empty, (-1, -2)))


@given(SEEDS, st.integers(0, 30))
def test_means_agree_with_the_definition(seed: int, n: int) -> None:
    address = some_addresses(seed, n)
    values = np.random.default_rng(seed).normal(size=n).astype(np.float32)
    means = np.empty(n, np.float32)
    mean_of_cells(make_board(address), values, means)
    np.testing.assert_allclose(means, slow.mean_of_cells(address, values), atol=1e-5)


def test_nan_spoils_the_cells_around_it_only() -> None:
    address = np.stack([np.zeros(4, np.int64), np.arange(4)], axis=1)
    means = np.empty(4, np.float32)
    mean_of_cells(make_board(address), np.array([np.nan, 1, 1, 1], np.float32), means)
    assert np.isnan(means).tolist() == [True, True, False, False]
