"""What latticewatch.kernels.waves computes, spelled out in double precision."""

import itertools

import numpy as np
from numpy.typing import NDArray

Place = tuple[int, int]


def block_wave(
    image: NDArray[np.float32], wave_per_px: tuple[float, float], step: int
) -> NDArray[np.complex128]:
    """Mean of image(r) exp(-2 pi i g.r) over each whole block."""
    n_rows, n_columns = (side // step for side in image.shape)
    y, x = np.indices(image.shape)
    turns = wave_per_px[0] * y + wave_per_px[1] * x
    product = image.astype(np.float64) * np.exp(-2j * np.pi * turns)
    whole = product[: n_rows * step, : n_columns * step]
    blocks = whole.reshape(n_rows, step, n_columns, step)
    means: NDArray[np.complex128] = blocks.mean(axis=(1, 3))
    return means


def level_wave(
    level: NDArray[np.float32], wave_per_px: tuple[float, float], step: int
) -> NDArray[np.complex128]:
    """Wave of a frame that is constant in each block."""
    frame = np.kron(level, np.ones((step, step))).astype(np.float32)
    return block_wave(frame, wave_per_px, step)


def neighbours(place: Place, shape: tuple[int, ...]) -> list[Place]:
    """Return the four pixels beside one, less those outside."""
    y, x = place
    beside = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return [(v, u) for v, u in beside if 0 <= v < shape[0] and 0 <= u < shape[1]]


def order_of_reach(quality: NDArray[np.float32]) -> list[Place]:
    """Places from the best one outwards, always the best of those beside the reached ones.

    Of places equally good the order is open: `quality` must not hold the same number twice.
    """
    places = list(np.ndindex(quality.shape))
    reached = [max(places, key=lambda place: float(quality[place]))]
    while len(reached) < len(places):
        beside = {other for place in reached for other in neighbours(place, quality.shape)}
        reached.append(max(beside - set(reached), key=lambda place: float(quality[place])))
    return reached


def whole_turns_apart(
    one: NDArray[np.float32] | NDArray[np.float64], two: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how far the difference of two phases is from a whole number, pixel by pixel."""
    apart = one.astype(np.float64) - two
    return np.abs(apart - np.round(apart))


def has_no_singularity(turns: NDArray[np.float32]) -> bool:
    """Tell whether the shortest steps round each square of neighbours add up to nothing."""

    def step(one: Place, other: Place) -> float:
        apart = np.float32(turns[other] - turns[one])
        return float(apart - np.floor(apart + np.float32(0.5)))

    for y, x in np.ndindex(turns.shape[0] - 1, turns.shape[1] - 1):
        round_it = [(y, x), (y, x + 1), (y + 1, x + 1), (y + 1, x), (y, x)]
        steps = [step(one, other) for one, other in itertools.pairwise(round_it)]
        if abs(sum(steps)) > 0.5:
            return False
    return True
