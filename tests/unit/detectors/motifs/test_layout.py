"""Neighbours lie side by side in the layout, and the same seed gives the same picture."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from latticewatch.detectors.motifs.layout import Metric, lay_out, nearest, neighbour_graph


def clumps(n_each: int, n_numbers: int = 5, seed: int = 0) -> NDArray[np.float64]:
    """Four classes far from each other, one after the other."""
    rng = np.random.default_rng(seed)
    middles = np.eye(4, n_numbers) * 12.0
    return np.concatenate([rng.normal(size=(n_each, n_numbers)) + middle for middle in middles])


def distances(z: NDArray[np.float64], metric: Metric) -> NDArray[np.float64]:
    return np.asarray(cdist(z, z, metric), np.float64)


@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
@pytest.mark.parametrize("n_numbers", [5, 40])
def test_nearest_are_the_nearest(metric: Metric, n_numbers: int) -> None:
    z = clumps(90, n_numbers)
    neighbours, far = nearest(z, 8, metric)
    expected = distances(z, metric)
    np.fill_diagonal(expected, -1.0)
    order = np.argsort(expected, axis=1)[:, :8]
    np.testing.assert_array_equal(neighbours, order)
    np.testing.assert_allclose(
        far[:, 1:], np.take_along_axis(expected, order, axis=1)[:, 1:], atol=1e-9
    )


def test_each_point_is_its_own_first_neighbour_even_among_equal_ones() -> None:
    neighbours, far = nearest(np.zeros((30, 3)), 5, "euclidean")
    np.testing.assert_array_equal(neighbours[:, 0], np.arange(30))
    assert all(len(set(row)) == 5 for row in neighbours.tolist())
    assert not far.any()


def test_weights_of_a_point_add_up_before_both_directions_are_joined() -> None:
    # Three points in a row, each far enough from all others that links go one way only.
    z = np.random.default_rng(1).normal(size=(200, 4))
    graph = neighbour_graph(z, 10, "euclidean")
    weights = np.zeros((200, 200))
    weights[graph.edges[:, 0], graph.edges[:, 1]] = graph.weights
    np.testing.assert_array_equal(weights, weights.T)
    assert weights.max() == 1.0  # the first neighbour counts in full
    assert (weights.sum(axis=1) >= np.log2(10) - 1e-4).all()
    assert not np.diag(weights).any()


def test_equal_points_link_in_full() -> None:
    graph = neighbour_graph(np.zeros((12, 2)), 4, "euclidean")
    np.testing.assert_array_equal(graph.weights, 1.0)


def test_classes_stay_apart() -> None:
    layout = lay_out(clumps(60))
    between = distances(layout, "euclidean")
    np.fill_diagonal(between, np.inf)
    of = np.repeat(np.arange(4), 60)
    assert (of[between.argmin(axis=1)] == of).all()


def test_same_seed_gives_the_same_layout_and_another_one_another() -> None:
    z = clumps(20)
    np.testing.assert_array_equal(lay_out(z), lay_out(z))
    assert not np.array_equal(lay_out(z), lay_out(z, seed=1))


def test_features_are_left_as_they_were() -> None:
    z = clumps(20)
    kept = z.copy()
    layout = lay_out(z)
    again = layout.copy()
    lay_out(z, start=layout, sweeps=4)
    np.testing.assert_array_equal(z, kept)
    np.testing.assert_array_equal(layout, again)


def test_layout_that_goes_on_stays_where_it_was() -> None:
    z = clumps(60)
    first = lay_out(z)
    later = lay_out(z, start=first, sweeps=10)
    moved = np.linalg.norm(later - first, axis=1)
    assert np.median(moved) < 0.1 * np.ptp(first)


@pytest.mark.parametrize("n_points", [0, 1, 2, 3])
def test_few_points_are_no_error(n_points: int) -> None:
    layout = lay_out(clumps(1)[:n_points])
    assert layout.shape == (n_points, 2)
    assert np.isfinite(layout).all()


def test_one_number_and_equal_points_are_no_error() -> None:
    assert np.isfinite(lay_out(np.arange(20.0)[:, None])).all()
    layout = lay_out(np.zeros((20, 3)))
    assert np.isfinite(layout).all()
    # They link in full, and still none hides behind another.
    assert len(np.unique(layout, axis=0)) == 20


def test_features_that_are_not_numbers_are_refused() -> None:
    z = clumps(5)
    with pytest.raises(ValueError, match="earlier layout"):
        lay_out(z, start=np.zeros((3, 2)))
    z[3, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        lay_out(z)
