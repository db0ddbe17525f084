"""What latticewatch.kernels.relax computes, spelled out."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.relax import N_STRANGERS, Forces

BITS = 0xFFFFFFFF


def next_random(state: list[int]) -> int:
    """taus88 of L'Ecuyer, in whole numbers of any size cut back to 32 bits; changes the state."""
    a, b, c = state
    a = ((a & 0xFFFFFFFE) << 12 & BITS) ^ (((a << 13 & BITS) ^ a) >> 19)
    b = ((b & 0xFFFFFFF8) << 4 & BITS) ^ (((b << 2 & BITS) ^ b) >> 25)
    c = ((c & 0xFFFFFFF0) << 17 & BITS) ^ (((c << 3 & BITS) ^ c) >> 11)
    state[:] = [a, b, c]
    return a ^ b ^ c


def step(gap: NDArray[np.float64], strength: float, half_power: int) -> NDArray[np.float64]:
    """Force along the line between two points, cut off at 4 along each axis."""
    distance = float(np.sqrt((gap * gap).sum()))
    return np.clip(gap * strength / (distance ** (2 * half_power) + 1), -4, 4)


def relax_sweep(
    layout_yx: NDArray[np.float64],
    edges: NDArray[np.int32],
    weights: NDArray[np.float64],
    neighbours: NDArray[np.int32],
    forces: tuple[Forces, float],
    state: NDArray[np.uint32],
) -> tuple[NDArray[np.float64], list[int]]:
    """Layout after one sweep, and the generator's state."""
    force, rate = forces
    layout, bits = layout_yx.copy(), [int(word) for word in state]
    for (head, tail), weight in zip(edges, weights, strict=True):
        pull = step(layout[tail] - layout[head], force.attraction, force.attraction_half_power)
        layout[head] += pull * rate * weight
        layout[tail] -= pull * rate * weight
        for _ in range(N_STRANGERS):
            stranger = next_random(bits) * len(layout) >> 32
            if stranger in neighbours[head]:
                continue
            push = step(
                layout[head] - layout[stranger], force.repulsion, force.repulsion_half_power
            )
            layout[head] += push * rate
            layout[stranger] -= push * rate
    return layout, bits
