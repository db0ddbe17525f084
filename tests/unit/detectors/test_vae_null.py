"""p-values of frames on their own scale mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.detectors.vae.null import NullLaw, deviations, fit_null, p_values

LAW = NullLaw(width=1.0, counted=2.3, n_values=1000)


def largest_of(rng: np.random.Generator, n_sites: int, n_pixels: int = 60) -> NDArray[np.float64]:
    """Largest of many residuals at each site: what the detector's scores are."""
    largest: NDArray[np.float64] = np.abs(rng.normal(size=(n_sites, n_pixels))).max(axis=1)
    return largest


def test_rates_of_new_frames_are_the_wanted_ones() -> None:
    rng = np.random.default_rng(4)
    law = fit_null([largest_of(rng, 2000) for _ in range(2)])
    p_value = np.concatenate([p_values(k * largest_of(rng, 2000), law)[0] for k in (0.5, 1, 2, 7)])
    for wanted, factor in ((0.01, 1.5), (0.05, 1.25)):
        assert wanted / factor < np.mean(p_value < wanted) < wanted * factor


def test_law_of_many_defects_is_not_theirs() -> None:
    rng = np.random.default_rng(9)
    scores = largest_of(rng, 3000)
    scores[:300] *= np.linspace(1, 5, 300)
    assert 0.9 <= fit_null([scores]).width <= 1.15


def test_a_few_defects_among_the_calibration_sites_change_little() -> None:
    rng = np.random.default_rng(5)
    scores = largest_of(rng, 3000)
    clean = fit_null([scores])
    scores[:30] *= 4
    assert fit_null([scores]).width == pytest.approx(clean.width, rel=0.1)


def test_defects_of_a_frame_hide_no_others() -> None:
    rng = np.random.default_rng(6)
    law = fit_null([largest_of(rng, 3000)])
    scores = largest_of(rng, 1000)
    scores[:100] *= 3
    p_value, tail = p_values(scores, law)
    assert (p_value[:100] < 1e-4).all()
    assert tail[:100].all()
    assert np.mean(p_value[100:] < 0.05) < 0.075


@given(st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_gain_changes_nothing(gain: float, seed: int) -> None:
    scores = largest_of(np.random.default_rng(seed), 50)
    np.testing.assert_allclose(p_values(gain * scores, LAW)[0], p_values(scores, LAW)[0], rtol=1e-6)


def test_stranger_is_less_likely() -> None:
    scores = np.sort(largest_of(np.random.default_rng(7), 300))
    p_value, _ = p_values(scores, LAW)
    assert (np.diff(p_value) <= 0).all()


def test_unscored_sites_stay_so() -> None:
    scores = largest_of(np.random.default_rng(8), 100)
    scores[3], scores[4] = np.nan, 0.0
    p_value, tail = p_values(scores, LAW)
    assert np.isnan(p_value[3])
    assert not tail[3]
    assert p_value[4] == 1.0


@pytest.mark.parametrize(
    "scores", [np.ones(300), np.zeros(300), np.arange(1.0, 20.0), np.full(300, np.nan), np.empty(0)]
)
def test_too_few_or_equal_scores_have_no_scale(scores: NDArray[np.float64]) -> None:
    away = deviations(scores)
    assert len(away) == len(scores)
    assert not np.isfinite(away).any()
    with pytest.raises(ValueError, match="calibrate nothing"):
        fit_null([scores])


def test_no_frame_calibrates_nothing() -> None:
    with pytest.raises(ValueError, match="0 scores calibrate nothing"):
        fit_null([])
