"""The model patch lies deepest in the clean part, by the weights of the paper."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.best_patch import best_patch


def steps_between(
    clean: NDArray[np.bool_], start: tuple[int, int], corners: bool
) -> dict[int, int]:
    """Count clean tiles by their distance, slowly."""
    reached = {start: 0}
    waiting = [start]
    while waiting:
        row, column = waiting.pop(0)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                tile = (row + dy, column + dx)
                sideways = abs(dy) + abs(dx) == 1
                inside = 0 <= tile[0] < clean.shape[0] and 0 <= tile[1] < clean.shape[1]
                if tile in reached or not inside or not clean[tile] or not (sideways or corners):
                    continue
                reached[tile] = reached[(row, column)] + 1
                waiting.append(tile)
    counts: dict[int, int] = {}
    for steps in reached.values():
        counts[steps] = counts.get(steps, 0) + 1
    return counts


def by_formula(clean: NDArray[np.bool_]) -> tuple[int, int]:
    """W = sum N_i base^(1 - i) / i!, first maximum in row-major order."""
    for corners, base in ((False, 8.0), (True, 16.0)):
        weights = {}
        for row, column in np.argwhere(clean):
            counts = steps_between(clean, (int(row), int(column)), corners)
            weights[int(row), int(column)] = sum(
                counts.get(i, 0) * base ** (1 - i) / math.factorial(i) for i in range(1, 11)
            )
        if max(weights.values()) > 0:
            break
    return max(weights, key=lambda tile: weights[tile])


@given(
    hnp.arrays(
        np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.booleans()
    )
)
def test_lexicographic_choice_is_that_of_the_formula(clean: NDArray[np.bool_]) -> None:
    if clean.any():
        assert best_patch(clean) == by_formula(clean)


def test_of_equals_the_first_row_by_row_wins() -> None:
    assert best_patch(np.ones((2, 2), bool)) == (0, 0)
    assert best_patch(np.ones((1, 4), bool)) == (0, 1)


def test_corners_count_where_no_tile_has_a_neighbour_over_a_side() -> None:
    assert best_patch(np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], bool)) == (1, 1)


def test_one_clean_tile_is_the_patch_and_none_is_none() -> None:
    assert best_patch(np.array([[False, True]])) == (0, 1)
    assert best_patch(np.zeros((3, 2), bool)) is None
