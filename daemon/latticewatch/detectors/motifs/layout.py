"""A picture of the features in the plane, in which neighbours lie side by side.

It shows classes and cuts them where the dose is low. It knows no classes, and has no place for a
point that was not there when it was made.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from latticewatch.kernels.relax import Forces, relax_sweep

Metric = Literal["euclidean", "correlation"]

# Both stages as published (methods/motifs.md 2.4): springs of 1/2 that unfold, then short range.
UNFOLD = Forces(1.0, 0, 1.0, 1)
CONDENSE = Forces(5.0, 1, 2.0, 2)
_START_REACH = 10.0
_BISECTIONS, _TOLERANCE = 100, 1e-5
# Above so many numbers a tree looks at most of the points anyway: all distances are faster.
_TREE_NUMBERS = 12
_BLOCK = 256


class Graph(NamedTuple):
    """Who is near whom.

    Attributes
    ----------
    edges : (E, 2) int32
        Both directions of each, in order of the first point.
    weights : (E,) float64
        0 to 1.
    neighbours : (N, k) int32
        Of each point, itself first.
    """

    edges: NDArray[np.int32]
    weights: NDArray[np.float64]
    neighbours: NDArray[np.int32]


def lay_out(
    z: NDArray[np.floating],
    *,
    seed: int = 48,
    k: int = 10,
    metric: Metric = "euclidean",
    start: NDArray[np.float64] | None = None,
    sweeps: int = 100,
) -> NDArray[np.float64]:
    """Lay points out in the plane by forces between neighbours and strangers.

    Parameters
    ----------
    z : (N, C)
        Features, finite; the layout starts from the first two.
    seed
        The same one gives the same layout. Orientation and mirror mean nothing.
    k
        Neighbours of each point, itself among them; 2 or more.
    metric
        "correlation" takes no notice of level and scale of a point's features.
    start : (N, 2), optional
        An earlier layout of these points, from which the second stage alone goes on: a few sweeps
        (10 to 20) are enough then.
    sweeps
        Of both stages together.

    Returns
    -------
    (N, 2)
        Coordinates without unit.

    Raises
    ------
    ValueError
        A feature is not finite, or `start` does not fit.

    Notes
    -----
    Forces and stages of ForceGraph8 (Dan et al.); the same statistics, not the same coordinates.
    2500 points of 5 features take 0.7 s on one thread.
    """
    features = np.ascontiguousarray(z, np.float64)
    if not np.isfinite(features).all():
        raise ValueError("features must be finite")
    if start is not None and (start.shape != (len(z), 2) or not np.isfinite(start).all()):
        raise ValueError(f"an earlier layout must be ({len(z)}, 2) and finite: {start.shape}")
    layout = _first_layout(features, seed) if start is None else np.array(start, np.float64)
    if len(z) < 2:
        return layout
    graph = neighbour_graph(features, k, metric)
    state = _random_state(seed)
    stages = (UNFOLD, CONDENSE) if start is None else (CONDENSE,)
    for stage in stages:
        n_sweeps = sweeps // len(stages)
        for sweep in range(n_sweeps):
            # The second sweep is as long as the first, as published.
            forces = (stage, 1.0 - max(sweep - 1, 0) / n_sweeps)
            relax_sweep(layout, graph.edges, graph.weights, graph.neighbours, forces, state)
    return layout


def neighbour_graph(z: NDArray[np.float64], k: int, metric: Metric) -> Graph:
    """Link each point with its nearest ones, by weights that fall with the distance.

    Parameters
    ----------
    z : (N, C)
        Finite; N >= 2.
    k
        Neighbours, the point itself among them; 2 or more, N at most.
    metric
        As for `lay_out`.

    Returns
    -------
    Graph

    Notes
    -----
    Weights as in UMAP (McInnes et al., arXiv:1802.03426): exp(-b max(d - d_1, 0)), b so that those
    of a point add up to log2 k; a + b - a b of both directions.
    """
    k = min(max(k, 2), len(z))
    neighbours, distances = nearest(z, k, metric)
    directed = _weights(distances[:, 1:], float(np.log2(k)))
    heads = np.repeat(np.arange(len(z)), k - 1)
    given = (directed.ravel(), (heads, neighbours[:, 1:].ravel()))
    one_way = sparse.csr_array(given, shape=(len(z), len(z)))
    other_way = one_way.T.tocsr()
    both = sparse.coo_array(one_way + other_way - one_way * other_way)
    edges = np.stack([both.row, both.col], axis=-1).astype(np.int32)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    return Graph(np.ascontiguousarray(edges[order]), both.data[order], neighbours.astype(np.int32))


def nearest(
    z: NDArray[np.float64], k: int, metric: Metric
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find the nearest points of each point, itself first.

    Parameters
    ----------
    z : (N, C)
        Finite.
    k
        At most N, itself included.
    metric
        As for `lay_out`.

    Returns
    -------
    (N, k), (N, k)
        Who, and how far: for "correlation" 1 - r, of a point whose features are all equal 1 to any.
    """
    if metric == "correlation":
        z = z - z.mean(axis=1, keepdims=True)
        length = np.linalg.norm(z, axis=1, keepdims=True)
        z = np.divide(z, length, out=np.zeros_like(z), where=length > 1e-12)
    found = _by_tree(z, k) if z.shape[1] <= _TREE_NUMBERS else _by_blocks(z, k)
    distances, neighbours = _itself_first(*found)
    if metric == "correlation":
        distances = 0.5 * distances**2
    return neighbours, distances


def _first_layout(z: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    layout = np.zeros((len(z), 2))
    layout[:, : z.shape[1]] = z[:, :2]
    reach = float(np.abs(layout).max(initial=0.0))
    if reach > 0:
        layout *= _START_REACH / reach
    # Points that coincide would never part: no direction to be pushed in.
    layout += np.random.default_rng(seed).normal(scale=1e-4, size=layout.shape)
    return layout


def _random_state(seed: int) -> NDArray[np.uint32]:
    # Each of the three registers has its least seed.
    words = np.random.SeedSequence(seed).generate_state(3)
    return np.maximum(words, np.array([2, 8, 16], np.uint32))


def _by_tree(z: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    distances, neighbours = cKDTree(z).query(z, k=np.arange(1, k + 1))
    return distances, neighbours


def _by_blocks(z: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    neighbours = np.empty((len(z), k), np.intp)
    distances = np.empty((len(z), k))
    squares = (z * z).sum(axis=1)
    for begin in range(0, len(z), _BLOCK):
        block = z[begin : begin + _BLOCK]
        # Less the square of the point itself, which does not change the order.
        gaps = squares - 2.0 * (block @ z.T)
        who = np.argpartition(gaps, k - 1, axis=1)[:, :k]
        exact = np.linalg.norm(z[who] - block[:, None], axis=-1)
        order = np.argsort(exact, axis=1, kind="stable")
        neighbours[begin : begin + _BLOCK] = np.take_along_axis(who, order, axis=1)
        distances[begin : begin + _BLOCK] = np.take_along_axis(exact, order, axis=1)
    return distances, neighbours


def _itself_first(
    distances: NDArray[np.float64], neighbours: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Move each point to the front of its row; of many equal ones it may even be missing."""
    own = neighbours == np.arange(len(neighbours))[:, None]
    at = np.where(own.any(axis=1), own.argmax(axis=1), neighbours.shape[1] - 1)
    rest = np.arange(neighbours.shape[1]) != at[:, None]
    n_rest = neighbours.shape[1] - 1
    who = neighbours[rest].reshape(-1, n_rest)
    far = distances[rest].reshape(-1, n_rest)
    return (
        np.column_stack([np.zeros(len(far)), far]),
        np.column_stack([np.arange(len(who)), who]),
    )


def _weights(distances: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """Weights of neighbours, nearest first, that add up to a total in each row."""
    gaps = np.maximum(distances - distances[:, :1], 0.0)
    # In units of the row, so that a bracket can be told beforehand.
    scale = gaps.mean(axis=1, keepdims=True)
    gaps = np.divide(gaps, scale, out=np.zeros_like(gaps), where=scale > 0)
    low, high = np.zeros((len(gaps), 1)), np.full((len(gaps), 1), 1e4)
    weights: NDArray[np.float64] = np.exp(-gaps)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        weights = np.exp(-middle * gaps)
        excess = weights.sum(axis=1, keepdims=True) - total
        if (np.abs(excess) < _TOLERANCE).all():
            break
        low, high = np.where(excess > 0, middle, low), np.where(excess > 0, high, middle)
    return weights
