"""Points of the plane that neighbours pull together and others push apart."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel

N_STRANGERS = 10
"""Points that push at each edge."""
_LONGEST_STEP = 4.0


class Forces(NamedTuple):
    """Forces of one stage of the layout; d is the distance of two points.

    Attributes
    ----------
    attraction, repulsion : float
        Strengths: delta attraction / (d^2p + 1) and delta repulsion / (d^2q + 1).
    attraction_half_power, repulsion_half_power : int
        p and q.
    """

    attraction: float
    attraction_half_power: int
    repulsion: float
    repulsion_half_power: int


@kernel
def next_random(state: NDArray[np.uint32]) -> np.uint32:
    """Draw 32 random bits, by three linked shift registers.

    Parameters
    ----------
    state : (3,)
        Changed in place; seeds of at least 2, 8 and 16.

    Notes
    -----
    L'Ecuyer, Math. Comp. 65, 203 (1996): taus88.
    """
    a, b, c = state[0], state[1], state[2]
    # Each step is cut back to 32 bits: numba counts on in 64.
    a = np.uint32((a & np.uint32(0xFFFFFFFE)) << np.uint32(12)) ^ np.uint32(
        np.uint32((a << np.uint32(13)) ^ a) >> np.uint32(19)
    )
    b = np.uint32((b & np.uint32(0xFFFFFFF8)) << np.uint32(4)) ^ np.uint32(
        np.uint32((b << np.uint32(2)) ^ b) >> np.uint32(25)
    )
    c = np.uint32((c & np.uint32(0xFFFFFFF0)) << np.uint32(17)) ^ np.uint32(
        np.uint32((c << np.uint32(3)) ^ c) >> np.uint32(11)
    )
    state[0], state[1], state[2] = a, b, c
    return np.uint32(a ^ b ^ c)


@kernel
def _power(square: float, half_power: int) -> float:
    power = 1.0
    for _ in range(half_power):
        power *= square
    return power


@kernel
def _clip(step: float) -> float:
    return min(max(step, -_LONGEST_STEP), _LONGEST_STEP)


@kernel
def _is_among(node: np.int32, neighbours: NDArray[np.int32]) -> np.bool_:
    # No early way out: a branch that is rarely taken costs more than to look at all ten.
    n_equal = np.int32(0)
    for k in range(len(neighbours)):
        n_equal = np.int32(n_equal + np.int32(neighbours[k] == node))
    return n_equal > 0


@kernel
def relax_sweep(
    layout_yx: NDArray[np.float64],
    edges: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    forces: tuple[Forces, float],
    state: NDArray[np.uint32],
) -> None:
    """Move both points of every edge together, and the first of them and some others apart.

    Parameters
    ----------
    layout_yx : (N, 2)
        Changed in place, edge by edge.
    edges : (E, 2)
        Rows of two points; usually both directions of each.
    weights : (E,)
        How much of the attraction counts.
    neighbours : (N, k)
        Points that never push a point, itself among them.
    forces
        Of the stage, and the share of a step that is made.
    state : (3,)
        Of `next_random`; changed in place. The same state gives the same layout.

    Notes
    -----
    At each edge `N_STRANGERS` random points push and are pushed. No coordinate is moved by more
    than 4 times the share at once. As ForceGraph8 of Dan et al. (methods/motifs.md 2.4); that both
    points move by each force is seen in the published layouts, whose middle stays in place.
    """
    force, rate = forces
    n_points = np.uint64(len(layout_yx))
    for edge in range(len(edges)):
        head, tail = edges[edge, 0], edges[edge, 1]
        y, x = layout_yx[head, 0], layout_yx[head, 1]
        down, right = layout_yx[tail, 0] - y, layout_yx[tail, 1] - x
        square = down * down + right * right
        pull = force.attraction / (_power(square, force.attraction_half_power) + 1.0)
        share = rate * weights[edge]
        down, right = _clip(down * pull) * share, _clip(right * pull) * share
        layout_yx[tail, 0] -= down
        layout_yx[tail, 1] -= right
        y += down
        x += right
        friends = neighbours[head]
        for _ in range(N_STRANGERS):
            stranger = np.int32((np.uint64(next_random(state)) * n_points) >> np.uint64(32))
            if _is_among(stranger, friends):
                continue
            down, right = y - layout_yx[stranger, 0], x - layout_yx[stranger, 1]
            square = down * down + right * right
            push = force.repulsion / (_power(square, force.repulsion_half_power) + 1.0)
            down, right = _clip(down * push) * rate, _clip(right * push) * rate
            layout_yx[stranger, 0] -= down
            layout_yx[stranger, 1] -= right
            y += down
            x += right
        layout_yx[head, 0], layout_yx[head, 1] = y, x
