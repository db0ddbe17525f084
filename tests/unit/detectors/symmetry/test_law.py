"""p-values hold on distances that the law was not learned from."""

import numpy as np
import pytest

from latticewatch.detectors.symmetry.law import fit_law


def distances(n: int, seed: int) -> np.ndarray:
    return np.sqrt(np.random.default_rng(seed).chisquare(55, n))


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_as_many_clean_cells_lie_beyond_as_the_p_value_says(share: float) -> None:
    law = fit_law(distances(4000, 1), cells_per_observation=1.0)
    fresh = law.p_values(distances(100_000, 2).astype(np.float32))
    assert share / 2 < (fresh < share).mean() < 2 * share


def test_distance_of_a_p_value_has_that_p_value() -> None:
    law = fit_law(distances(2000, 3))
    for share in (0.3, 0.05, 1e-3, 1e-6):
        at = np.array([law.distance_at(share)], np.float32)
        assert law.p_values(at)[0] == pytest.approx(share, rel=0.02)


def test_p_falls_with_distance_and_is_never_zero() -> None:
    law = fit_law(distances(500, 4))
    far = law.p_values(np.geomspace(1.0, 1e6, 200).astype(np.float32))
    assert np.all(np.diff(far) <= 0)
    assert far[-1] > 0


def test_another_crystal_in_a_fifth_of_the_reference_moves_the_limit_little() -> None:
    mixed = np.concatenate([distances(2000, 5), distances(500, 6) * 5])
    assert fit_law(mixed).distance_at(1e-3) < 1.3 * fit_law(distances(2000, 5)).distance_at(1e-3)


def test_masked_stays_masked() -> None:
    assert np.isnan(fit_law(distances(500, 7)).p_values(np.array([np.nan], np.float32))).all()
