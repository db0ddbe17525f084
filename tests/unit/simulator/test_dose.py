"""Counts are Poisson numbers of the stated mean, whatever the shortcut."""

import numpy as np
import pytest
from scipy import stats

from latticewatch.simulator.dose import TOP_MEAN, detect, detector_response, poisson_tables

COUNTING = np.arange(65536).astype(np.uint16)
N_PIXELS = 400_000

# Between tables and on them, beside the largest one, and beyond it.
MEANS = [0.05, 0.3, 1.0, 2.0, 4.999, 5.0, 9.7, 23.4, 40.0, 77.7, 130.0, 199.9, 200.0]
MEANS += [255.99, 256.0, 256.3, 257.0, 511.0, 700.5, 1500.0]


def drawn(mean: float, state: int = 1) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    return detect(np.full((N_PIXELS,), mean, np.float32), COUNTING, random_state=state)


@pytest.mark.parametrize("mean", MEANS)
def test_counts_follow_the_poisson_distribution(mean: float) -> None:
    mean = float(np.float32(mean))
    counts = drawn(mean)
    # Bins of equal chance where the numbers are large, single counts where they are small.
    edges = np.unique(stats.poisson.ppf(np.linspace(0.002, 0.998, 80), mean))
    below = np.concatenate([[0.0], stats.poisson.cdf(edges, mean), [1.0]])
    observed = np.diff(
        np.concatenate([[0], np.searchsorted(np.sort(counts), edges, "right"), [N_PIXELS]])
    )
    chances = np.diff(below)
    kept = chances > 1e-9
    assert observed[~kept].sum() == 0
    result = stats.chisquare(observed[kept], N_PIXELS * chances[kept] / chances[kept].sum())
    assert result.pvalue > 1e-4


@pytest.mark.parametrize("mean", [0.05, 0.8, 6.3, 25.0, 199.0, 900.0])
def test_mean_and_variance_are_the_stated_ones(mean: float) -> None:
    counts = drawn(mean, state=7).astype(np.float64)
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / N_PIXELS))
    spread = np.sqrt((2 + 1 / mean) / N_PIXELS)
    assert counts.var() == pytest.approx(mean, rel=5 * spread)


def test_no_electrons_come_from_a_dark_pixel() -> None:
    assert not drawn(0.0).any()


def test_neighbouring_pixels_are_independent() -> None:
    counts = drawn(12.0).astype(np.float64).reshape(400, 1000) - 12.0
    for along, across in ((0, 1), (1, 0), (1, 1), (0, 2)):
        product = counts[along:, across:] * counts[: 400 - along, : 1000 - across]
        assert abs(product.mean()) < 5 * 12.0 / np.sqrt(product.size)


def test_equal_states_give_equal_counts_and_others_do_not() -> None:
    np.testing.assert_array_equal(drawn(9.0, state=3), drawn(9.0, state=3))
    assert (drawn(9.0, state=3) != drawn(9.0, state=4)).mean() > 0.8


def test_tables_reach_from_nothing_to_the_top() -> None:
    tables = poisson_tables()
    assert tables.means[0] == 0.0
    assert tables.means[-1] == TOP_MEAN
    assert np.diff(tables.means).max() < 0.6


def test_the_response_is_linear_until_it_saturates() -> None:
    response = detector_response(electron_adu=40.0, dark_adu=100.0)
    np.testing.assert_array_equal(response[:3], [100, 140, 180])
    assert response[-1] == 65535
    assert response[-3] < 65535


def test_pixels_too_bright_for_the_detector_saturate() -> None:
    response = detector_response(electron_adu=1000.0, dark_adu=0.0)
    out = detect(np.full((8, 8), 200.0, np.float32), response, random_state=1)
    assert (out == 65535).all()
