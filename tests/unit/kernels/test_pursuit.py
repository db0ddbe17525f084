"""The strangest column is explained first, and what it explains is nobody else's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from latticewatch.kernels.columns import N_MATCHES, match_columns
from latticewatch.kernels.pursuit import (
    N_CHANGE,
    judge_columns,
    log_three_squares,
    log_two_sided,
    pursue,
)
from reference import pursuit as slow
from reference.columns import bell

Wide = NDArray[np.float64]
Frame = NDArray[np.float32]
Scene = tuple[tuple[Frame, Frame, Frame], tuple[Wide, Wide, Wide, Wide]]
SEEDS = st.integers(0, 2**32 - 1)
SIGMA_PX = 2.0
LENGTHS_PX = (SIGMA_PX, 4.0, 12.0)
WORTH = float(np.log(0.01))
SHAPE = (80, 90)
HEIGHT = 12.0
# Columns 6 px apart: windows of neighbours overlap.
PLACES = np.stack(np.meshgrid(np.arange(9.0, 70, 6), np.arange(9.0, 80, 6)), -1).reshape(-1, 2)


def scene(seed: int, changed: dict[int, float], noise: float = 1.0) -> Scene:
    """Draw a residual of noise in which some columns have so many times their intensity."""
    rng = np.random.default_rng(seed)
    residual = rng.normal(size=SHAPE) * noise
    for site, ratio in changed.items():
        y, x = PLACES[site]
        residual += (ratio - 1) * HEIGHT * bell(SHAPE, (y, x), SIGMA_PX)
    precision = np.ones(SHAPE, np.float32)
    frame = residual.astype(np.float32), precision, residual.astype(np.float32)
    sums = np.empty((len(PLACES), N_MATCHES))
    match_columns(frame[2], precision, PLACES, SIGMA_PX, sums)
    columns = np.column_stack([np.full(len(PLACES), HEIGHT), PLACES])
    normal = np.tile([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0], (len(PLACES), 1))
    log_share = np.tile(np.log([0.6, 0.4]), (len(PLACES), 1))
    return frame, (columns, sums, normal, log_share)


def pursued(one: Scene, most: int = 50) -> Wide:
    frame, sites = one
    judged = np.empty((len(PLACES), 5))
    judge_columns(*sites[1:], WORTH, judged)
    out = np.full((most, N_CHANGE), np.nan)
    n_changes = pursue(frame, sites, LENGTHS_PX, WORTH, judged, out)
    assert np.isnan(out[n_changes:]).all()
    return out[:n_changes]


@given(st.floats(-1e3, 1e3))
def test_chance_of_a_normal_number_is_that_of_the_law(z: float) -> None:
    expected = np.log(2) + stats.norm.logsf(abs(z))
    assert log_two_sided(z) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.floats(0.0, 1e6))
def test_chance_of_three_squares_is_that_of_the_law(x: float) -> None:
    expected = float(slow.log_three_squares(np.array(x)))
    assert log_three_squares(x) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    if x < 500:  # SciPy's own law ends where the chance is no longer a float
        assert expected == pytest.approx(stats.chi2.logsf(x, 3), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("chance", [log_two_sided, log_three_squares])
def test_what_is_no_number_has_no_chance_and_no_distance_a_chance_of_one(chance: object) -> None:
    assert callable(chance)
    assert np.isnan(chance(np.nan))
    assert chance(0.0) == 0.0


def statistics(seed: int, spread: float) -> tuple[Wide, Wide, Wide]:
    rng = np.random.default_rng(seed)
    sums = np.concatenate([rng.normal(0, spread, (9, 3)), rng.uniform(0.1, 50, (9, 3))], axis=1)
    laws = rng.normal(size=(9, 3)), rng.uniform(0.5, 2, (9, 3)), rng.uniform(0, 0.4, (9, 1))
    normal = np.concatenate(laws, axis=1)
    return sums, normal, np.log(rng.uniform(0.01, 1, (9, 2)))


@given(SEEDS)
def test_judgement_agrees_with_the_definition(seed: int) -> None:
    found, out = statistics(seed, 30.0), np.empty((9, 5))
    judge_columns(*found, np.inf, out)
    np.testing.assert_allclose(out, slow.judged(*found), rtol=1e-6, atol=1e-9)


@given(SEEDS, st.floats(0.1, 10.0), st.floats(-20.0, 0.0))
def test_what_is_likely_enough_is_known_by_a_bound_on_the_same_side(
    seed: int, spread: float, worth: float
) -> None:
    found, out = statistics(seed, spread), np.empty((9, 5))
    judge_columns(*found, worth, out)
    exact = slow.judged(*found)
    likely = out[:, 3:] > worth
    np.testing.assert_array_equal(likely, exact[:, 3:] > worth)
    assert (out[:, 3:] <= exact[:, 3:] + 1e-9).all()
    np.testing.assert_allclose(out[:, 3:][~likely], exact[:, 3:][~likely], rtol=1e-6, atol=1e-9)


@given(SEEDS, st.dictionaries(st.integers(0, len(PLACES) - 1), st.floats(0.0, 3.0), max_size=12))
def test_pursuit_agrees_with_the_definition(seed: int, changed: dict[int, float]) -> None:
    found = pursued(scene(seed, changed))
    frame, sites = scene(seed, changed)
    expected = slow.pursued(frame, sites, LENGTHS_PX, WORTH, 50)
    assert found[:, 0].tolist() == [change[0] for change in expected]
    exact = np.reshape(expected, (-1, N_CHANGE))
    likely = found[:, 1:3] > WORTH  # of which a bound is enough
    np.testing.assert_array_equal(likely, exact[:, 1:3] > WORTH)
    found[:, 1:3][likely] = exact[:, 1:3][likely]
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-9)


def test_missing_column_takes_its_neighbours_with_it() -> None:
    one = scene(1, {30: 0.0}, noise=0.1)
    # Judged each by itself several sites are strange.
    judged = slow.judged(*one[1][1:])
    assert np.count_nonzero(judged[:, 3:].min(axis=1) < WORTH) > 4

    found = pursued(one)

    assert found[0, 0] == 30
    assert found[0, 4] == pytest.approx(0.0, abs=0.3)
    assert np.abs(one[0][0]).max() < 1.0  # of 12
    np.testing.assert_allclose(one[0][0], one[0][2], atol=1e-5)


def test_frame_of_noise_is_left_alone() -> None:
    one = scene(2, {}, noise=0.0)
    assert not len(pursued(one))


def test_no_more_changes_than_there_is_room_for() -> None:
    found = pursued(scene(3, dict.fromkeys((0, 20, 40, 60), 0.0)), most=2)
    assert len(found) == 2


@pytest.mark.parametrize("z", [-4.0, -3.0, 3.0, 4.0])
@pytest.mark.parametrize("n_counts", [60, 400])
def test_chance_of_skewed_counts_is_that_of_counts(z: float, n_counts: int) -> None:
    # A gamma law has the tails of counts without their steps; its skewness is 2 / sqrt(n).
    law = stats.gamma(n_counts)
    place = n_counts + z * np.sqrt(n_counts)
    chance = 2 * (law.cdf(place) if z < 0 else law.sf(place))
    sums = np.array([[z, 0.0, 0.0, 1.0, 1.0, 1.0]])
    normal = np.array([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2 / np.sqrt(n_counts)]])
    judged = np.empty((1, 5))
    judge_columns(sums, normal, np.zeros((1, 2)), 0.0, judged)
    assert judged[0, 3] == pytest.approx(np.log(chance), abs=0.15)
    # An even law is wrong by more than that.
    assert abs(stats.norm.logsf(abs(z)) + np.log(2) - np.log(chance)) > 0.25
