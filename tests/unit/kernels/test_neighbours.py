"""Buckets find the neighbours that a search through all places finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from latticewatch.kernels.neighbours import (
    NOBODY,
    OUTSIDE,
    fill_buckets,
    group_points,
    link_places,
    make_buckets,
)
from reference import neighbours as slow

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(5, 60)


def test_marks_are_those_of_the_definition() -> None:
    assert (NOBODY, OUTSIDE) == (slow.NOBODY, slow.OUTSIDE)


@given(SEEDS, SIDES, SIDES, st.integers(1, 60), st.floats(0.5, 12.0), st.floats(0.1, 1.0))
def test_links_agree_with_a_search_through_all_places(
    seed: int, height: int, width: int, n_places: int, edge_px: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    # Quarters of a pixel, so that equal distances are equal in both.
    places = np.floor(4 * rng.uniform(0, (height - 1, width - 1), (n_places, 2))) / 4
    vectors = np.round(4 * rng.normal(0, 8, (4, 2))) / 4
    reach_px = np.ceil(8 * edge_px * share) / 8 if edge_px * share > 0.125 else edge_px
    buckets = make_buckets((height, width), max(edge_px, reach_px), n_places)
    fill_buckets(places, buckets)
    links = np.full((n_places, 4), 99, np.int32)
    link_places(places, vectors, reach_px, (height, width), buckets, links)
    expected = slow.link_places(places, vectors, reach_px, (height, width))
    for row, allowed in zip(links, expected, strict=True):
        for link, nearest in zip(row, allowed, strict=True):
            assert int(link) in nearest


@given(SEEDS, st.integers(0, 60), st.floats(0.1, 20.0), st.floats(1.0, 9.0))
def test_groups_agree_with_the_definition(
    seed: int, n_points: int, reach_px: float, edge_in_reaches: float
) -> None:
    points = np.random.default_rng(seed).uniform(0, (44, 59), (n_points, 2))
    buckets = make_buckets((45, 60), reach_px * edge_in_reaches, n_points)
    groups = np.full(n_points, -9, np.int32)

    n_groups = group_points(points, reach_px, buckets, groups)

    assert groups.tolist() == slow.group_points(points, reach_px)
    assert n_groups == len(set(groups.tolist()))


def test_a_group_is_found_where_its_mean_has_moved_to() -> None:
    # Each point pulls the mean on, out of the square in which the group began.
    steps = np.cumsum(0.9 / np.arange(1, 41))
    points = np.stack([np.full(40, 0.5), 0.9 + steps], axis=1)
    buckets = make_buckets((4, 40), 1.0, len(points))
    groups = np.empty(len(points), np.int32)

    n_groups = group_points(points, 1.0, buckets, groups)

    assert groups.tolist() == slow.group_points(points, 1.0)
    assert n_groups == 1
