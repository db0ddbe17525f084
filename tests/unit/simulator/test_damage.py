"""Defects are as many, as far apart and of the kind that was asked for."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from latticewatch.simulator.damage import SEPARATION_PERIODS
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.settings import SimulatorError
from latticewatch.simulator.truth import Truth


def truth_of(**settings: Any) -> Truth:  # noqa: ANN401 - any setting, checked when it is built
    return Microscope(MicroscopeSettings(**settings)).truth(0)


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_defaults_harm_about_one_column_in_a_hundred(crystal: str, seed: int) -> None:
    truth = truth_of(crystal=crystal, seed=seed)
    assert 0.007 <= len(truth.kind) / truth.n_columns <= 0.014
    assert set(truth.kind) == {"vacancy", "excess", "displaced"}


@pytest.mark.parametrize("seed", range(10))
def test_the_demo_shows_six_to_ten_plain_defects_or_two_more(seed: int) -> None:
    truth = truth_of(seed=seed)
    assert 6 <= len(truth.kind) <= 12
    assert "deficit" not in truth.kind


def test_the_demo_empties_columns_of_both_sublattices() -> None:
    truth = truth_of()
    emptied = {
        part for part, kind in zip(truth.sublattice, truth.kind, strict=True) if kind == "vacancy"
    }
    assert emptied == {"Mo", "S2"}


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
def test_numbers_asked_for_are_in_view(crystal: str) -> None:
    truth = truth_of(crystal=crystal, vacancies=5, substitutions=2, displaced=3, deficits=4)
    inset = is_far_inside(truth, 1.2)
    assert Counter(np.array(truth.kind)[inset]) == Counter(
        vacancy=5, excess=2, displaced=3, deficit=4
    )


def is_far_inside(truth: Truth, periods: float) -> NDArray[np.bool_]:
    nearest_px = np.minimum(truth.pixel_yx, 511 - truth.pixel_yx).min(axis=1)
    is_far: NDArray[np.bool_] = nearest_px > periods * truth.period_px
    return is_far


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
def test_defects_keep_their_distance(crystal: str) -> None:
    truth = truth_of(crystal=crystal, vacancies=20)
    # Displaced columns have moved by a fifth of a period, all by the static disorder.
    assert pdist(truth.pixel_yx).min() > (SEPARATION_PERIODS - 0.5) * truth.period_px


def test_more_than_fit_are_refused_in_one_line() -> None:
    with pytest.raises(SimulatorError, match=r"^200 of kind vacancy: only \d+ fit .*ask for fewer"):
        truth_of(shape_yx=(200, 200), vacancies=200)


def test_a_tiny_field_has_what_fits_when_nothing_was_asked_for() -> None:
    assert len(truth_of(shape_yx=(16, 16)).kind) <= 1


def test_a_perfect_crystal_has_no_defects() -> None:
    assert truth_of(perfect=True, vacancies=4).kind == ()


def test_a_deficit_is_one_of_two_sulphur_atoms() -> None:
    truth = truth_of(vacancies=0, substitutions=0, displaced=0, deficits=6)
    assert set(truth.sublattice) == {"S2"}
    np.testing.assert_array_equal(truth.magnitude, 0.5)


def test_faint_oxygen_columns_are_left_alone() -> None:
    assert "O" not in truth_of(crystal="srtio3", vacancies=20, displaced=5).sublattice


def test_displaced_columns_move_by_the_stated_part_of_a_period() -> None:
    truth = truth_of(vacancies=0, substitutions=0, displaced=12)
    assert truth.magnitude.min() >= 0.15
    assert truth.magnitude.max() <= 0.20
