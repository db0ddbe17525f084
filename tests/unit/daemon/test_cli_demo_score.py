import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.daemon.demo_score import (
    RECENT_LATENCIES,
    Tally,
    Truth,
    judge,
    match_places,
    percentile,
)

SHAPE = (200, 300)
PERIOD_PX = 20.0
TOLERANCE_PX = 5.0


def places(*pairs: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(pairs, np.float64).reshape(-1, 2)


def truth_at(*pairs: tuple[float, float]) -> Truth:
    return Truth(pixel_yx=places(*pairs), kinds=("vacancy",) * len(pairs), period_px=PERIOD_PX)


def test_two_published_defects_share_no_hidden_one() -> None:
    partner = match_places(places((50, 50), (51, 50)), places((50, 50)), TOLERANCE_PX)

    assert partner.tolist() == [0, -1]


def test_as_many_pairs_as_possible_even_where_the_nearest_first_would_give_fewer() -> None:
    # The first published place is nearest to the second hidden one, which the other needs.
    partner = match_places(places((0, 0), (0, 7)), places((0, -4), (0, 3)), TOLERANCE_PX)

    assert partner.tolist() == [0, 1]


def test_a_place_beyond_the_tolerance_is_false() -> None:
    assert match_places(places((50, 55.1)), places((50, 50)), TOLERANCE_PX).tolist() == [-1]


def test_nothing_against_nothing_is_nothing() -> None:
    verdict = judge(places(), truth_at(), SHAPE)

    assert (verdict.n_true, verdict.n_false, verdict.n_hidden, verdict.n_recalled) == (0, 0, 0, 0)


def test_a_pair_that_straddles_the_margin_is_neither_false_nor_missed() -> None:
    # The margin is 15 px: the hidden one lies outside what is asked for, the published one inside.
    verdict = judge(places((100, 16)), truth_at((100, 14)), SHAPE)

    assert (verdict.n_true, verdict.n_false, verdict.n_hidden, verdict.n_recalled) == (1, 0, 0, 0)


def test_a_miss_and_a_false_one_are_counted_apart() -> None:
    verdict = judge(places((100, 100), (60, 60)), truth_at((101, 101), (150, 150)), SHAPE)

    assert (verdict.n_true, verdict.n_false, verdict.n_hidden, verdict.n_recalled) == (1, 1, 2, 1)


_COORDINATE = st.floats(0, 100)
_PLACES = st.lists(st.tuples(_COORDINATE, _COORDINATE), max_size=8)


@given(_PLACES, _PLACES)
def test_matching_is_one_to_one_and_within_the_tolerance(
    found: list[tuple[float, float]], hidden: list[tuple[float, float]]
) -> None:
    partner = match_places(places(*found), places(*hidden), TOLERANCE_PX)

    matched = partner[partner >= 0]
    assert len(set(matched.tolist())) == len(matched)
    for row in np.flatnonzero(partner >= 0):
        distance = np.linalg.norm(places(*found)[row] - places(*hidden)[partner[row]])
        assert distance <= TOLERANCE_PX


def test_the_first_second_counts_as_events_and_not_as_latency() -> None:
    tally = Tally(settle_ns=1_000)
    tally.add_event(received_ns=10_000, sent_ns=0, dropped=3, missing=0)
    tally.add_event(received_ns=11_000, sent_ns=10_000, dropped=1, missing=0)

    assert tally.n_events == 2
    assert tally.n_dropped == 4
    assert tally.n_dropped_settled == 1
    assert tally.latencies_ms == [pytest.approx(0.001)]


def test_the_live_latency_is_that_of_the_last_frames_and_the_final_one_of_all() -> None:
    tally = Tally(settle_ns=-1_000_000_000)  # all are settled
    for latency_ns in [80_000_000] * 2 * RECENT_LATENCIES + [20_000_000] * RECENT_LATENCIES:
        tally.add_event(received_ns=latency_ns, sent_ns=0, dropped=0, missing=0)

    assert tally.recent_latency_ms(0.99) == 20.0
    assert tally.latency_ms(0.5) == 80.0


def test_the_live_latency_leaves_out_the_first_second_once_it_can() -> None:
    tally = Tally(settle_ns=1_000_000_000)
    tally.add_event(received_ns=900_000_000, sent_ns=0, dropped=0, missing=0)
    assert tally.recent_latency_ms(0.5) == 900.0

    tally.add_event(received_ns=2_000_000_000, sent_ns=1_990_000_000, dropped=0, missing=0)
    assert tally.recent_latency_ms(0.99) == 10.0


def test_shares_of_nothing_are_unknown() -> None:
    tally = Tally()

    assert tally.precision is None
    assert tally.recall is None
    assert tally.latency_ms(0.5) is None
    assert tally.recent_latency_ms(0.5) is None


def test_a_high_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([1.0, 2.0, 100.0], 0.99) == 100.0
