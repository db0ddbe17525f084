"""Columns are matched and fitted as defined, found where they stand, and explained away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.column_fit import fit_column, move_column
from latticewatch.kernels.columns import N_MATCHES, correlate_columns, match_columns
from reference import columns as slow
from support.images import random_image

Image = NDArray[np.float32]
Wide = NDArray[np.float64]
Column = tuple[float, float, float]
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 40)
SIGMAS = st.floats(1.0, 4.0)
PLACES = st.floats(-30.0, 60.0)
OUTSIDE = [np.nan, np.inf, -np.inf, 1e300, -1e300, 2.0**62, -(2.0**63), -500.0, 500.0]
SHAPE = (48, 52)


def noisy(seed: int, shape: tuple[int, int]) -> tuple[Image, Image]:
    """Draw a weighted residual and a precision."""
    rng = np.random.default_rng(seed)
    precision = rng.uniform(0.5, 2.0, shape).astype(np.float32)
    return rng.normal(size=shape).astype(np.float32), precision


def matched(weighted: Image, precision: Image, places: list[list[float]], sigma_px: float) -> Wide:
    out = np.full((len(places), N_MATCHES), np.nan)
    match_columns(weighted, precision, np.array(places, np.float64), sigma_px, out)
    return out


def statistics(weighted: Image, precision: Image, place: list[float], sigma_px: float) -> Wide:
    found = matched(weighted, precision, [place], sigma_px)[0]
    ratios: Wide = found[:3] / np.sqrt(found[3:])
    return ratios


def fitted(
    residual: Image, precision: Image, site: Column, sigma_px: float, farthest_px: float = 6.0
) -> Wide:
    out = np.full(6, np.nan)
    fit_column(residual, precision, site, sigma_px, farthest_px, out)
    return out


def difference(before: Column, after: Column, sigma_px: float) -> Image:
    """Residual of a frame where a column is other than the model says."""
    drawn = [column[0] * slow.bell(SHAPE, column[1:], sigma_px) for column in (after, before)]
    return np.asarray(drawn[0] - drawn[1], np.float32)


@given(SEEDS, st.tuples(SIDES, SIDES), PLACES, PLACES, SIGMAS)
def test_matches_agree_with_the_definition(
    seed: int, shape: tuple[int, int], y: float, x: float, sigma_px: float
) -> None:
    weighted, precision = noisy(seed, shape)
    found = matched(weighted, precision, [[y, x]], sigma_px)[0]
    expected = slow.match_column(weighted, precision, (y, x), sigma_px)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@given(SEEDS, st.tuples(SIDES, SIDES), st.lists(st.tuples(PLACES, PLACES), max_size=5), SIGMAS)
def test_correlations_alone_are_those_of_the_matches(
    seed: int, shape: tuple[int, int], places: list[tuple[float, float]], sigma_px: float
) -> None:
    weighted, precision = noisy(seed, shape)
    where = np.array(places, np.float64).reshape(-1, 2)
    out = np.full((len(where), N_MATCHES), -7.0)
    correlate_columns(weighted, where, sigma_px, out)
    both = np.empty_like(out)
    match_columns(weighted, precision, where, sigma_px, both)
    np.testing.assert_array_equal(out[:, :3], both[:, :3])
    assert (out[:, 3:] == -7.0).all()


@pytest.mark.parametrize("outside", OUTSIDE)
def test_place_outside_the_frame_matches_nothing(outside: float) -> None:
    weighted, precision = noisy(1, SHAPE)
    places = [[outside, 20.0], [20.0, outside], [outside, outside], [20.0, 20.0]]
    found = matched(weighted, precision, places, 2.0)
    assert not found[:3].any()
    np.testing.assert_array_equal(found[3:], matched(weighted, precision, [[20.0, 20.0]], 2.0))


def test_nan_spoils_the_sites_whose_window_holds_it_only() -> None:
    weighted, precision = noisy(2, SHAPE)
    weighted[20, 20] = np.nan
    found = matched(weighted, precision, [[20.0, 20.0], [20.0, 40.0]], 2.0)
    assert np.isnan(found[0, :3]).all()
    assert np.isfinite(found[1]).all()


def test_statistics_of_noise_are_standard_normal() -> None:
    rng = np.random.default_rng(3)
    precision = rng.uniform(0.2, 5.0, (600, 600)).astype(np.float32)
    weighted = (rng.normal(size=precision.shape) * np.sqrt(precision)).astype(np.float32)
    places = (16 + 16 * np.indices((35, 35)).reshape(2, -1).T).astype(np.float64)
    found = matched(weighted, precision, places.tolist(), 2.0)
    z = found[:, :3] / np.sqrt(found[:, 3:])
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=0.1)
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.08)


def test_column_moved_along_y_shows_in_the_second_statistic() -> None:
    residual = difference((10.0, 24.0, 26.0), (10.0, 24.3, 26.0), 2.0)
    z = statistics(residual, np.ones_like(residual), [24.0, 26.0], 2.0)
    assert z[1] > 10 * max(abs(z[0]), abs(z[2]))


@given(
    SEEDS,
    st.floats(1.2, 3.0),
    st.floats(0.5, 2.0),
    st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8)),
)
def test_fit_agrees_with_the_definition(
    seed: int, sigma_px: float, ratio: float, step_yx: tuple[float, float]
) -> None:
    site = (30.0, 24.3, 25.6)
    noise, precision = noisy(seed, SHAPE)
    moved = (30.0 * ratio, 24.3 + step_yx[0], 25.6 + step_yx[1])
    residual = difference(site, moved, sigma_px) + noise
    found = fitted(residual, precision, site, sigma_px)
    expected = slow.fit_column(residual, precision, site, sigma_px)
    np.testing.assert_allclose(found[:3], expected, rtol=1e-3, atol=2e-3)
    column = (float(found[0]), float(found[1]), float(found[2]))
    (yy, yx), (_, xx) = slow.place_covariance(precision, site, column, sigma_px)
    np.testing.assert_allclose(found[3:], [yy, yx, xx], rtol=1e-6)


@given(st.floats(1.2, 3.0), st.floats(0.4, 3.0), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_shifted_column_of_other_intensity_is_found(
    sigma_px: float, ratio: float, step_y: float, step_x: float
) -> None:
    site, moved = (30.0, 24.3, 25.6), (30.0 * ratio, 24.3 + step_y, 25.6 + step_x)
    residual = difference(site, moved, sigma_px)
    found = fitted(residual, np.ones_like(residual), site, sigma_px)
    np.testing.assert_allclose(found[:3], moved, rtol=1e-3, atol=1e-3)


@given(SEEDS, st.floats(1.2, 3.0), st.floats(-1.0, 0.1))
def test_column_all_but_gone_is_fitted_at_its_site(
    seed: int, sigma_px: float, ratio: float
) -> None:
    site = (30.0, 24.3, 25.6)
    noise, precision = noisy(seed, SHAPE)
    residual = difference(site, (30.0 * ratio, *site[1:]), sigma_px) + noise * np.float32(0.1)
    found = fitted(residual, precision, site, sigma_px)
    assert found[1:3].tolist() == [24.3, 25.6]
    expected = slow.fit_intensity(residual, precision, site, sigma_px)
    assert found[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("moved_px", [0.0, 1.5])
def test_covariance_is_that_of_the_scatter(moved_px: float) -> None:
    rng = np.random.default_rng(4)
    site, precision = (30.0, 24.3, 25.6), np.full(SHAPE, 0.25, np.float32)
    moved = difference(site, (30.0, 24.3 + moved_px, 25.6), 2.0)
    fits = np.array(
        [
            fitted(moved + rng.normal(0.0, 2.0, SHAPE).astype(np.float32), precision, site, 2.0)
            for _ in range(400)
        ]
    )
    ratio = fits[:, 1:3].var(axis=0) / fits[:, [3, 5]].mean(axis=0)
    # Of 400 a variance is known to 7 %.
    assert (ratio > 0.8).all()
    assert (ratio < 1.25).all()
    assert abs(np.cov(fits[:, 1:3].T)[0, 1]) < 0.2 * fits[:, 3].mean()


@given(SEEDS, st.tuples(SIDES, SIDES), PLACES, PLACES, st.floats(0.1, 3.0))
def test_fit_stays_near_its_site_whatever_it_sees(
    seed: int, shape: tuple[int, int], y: float, x: float, farthest_px: float
) -> None:
    residual, precision = noisy(seed, shape)
    found = fitted(residual * np.float32(30), precision, (5.0, y, x), 2.0, farthest_px)
    assert np.hypot(found[1] - y, found[2] - x) <= farthest_px + 1e-9
    assert found[0] >= -2.5
    assert not np.isnan(found).any()


@pytest.mark.parametrize("outside", OUTSIDE)
def test_column_outside_the_frame_keeps_its_place_with_infinite_variance(outside: float) -> None:
    residual, precision = noisy(5, SHAPE)
    found = fitted(residual, precision, (5.0, outside, 20.0), 2.0)
    np.testing.assert_array_equal(found, [5.0, outside, 20.0, np.inf, 0.0, np.inf])


@given(SEEDS, st.tuples(SIDES, SIDES), PLACES, PLACES, st.tuples(PLACES, PLACES), SIGMAS)
def test_what_is_taken_out_agrees_with_the_definition(
    seed: int,
    shape: tuple[int, int],
    y: float,
    x: float,
    to_yx: tuple[float, float],
    sigma_px: float,
) -> None:
    weighted, precision = noisy(seed, shape)
    residual, before, after = weighted / precision, (5.0, y, x), (8.0, *to_yx)
    expected = slow.move_column(before, after, sigma_px, precision, residual)
    left, left_weighted = residual.copy(), weighted.copy()
    move_column(before, after, sigma_px, precision, left, left_weighted)
    np.testing.assert_allclose(residual - left, expected[0], atol=2e-5)
    np.testing.assert_allclose(weighted - left_weighted, expected[1], atol=2e-5)


@pytest.mark.parametrize("outside", OUTSIDE)
def test_column_moved_outside_the_frame_changes_nothing(outside: float) -> None:
    residual, precision = noisy(6, SHAPE)
    expected = residual.copy()
    column = (5.0, outside, 20.0)
    move_column(column, column, 2.0, precision, residual, residual)
    np.testing.assert_array_equal(residual, expected)


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(0.0, 3.0))
def test_explained_column_matches_nothing_more(step_y: float, step_x: float, ratio: float) -> None:
    before, after = (30.0, 24.3, 25.6), (30.0 * ratio, 24.3 + step_y, 25.6 + step_x)
    residual, precision = difference(before, after, 2.0), np.full(SHAPE, 4.0, np.float32)
    weighted = residual * precision
    move_column(before, after, 2.0, precision, residual, weighted)
    z = statistics(weighted, precision, [24.3, 25.6], 2.0)
    # A column of height 30 over noise of 1/2 is worth 200.
    np.testing.assert_allclose(z, 0.0, atol=0.05)


def test_moving_there_and_back_is_no_move() -> None:
    residual, precision = noisy(7, SHAPE)
    weighted = residual * precision
    expected = residual.copy(), weighted.copy()
    before, after = (30.0, 24.3, 25.6), (11.0, 23.9, 26.1)
    move_column(before, after, 2.0, precision, residual, weighted)
    move_column(after, before, 2.0, precision, residual, weighted)
    np.testing.assert_allclose(residual, expected[0], atol=1e-5)
    np.testing.assert_allclose(weighted, expected[1], atol=1e-5)


def test_sites_do_not_depend_on_their_order() -> None:
    weighted, precision = noisy(8, SHAPE)
    places = (random_image(9, (20, 2)) * 10 + 24).astype(np.float64).tolist()
    forth = matched(weighted, precision, places, 2.0)
    np.testing.assert_array_equal(forth, matched(weighted, precision, places[::-1], 2.0)[::-1])
