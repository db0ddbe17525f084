"""Scores agree with their definitions, and survive what no reference ever held."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.svm import OneClassSVM

from latticewatch.kernels.machine import (
    _exponential,
    decision,
    project,
    residual_norm,
    robust_distance,
)
from reference import machine as slow

Vectors = NDArray[np.float32]
SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(0, 140)
WIDTHS = st.integers(1, 12)
# Even on a logarithmic scale: with most of them large, nearly every sum would be 0.
GAMMAS = st.floats(-3.0, 1.0).map(lambda power: 10.0**power)


def draw(seed: int, *shape: int) -> Vectors:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def decide(
    z: Vectors, support: Vectors, dual: Vectors, gamma: float = 0.3, offset: float = 0.5
) -> Vectors:
    out = np.full(len(z), np.nan, np.float32)
    decision(z, support, dual, gamma, offset, out)
    return out


@given(SEEDS, COUNTS, WIDTHS, st.integers(1, 90))
def test_projection_agrees_with_the_definition(
    seed: int, n_sites: int, n_components: int, n_features: int
) -> None:
    features, mean = draw(seed, n_sites, n_features), draw(seed + 1, n_features)
    components = draw(seed + 2, n_components, n_features)
    z = np.full((n_sites, n_components), np.nan, np.float32)
    project(features, mean, components, z)
    np.testing.assert_allclose(z, slow.project(features, mean, components), atol=1e-4)


@given(SEEDS, COUNTS, WIDTHS, st.integers(0, 40), GAMMAS)
def test_decision_agrees_with_the_definition(
    seed: int, n_sites: int, n_components: int, n_vectors: int, gamma: float
) -> None:
    z, support = draw(seed, n_sites, n_components), draw(seed + 1, n_vectors, n_components)
    dual = np.random.default_rng(seed).uniform(0, 1, n_vectors).astype(np.float32)
    expected = slow.decision(z, support, dual, gamma, 0.5)
    np.testing.assert_allclose(decide(z, support, dual, gamma), expected, atol=1e-4)


def test_decision_agrees_with_scikit_learn() -> None:
    data = draw(1, 800, 9)
    machine = OneClassSVM(nu=0.1, gamma=0.1).fit(data)
    z = 2 * draw(2, 500, 9)
    found = decide(
        z,
        machine.support_vectors_.astype(np.float32),
        machine.dual_coef_[0].astype(np.float32),
        0.1,
        -float(machine.intercept_[0]),
    )
    np.testing.assert_allclose(found, machine.decision_function(z), atol=1e-4)


def test_exponential_is_right_over_the_whole_range() -> None:
    z = np.sqrt(np.linspace(0, 86, 2001, dtype=np.float32))[:, None]
    one = np.ones(1, np.float32)
    found = decide(z, np.zeros((1, 1), np.float32), one, 1.0, 0.0)
    exact = np.exp(-(z[:, 0].astype(np.float64) ** 2))
    # The square is rounded to float32 before the exponential: 86 half units are 5e-6.
    np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_exponential_is_right_to_one_and_a_half_units_in_the_last_place() -> None:
    exponents = -np.linspace(0, 87, 20011, dtype=np.float32)
    found = np.array([_exponential(exponent) for exponent in exponents], np.float64)
    exact = np.exp(exponents.astype(np.float64))
    last_place = np.spacing(exact.astype(np.float32)).astype(np.float64)
    # 1.03 over all of float32, 2.8 with a term less, so that a wrong coefficient is seen.
    assert np.abs((found - exact) / last_place).max() < 1.5


@given(SEEDS, st.integers(0, 139))
def test_nan_spoils_its_own_site_only(seed: int, site: int) -> None:
    z, support = draw(seed, 140, 4), draw(seed + 1, 7, 4)
    dual = np.ones(7, np.float32)
    clean = decide(z, support, dual)
    z[site, 2] = np.nan
    spoiled = decide(z, support, dual)
    assert np.isnan(spoiled[site])
    np.testing.assert_array_equal(np.delete(spoiled, site), np.delete(clean, site))


@pytest.mark.parametrize("far", [1e3, 1e30, -3e38, np.inf, -np.inf])
def test_site_however_far_away_has_a_finite_decision(far: float) -> None:
    z = np.full((1, 4), far, np.float32)
    found = decide(z, draw(1, 7, 4), np.ones(7, np.float32))
    assert found[0] == pytest.approx(-0.5, abs=1e-30)


def test_machine_without_support_vectors_gives_minus_its_offset() -> None:
    found = decide(draw(1, 3, 2), np.empty((0, 2), np.float32), np.empty(0, np.float32))
    assert found.tolist() == [-0.5, -0.5, -0.5]


def test_score_of_a_site_does_not_depend_on_its_neighbours() -> None:
    features, mean, components = draw(1, 150, 84), draw(2, 84), draw(3, 9, 84)
    support, dual = draw(4, 20, 9), np.ones(20, np.float32)
    z, alone = np.empty((150, 9), np.float32), np.empty((1, 9), np.float32)
    project(features, mean, components, z)
    scores = decide(z, support, dual)
    for site in (0, 7, 63, 64, 149):
        project(features[site : site + 1], mean, components, alone)
        np.testing.assert_array_equal(alone[0], z[site])
        assert decide(alone, support, dual)[0] == scores[site]


@given(SEEDS, COUNTS, WIDTHS, st.data())
def test_robust_distance_agrees_with_the_definition(
    seed: int, n_sites: int, n_components: int, data: st.DataObject
) -> None:
    z, median = draw(seed, n_sites, n_components), draw(seed + 1, n_components)
    mad = np.abs(draw(seed + 2, n_components)) + np.float32(0.1)
    mad[data.draw(st.integers(0, n_components - 1))] = data.draw(st.sampled_from([0.0, 1.0]))
    out = np.full(n_sites, np.nan, np.float32)
    robust_distance(z, median, mad, out)
    np.testing.assert_allclose(out, slow.robust_distance(z, median, mad), rtol=1e-4)


def test_component_that_never_varied_is_left_out_of_the_distance() -> None:
    out = np.empty(2, np.float32)
    z = np.array([[9.0, 1.4826], [np.nan, np.nan]], np.float32)
    robust_distance(z, np.zeros(2, np.float32), np.array([0.0, 1.0], np.float32), out)
    assert out[0] == pytest.approx(1.0)
    assert np.isnan(out[1])


@given(SEEDS, COUNTS, WIDTHS)
def test_residual_agrees_with_the_definition(seed: int, n_sites: int, n_components: int) -> None:
    features, mean = draw(seed, n_sites, 20), draw(seed + 1, 20)
    components = np.linalg.qr(draw(seed + 2, 20, n_components))[0].T.astype(np.float32)
    z = slow.project(features, mean, components).astype(np.float32)
    out = np.full(n_sites, np.nan, np.float32)
    residual_norm(features, mean, z, out)
    np.testing.assert_allclose(out, slow.residual_norm(features, mean, components), atol=2e-3)


def test_residual_of_what_the_components_explain_is_zero_and_of_nan_is_nan() -> None:
    components = np.eye(3, dtype=np.float32)
    features = np.array([[1.0, 2.0, 3.0], [np.nan, 0.0, 0.0]], np.float32)
    out = np.empty(2, np.float32)
    residual_norm(features, np.zeros(3, np.float32), features @ components.T, out)
    assert out[0] == 0
    assert np.isnan(out[1])
