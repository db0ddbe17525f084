"""A sweep of the layout is that of the definition, with its random numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.relax import Forces, next_random, relax_sweep
from reference import relax as slow

UNFOLD, CONDENSE = Forces(1.0, 0, 1.0, 1), Forces(5.0, 1, 2.0, 2)
STILL = Forces(0.0, 0, 0.0, 0)


def graph(
    seed: int, n_points: int, n_edges: int
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64], NDArray[np.int32]]:
    """Layout, edges, weights and neighbours of a random graph; the last are the points alone."""
    rng = np.random.default_rng(seed)
    layout = rng.normal(scale=5.0, size=(n_points, 2))
    head = rng.integers(n_points, size=n_edges)
    tail = (head + rng.integers(1, n_points, size=n_edges)) % n_points
    edges = np.stack([head, tail], axis=-1).astype(np.int32)
    return layout, edges, rng.random(n_edges), np.arange(n_points, dtype=np.int32)[:, None].copy()


def state(seed: int) -> NDArray[np.uint32]:
    return np.random.default_rng(seed).integers(16, 2**32, 3, dtype=np.uint32)


@given(st.tuples(*[st.integers(16, 2**32 - 1)] * 3))
def test_random_numbers_are_those_of_the_paper(words: tuple[int, int, int]) -> None:
    bits, here = np.array(words, np.uint32), list(words)
    for _ in range(5):
        assert int(next_random(bits)) == slow.next_random(here)
    assert bits.tolist() == here


@given(
    st.integers(0, 10_000),
    st.integers(2, 12),
    st.integers(0, 30),
    st.sampled_from([UNFOLD, CONDENSE]),
    st.floats(0.0, 1.0),
)
def test_sweep_agrees_with_the_definition(
    seed: int, n_points: int, n_edges: int, force: Forces, rate: float
) -> None:
    layout, edges, weights, neighbours = graph(seed, n_points, n_edges)
    bits = state(seed)
    expected, after = slow.relax_sweep(layout, edges, weights, neighbours, (force, rate), bits)
    relax_sweep(layout, edges, weights, neighbours, (force, rate), bits)
    np.testing.assert_allclose(layout, expected, rtol=1e-9, atol=1e-9)
    assert bits.tolist() == after


@pytest.mark.parametrize("force", [UNFOLD, CONDENSE])
def test_every_force_has_its_counterforce(force: Forces) -> None:
    layout, edges, weights, neighbours = graph(1, 40, 300)
    middle = layout.mean(axis=0)
    relax_sweep(layout, edges, weights, neighbours, (force, 1.0), state(1))
    np.testing.assert_allclose(layout.mean(axis=0), middle, atol=1e-12)


def test_neighbours_do_not_push() -> None:
    layout, edges, weights, _ = graph(2, 6, 20)
    before = layout.copy()
    everybody = np.tile(np.arange(6, dtype=np.int32), (6, 1))
    no_pull = Forces(0.0, 0, 2.0, 1)
    relax_sweep(layout, edges, weights, everybody, (no_pull, 1.0), state(2))
    np.testing.assert_array_equal(layout, before)


def test_no_force_moves_nothing_and_far_points_move_four_at_most() -> None:
    layout = np.array([[0.0, 0.0], [1000.0, -1000.0]])
    edge, weight = np.array([[0, 1]], np.int32), np.ones(1)
    everybody = np.array([[0, 1], [1, 0]], np.int32)
    relax_sweep(layout, edge, weight, everybody, (STILL, 1.0), state(3))
    np.testing.assert_array_equal(layout, [[0.0, 0.0], [1000.0, -1000.0]])
    relax_sweep(layout, edge, weight, everybody, (UNFOLD, 0.5), state(3))
    np.testing.assert_array_equal(layout, [[2.0, -2.0], [998.0, -998.0]])
