"""The knee of D(nu) is found, clamped, and doubted where there is reason to."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.patterson.fit import _machine_of
from latticewatch.detectors.patterson.nu import Decide, knee, knee_nu, separation_curve
from latticewatch.detectors.patterson.parameters import NU_GRID, NU_RANGE

GRID = np.linspace(*NU_GRID)


def clustered(n_sites: int = 500, n_strange: int = 20) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    far = 6.0 + rng.normal(size=(n_strange, 4))
    return np.concatenate([rng.normal(size=(n_sites - n_strange, 4)), far])


def trained_on(z: NDArray[np.float64]) -> Decide:
    return lambda nu: np.asarray(_machine_of(z, nu).decision_function(z))


def test_separation_curve_and_its_knee_are_reproducible() -> None:
    curves = [separation_curve(trained_on(clustered()), GRID) for _ in range(2)]

    assert np.array_equal(curves[0], curves[1])
    assert np.isfinite(curves[0]).all()
    assert knee(GRID, curves[0]) == knee(GRID, curves[1])


def test_separation_is_that_of_the_medians_of_both_sides() -> None:
    decide = trained_on(clustered())

    (value,) = separation_curve(decide, np.array([0.05]))

    decisions = decide(0.05)
    inner, outer = decisions[decisions >= 0], decisions[decisions < 0]
    assert value == np.median(inner) - np.median(outer)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_side_without_sites_is_nan_and_no_error() -> None:
    curve = separation_curve(trained_on(np.ones((30, 3))), GRID)

    assert np.isnan(curve).any()


def test_knee_is_the_point_farthest_from_the_chord() -> None:
    bent = np.array([0.0, 4.0, 5.0, 5.5, 6.0])

    assert knee(np.arange(5.0), bent) == 1
    assert knee(np.arange(5.0), -bent) == 1
    assert knee(np.arange(5.0), np.array([np.nan, 0.0, 4.0, 5.0, 5.5])) == 2


def nu_of(curve: NDArray[np.float64]) -> tuple[float, list[str]]:
    """Choose nu where D(nu) is this curve; where it is NaN, there are no outliers."""
    values = dict(zip(GRID.tolist(), curve.tolist(), strict=True))
    notes: list[str] = []

    def decide(nu: float) -> NDArray[np.float64]:
        value = values[nu]
        return np.array([1.0]) if np.isnan(value) else np.array([value, -1e-300])

    return knee_nu(decide, notes), notes


def test_nu_is_that_of_the_knee() -> None:
    nu, notes = nu_of(np.minimum(GRID, GRID[5]))

    assert nu == GRID[5]
    assert not notes


def test_knee_at_the_end_of_the_grid_warns_and_is_clamped() -> None:
    nu, notes = nu_of(GRID.copy())  # a straight line has no knee

    assert nu == NU_RANGE[0]
    assert any("end of the grid" in note for note in notes)
    assert any("clamped" in note for note in notes)


def test_curve_with_holes_warns() -> None:
    curve = np.minimum(GRID, GRID[5])
    curve[:2] = np.nan

    nu, notes = nu_of(curve)

    assert nu == GRID[5]
    assert any("undefined" in note for note in notes)


def test_curve_of_holes_takes_the_least_nu_and_warns() -> None:
    nu, notes = nu_of(np.full(len(GRID), np.nan))

    assert nu == NU_RANGE[0]
    assert any("undefined" in note for note in notes)
