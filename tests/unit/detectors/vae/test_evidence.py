"""Two statistics make one p-value, and so do two scorers, also where one of them has no word."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.vae.evidence import Evidence, evidence_of, together
from latticewatch.detectors.vae.null import USUAL_LAW

LAWS = (USUAL_LAW, USUAL_LAW)
NAN = float("nan")


def usual_scores(n: int = 400, seed: int = 0) -> NDArray[np.float64]:
    """Two statistics (2, N) of usual sites."""
    return np.exp(0.2 * np.random.default_rng(seed).normal(size=(2, n)))


def said(*p_value: float, tail: bool = False) -> Evidence:
    """Build the evidence of a scorer with one statistic."""
    p = np.array(p_value)
    return Evidence(p, np.full(len(p), tail), (("one", np.zeros(len(p)), p),))


def test_site_that_stands_out_has_the_smallest_p_value_and_both_parts() -> None:
    scores = usual_scores()
    scores[:, 7] *= 8.0
    evidence = evidence_of(("largest", "energy"), scores, LAWS, 1.5)
    assert int(np.argmin(evidence.p_value)) == 7
    assert evidence.p_value[7] < 1e-6
    assert evidence.tail[7]
    assert [name for name, _, _ in evidence.parts] == ["largest", "energy"]
    assert (evidence.p_value > 0).all()
    assert (evidence.p_value <= 1).all()


def test_site_without_scores_has_no_p_value_and_changes_none() -> None:
    scores = usual_scores()
    plain = evidence_of(("largest", "energy"), scores, LAWS, 1.5)
    more = np.concatenate([scores, np.full((2, 3), NAN)], axis=1)
    evidence = evidence_of(("largest", "energy"), more, LAWS, 1.5)
    assert np.isnan(evidence.p_value[-3:]).all()
    np.testing.assert_array_equal(evidence.p_value[:-3], plain.p_value)


def test_residual_of_zero_is_usual_and_its_deviation_is_a_number() -> None:
    scores = usual_scores()
    scores[:, 3] = 0.0
    evidence = evidence_of(("largest", "energy"), scores, LAWS, 1.5)
    assert evidence.p_value[3] > 0.5
    assert all(np.isfinite(z).all() for _, z, _ in evidence.parts)


def test_two_tests_cost_as_many_as_they_are_worth() -> None:
    scores = usual_scores()
    scores[:, 7] *= 3.0
    one, two = (evidence_of(("a", "b"), scores, LAWS, n).p_value[7] for n in (1.0, 2.0))
    assert two == pytest.approx(2.0 * one)


def test_smaller_p_value_of_two_scorers_counts_for_two_tests() -> None:
    both = together(said(0.01, 0.4, tail=True), said(0.3, 1e-5))
    np.testing.assert_allclose(both.p_value, [0.02, 2e-5])
    assert both.tail.tolist() == [True, False]
    assert len(both.parts) == 2


def test_site_that_the_second_scorer_has_no_word_on_keeps_what_the_first_says() -> None:
    both = together(said(0.01), said(NAN))
    np.testing.assert_allclose(both.p_value, [0.02])


def test_site_that_the_first_scorer_has_no_word_on_is_not_scored() -> None:
    both = together(said(NAN, 0.5), said(1e-9, 0.5))
    assert np.isnan(both.p_value).tolist() == [True, False]
