"""Populations are told apart where there are two, and never invented where there is one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.detectors.patterson.mixture import split_populations

RATIOS = arrays(np.float64, st.integers(0, 300), elements=st.floats(0.0, 5.0))


def normal(seed: int, n: int, mean: float = 1.0, spread: float = 0.05) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, spread, n)


@pytest.mark.parametrize("spread", [0.005, 0.02, 0.08, 0.2])
@pytest.mark.parametrize("n", [200, 2000])
def test_one_species_has_one_population_at_any_dose(spread: float, n: int) -> None:
    for seed in range(5):
        assert len(split_populations(normal(seed, n, spread=spread)).populations) == 1


def test_skewed_intensities_are_no_second_species() -> None:
    for seed in range(5):
        ratio = np.random.default_rng(seed).gamma(100.0, 0.01, 2000)
        assert len(split_populations(ratio).populations) == 1


@pytest.mark.parametrize("share", [0.02, 0.09, 0.3])
def test_minority_is_found_with_its_ratio_and_share(share: float) -> None:
    n_minor = round(2000 * share)
    ratio = np.concatenate([normal(1, 2000 - n_minor), normal(2, n_minor, 1.42, 0.06)])

    split = split_populations(ratio)

    assert len(split.populations) == 2
    assert split.populations[1].ratio == pytest.approx(1.42, abs=0.03)
    assert split.populations[1].share == pytest.approx(share, abs=0.005)
    assert (split.species[-n_minor:] == 1).mean() > 0.98
    assert (split.species[:-n_minor] == 0).mean() > 0.999
    assert split.probability.min() > 0.3


def test_dark_columns_are_vacancies_and_no_species() -> None:
    ratio = np.concatenate([normal(1, 1000), normal(2, 20, 0.7), [0.2, 0.0]])

    split = split_populations(ratio)

    assert len(split.populations) == 1
    assert (split.species[1000:] == -1).mean() > 0.9
    assert (split.species[:1000] == 0).mean() > 0.997


def test_single_dark_column_is_a_vacancy_without_a_class_of_its_own() -> None:
    assert split_populations(np.append(normal(1, 1000), 0.4)).species[-1] == -1


def test_few_bright_columns_are_defects_and_no_species() -> None:
    split = split_populations(np.append(normal(1, 1000), [1.6, 1.7, 1.65]))
    assert len(split.populations) == 1
    assert (split.species == 0).all()


def test_three_species_are_three_populations() -> None:
    ratio = np.concatenate([normal(1, 1500), normal(2, 200, 1.35), normal(3, 100, 2.0)])
    assert [round(p.ratio, 1) for p in split_populations(ratio).populations] == [1.0, 1.4, 2.0]


def test_split_is_the_same_on_every_run() -> None:
    ratio = np.concatenate([normal(1, 900), normal(2, 90, 1.4)])
    one, other = split_populations(ratio), split_populations(ratio.copy())
    assert one.populations == other.populations
    assert np.array_equal(one.probability, other.probability)


@given(RATIOS)
def test_any_intensities_are_split(ratio: NDArray[np.float64]) -> None:
    split = split_populations(ratio)
    assert len(split.species) == len(ratio)
    assert np.isfinite(split.probability).all()
    assert ((split.probability >= 0) & (split.probability <= 1 + 1e-9)).all()
    assert set(split.species.tolist()) <= {-1, *range(len(split.populations))}


def test_equal_and_no_intensities_are_one_population() -> None:
    hardly_apart = np.zeros(60)
    hardly_apart[::7] = 5e-324
    for ratio in (np.ones(100), np.zeros(0), np.ones(3), hardly_apart):
        assert len(split_populations(ratio).populations) == 1
