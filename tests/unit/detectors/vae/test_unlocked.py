"""The default for windows without a lattice: score, tail, p-values and verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.vae.unlocked import (
    UnlockedDetector,
    UnlockedRule,
    header_of,
    kurtosis,
    rule_from,
    tail_of,
)
from support.windows_networks import network

SIDE = 32
RULE = UnlockedRule(window_px=SIDE, step_px=16, middle=0.5, spread=0.2, tail_start=1.2)


def noise(seed: int, n: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, SIDE, SIDE)).astype(np.float32)


def test_noise_scores_three_and_a_bump_more_whatever_the_gain() -> None:
    windows = noise(1, 4)
    windows[3, 10:13, 20:23] += 8.0
    scores = kurtosis(windows)
    np.testing.assert_allclose(scores[:3], 3.0, atol=0.5)
    assert scores[3] > 6.0
    np.testing.assert_allclose(kurtosis(windows * np.float32(1e-3)), scores, rtol=1e-5)
    np.testing.assert_allclose(kurtosis(-windows), scores)


def test_nothing_left_over_and_nan_have_no_score() -> None:
    windows = noise(2, 3)
    windows[0] = 0.0
    windows[1, 2, 3] = np.nan
    assert np.isnan(kurtosis(windows)).tolist() == [True, True, False]


def test_tail_is_that_of_the_law_the_scores_are_from() -> None:
    scores = np.exp(1.0 + 0.1 * np.random.default_rng(3).exponential(size=20_000))
    start, scale = tail_of(scores)
    assert start == pytest.approx(1.0 + 0.1 * np.log(5.0), abs=0.01)
    assert scale == pytest.approx(0.1, rel=0.05)
    rule = replace(RULE, tail_start=start, tail_scale=scale)
    for share in (0.1, 0.01, 0.001):
        assert (rule.p_values(scores) < share).mean() == pytest.approx(share, rel=0.25)


def test_a_few_per_cent_of_defects_move_the_tail_little() -> None:
    rng = np.random.default_rng(4)
    scores = np.exp(1.0 + 0.1 * rng.exponential(size=1000))
    spoilt = scores.copy()
    spoilt[:40] *= 20.0
    clean, moved = tail_of(scores), tail_of(spoilt)
    assert moved[0] - clean[0] < 0.05
    # The few that are defects are known to lie beyond the rest, and no further.
    assert moved[1] < 1.6 * clean[1]


def test_usual_scores_have_no_p_value_below_one_and_too_few_no_tail() -> None:
    assert RULE.p_values(np.exp([1.0, 1.2])).tolist() == [1.0, 1.0]
    assert np.isnan(RULE.p_values(np.array([np.nan]))).all()
    with pytest.raises(ValueError, match="too few"):
        tail_of(np.full(19, 3.0))


def test_windows_of_a_frame_score_as_by_themselves_and_gain_changes_nothing() -> None:
    detector = UnlockedDetector(network(SIDE, "plain"), RULE)
    frame = np.abs(noise(5, 4)).reshape(2 * SIDE, 2 * SIDE)
    verdicts = detector.score_frame(frame)
    for (y, x), score in zip(verdicts.corners_yx, verdicts.scores, strict=True):
        alone = detector.score_windows(frame[None, y : y + SIDE, x : x + SIDE])
        assert alone.scores[0] == pytest.approx(score, rel=1e-5)
    half = detector.score_frame(frame * np.float32(0.5))
    np.testing.assert_allclose(half.scores, verdicts.scores, rtol=1e-5)


def test_spoilt_and_dark_windows_are_unscored_and_no_defects() -> None:
    windows = np.abs(noise(6, 4))
    windows[1, 0, 0] = np.nan
    windows[2] = 0.0
    verdicts = UnlockedDetector(network(SIDE, "plain"), RULE).score_windows(windows)
    assert verdicts.is_scored.tolist() == [True, False, False, True]
    assert not verdicts.is_defect[1:3].any()


def test_a_rule_survives_its_header() -> None:
    assert rule_from(header_of(RULE) | {"epochs": 3}) == RULE


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("mode", "as_published"),
        ("spread", 0.0),
        ("tail_scale", float("nan")),
        ("alarm_p", 0.5),
        ("window_px", 64.0),
        ("sigma_px", "2"),
    ],
)
def test_a_header_that_no_fit_wrote_is_refused(entry: str, value: object) -> None:
    with pytest.raises(ValueError, match=entry):
        rule_from(header_of(RULE) | {entry: value})
