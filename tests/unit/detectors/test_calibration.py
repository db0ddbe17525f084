"""A p-value means what it says, whatever the law of the score."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from latticewatch.detectors.calibration import (
    adjusted_q,
    clean_scale,
    empirical_p,
    quantile_of,
    robust_scale,
    score_of_p,
    upper_tail_p,
)
from latticewatch.detectors.fusion import bonferroni
from reference.multiplicity import naive_adjusted_q, naive_empirical_p, naive_step_up

CHANCES = st.floats(1e-12, 1.0)
NUMBERS = st.floats(-1e6, 1e6)
LAWS: dict[str, Callable[[np.random.Generator, int], NDArray[np.float64]]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "Cauchy": lambda rng, n: rng.standard_cauchy(size=n),
    "uniform": lambda rng, n: rng.random(n),
}


@pytest.mark.parametrize("law", LAWS)
def test_empirical_p_of_exchangeable_scores_is_uniform(law: str) -> None:
    """One fresh score against 99 of the same law, 4000 times: each rank is equally likely."""
    rng = np.random.default_rng(5)
    draws = LAWS[law](rng, 4000 * 100).reshape(4000, 100)

    p_values = [float(empirical_p(row[:1], np.sort(row[1:]))[0]) for row in draws]

    ranks = np.round(100 * np.array(p_values)).astype(int)
    counts = np.bincount(ranks, minlength=101)[1:]
    assert counts.sum() == 4000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_tied_scores_make_the_test_cautious_and_never_bold() -> None:
    rng = np.random.default_rng(6)
    draws = rng.integers(0, 4, (4000, 40)).astype(np.float64)

    p_values = np.array([empirical_p(row[:1], np.sort(row[1:]))[0] for row in draws])

    for level in (0.05, 0.1, 0.25, 0.5):
        assert (p_values <= level).mean() <= level + 3 * math.sqrt(level / 4000)


@given(st.lists(NUMBERS, max_size=12), st.lists(st.integers(-3, 3).map(float), max_size=12))
def test_empirical_p_agrees_with_the_definition(
    values: list[float], reference: list[float]
) -> None:
    found = empirical_p(np.array(values), np.sort(np.array(reference)))

    assert found.tolist() == [naive_empirical_p(value, reference) for value in values]


def test_unscored_site_has_no_p_value() -> None:
    assert np.isnan(empirical_p(np.array([np.nan]), np.array([1.0, 2.0]))[0])


@given(st.lists(CHANCES, min_size=1, max_size=25))
def test_adjusted_q_agrees_with_the_definition(p_values: list[float]) -> None:
    found = adjusted_q(np.array(p_values))

    assert np.allclose(found, naive_adjusted_q(p_values), rtol=1e-12, atol=0)


@given(st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.04, 0.3, 1.0]), max_size=15))
def test_places_below_the_rate_are_those_of_the_step_up_rule(p_values: list[float]) -> None:
    # Rates at which no k q / n equals one of these p-values: there, rounding would decide.
    for rate in (0.01373, 0.04791, 0.21131):
        listed = adjusted_q(np.array(p_values)) <= rate
        assert listed.tolist() == naive_step_up(p_values, rate)


@given(st.lists(CHANCES, min_size=1, max_size=10), st.integers(0, 50))
def test_smallest_of_many_tests_are_adjusted_for_all(p_values: list[float], n_more: int) -> None:
    whole = naive_adjusted_q([*p_values, *[1.0] * n_more])

    found = adjusted_q(np.array(p_values), len(p_values) + n_more)

    assert np.allclose(found, whole[: len(p_values)], rtol=1e-12, atol=0)


def test_no_test_has_no_q() -> None:
    assert adjusted_q(np.empty(0), 400).shape == (0,)


def test_false_discoveries_stay_below_the_rate() -> None:
    """50 real effects among 500 sites, 200 frames: the mean share of false ones is the rate's."""
    rng = np.random.default_rng(7)
    shares = []
    for _ in range(200):
        z = rng.normal(size=500)
        z[:50] += 4.0
        listed = adjusted_q(upper_tail_p(z)) <= 0.1
        n_listed, n_false = int(listed.sum()), int(listed[50:].sum())
        shares.append(n_false / max(n_listed, 1))

    assert np.mean(shares) < 0.1


@given(NUMBERS, st.floats(1e-3, 1e3))
def test_robust_scale_moves_with_its_data(shift: float, factor: float) -> None:
    values = np.random.default_rng(2).normal(size=400)
    centre, scale = robust_scale(values)

    moved_centre, moved_scale = robust_scale(factor * values + shift)

    assert moved_centre == pytest.approx(factor * centre + shift, rel=1e-6, abs=1e-6)
    assert moved_scale == pytest.approx(factor * scale, rel=1e-4, abs=1e-9 * abs(shift))


def test_robust_scale_of_a_normal_law_is_its_own() -> None:
    values = np.random.default_rng(3).normal(5.0, 2.0, 20_000)

    centre, scale = robust_scale(values)

    assert centre == pytest.approx(5.0, abs=0.05)
    assert scale == pytest.approx(2.0, rel=0.04)


def test_one_site_in_ten_may_be_a_defect_before_the_scale_moves_much() -> None:
    values = np.random.default_rng(4).normal(size=5000)
    values[:500] = 100.0

    centre, scale = robust_scale(values)

    assert abs(centre) < 0.25
    assert 0.9 < scale < 1.5


def test_leaning_law_does_not_look_narrower_than_its_strange_side() -> None:
    values = np.random.default_rng(5).exponential(size=20_000)

    centre, scale = robust_scale(values)

    assert scale >= (np.quantile(values, 0.75) - centre) / 0.6745 - 1e-9


@pytest.mark.parametrize("values", [[3.0], [3.0] * 50, [0.0, 0.0, 0.0, 1.0]])
def test_scale_is_never_zero(values: list[float]) -> None:
    assert robust_scale(np.array(values))[1] > 0


@given(st.floats(0.0, 1.0))
@example(1.0)
@example(0.0)
def test_score_of_any_chance_is_a_number_that_the_wire_carries(p_value: float) -> None:
    score = score_of_p(p_value)

    assert math.isfinite(score)
    assert score <= 38.0


@given(CHANCES, CHANCES)
def test_smaller_chance_never_scores_less(one: float, other: float) -> None:
    low, high = sorted([one, other])

    assert score_of_p(low) >= score_of_p(high)


@given(st.floats(-30.0, 30.0))
def test_tail_chance_is_a_chance(z: float) -> None:
    (p_value,) = upper_tail_p(np.array([z]))

    assert 0.0 < p_value <= 1.0
    assert p_value == pytest.approx(stats.norm.sf(z), rel=1e-9)


def test_bonferroni_keeps_the_false_alarm_rate_of_dependent_statistics() -> None:
    rng = np.random.default_rng(8)
    shared = rng.normal(size=20_000)
    z = np.stack([shared, 0.9 * shared + math.sqrt(0.19) * rng.normal(size=20_000)])

    fused = bonferroni(upper_tail_p(z))

    assert (fused <= 0.01).mean() <= 0.01 + 3 * math.sqrt(0.01 / 20_000)
    assert fused.max() <= 1.0


def test_site_that_one_statistic_cannot_judge_is_not_judged() -> None:
    assert np.isnan(bonferroni(np.array([[0.5], [np.nan]]))[0])


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.2])
def test_clean_scale_is_that_of_the_ordinary_ones(share: float) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(2.0, 0.5, 4000)
    values[: round(share * 4000)] += rng.uniform(5.0, 20.0, round(share * 4000))
    centre, scale = clean_scale(values)
    assert centre == pytest.approx(2.0, abs=0.05)
    assert scale == pytest.approx(0.5, rel=0.08)


def test_clean_scale_of_clean_values_is_the_robust_one() -> None:
    values = np.random.default_rng(6).normal(size=2000)
    assert clean_scale(values) == robust_scale(values)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_clean_scale_of_any_values_is_finite(values: list[float]) -> None:
    centre, scale = clean_scale(np.array(values))
    assert np.isfinite(centre)
    assert scale > 0


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from([0.0, 0.5, 0.75, 1])
)
def test_quantile_of_sorted_values_is_that_of_numpy(values: list[float], share: float) -> None:
    ordered = np.sort(np.array(values))
    expected = float(np.quantile(ordered, share))
    assert quantile_of(ordered, share) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_quantile_of_nothing_and_of_nan_is_nan() -> None:
    assert np.isnan(quantile_of(np.empty(0), 0.5))
    assert np.isnan(quantile_of(np.array([1.0, np.nan]), 0.5))
