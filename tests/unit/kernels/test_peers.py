"""Places are grouped and dropped as defined."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.peers import group_near, keep_peers
from reference import peers as slow

Wide = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(0, 60)
RINGS = np.array([(0.6, np.inf, np.inf, 0.3), (1.8, 0.25, 0.5, 0.3), (3.2, 0.0, 0.2, 0.3)])


def scattered(seed: int, n_places: int) -> Wide:
    """Draw places of which most have a few others within one."""
    return np.random.default_rng(seed).uniform(0.0, 1.5 * np.sqrt(n_places + 1), (n_places, 2))


def grouped(places: Wide, reach_px: float) -> list[int]:
    out = np.full(len(places), -1, np.int64)
    n_groups = group_near(places, reach_px, out)
    assert n_groups == len(set(out.tolist()))
    return [int(group) for group in out]


@given(SEEDS, COUNTS, st.floats(0.1, 3.0))
def test_groups_agree_with_the_definition(seed: int, n_places: int, reach_px: float) -> None:
    places = scattered(seed, n_places)
    assert grouped(places, reach_px) == slow.groups(places, reach_px)


def test_chain_that_meets_in_its_middle_is_one_group() -> None:
    places = np.array([[0.0, 0.0], [0.0, 4.0], [0.0, 3.0], [0.0, 1.0], [0.0, 2.0], [9.0, 9.0]])
    assert grouped(places, 1.0) == [0, 0, 0, 0, 0, 1]


def test_place_that_is_no_number_stands_alone() -> None:
    assert grouped(np.array([[0.0, 0.0], [np.nan, 0.0], [0.0, 0.5]]), 1.0) == [0, 1, 0]


@given(SEEDS, COUNTS)
def test_what_stays_agrees_with_the_definition(seed: int, n_places: int) -> None:
    rng = np.random.default_rng(seed)
    places, is_moved = scattered(seed, n_places), rng.random(n_places) < 0.5
    scores = np.sort(rng.uniform(0.0, 20.0, n_places))[::-1].copy()
    kept = np.zeros(n_places, np.bool_)
    keep_peers(places, scores, is_moved, RINGS, kept)
    assert kept.tolist() == slow.kept(places, scores, is_moved, RINGS)


def test_what_is_dropped_drops_nothing() -> None:
    places = np.array([[0.0, 0.0], [0.0, 1.5], [0.0, 3.3]])
    scores, moved = np.array([20.0, 4.0, 0.9]), np.zeros(3, np.bool_)
    kept = np.zeros(3, np.bool_)
    keep_peers(places, scores, moved, RINGS, kept)
    assert kept.tolist() == [True, False, True]
