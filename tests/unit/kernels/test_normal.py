"""What is normal is learnt from columns of which some are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.normal import (
    N_NORMAL,
    column_statistics,
    column_strangeness,
    learn_normal,
    median,
    share_normal,
)
from latticewatch.kernels.smooth import gaussian_weights
from reference import normal as slow

Wide = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
EDGE = (20, 1.15)


def learnt(raw: Wide, counts: list[int], near_edge: NDArray[np.bool_]) -> tuple[Wide, Wide]:
    scale, normal = np.empty(3), np.full((raw.shape[1], N_NORMAL), np.nan)
    learn_normal(raw, np.cumsum(counts), near_edge, EDGE, scale, normal)
    return scale, normal[:, :6]


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200))
def test_median_is_that_of_numpy(values: list[float]) -> None:
    assert median(np.array(values)) == pytest.approx(
        float(np.median(values)), rel=1e-12, abs=1e-300
    )


@given(arrays(np.float64, st.integers(1, 120), elements=st.sampled_from([0.0, 1.0, 2.0])))
def test_median_of_equal_numbers_is_found(values: Wide) -> None:
    assert median(values.copy()) == np.median(values)


def test_median_of_sorted_numbers_is_found_either_way() -> None:
    values = np.arange(1001.0)
    assert median(values.copy()) == 500.0
    assert median(values[::-1].copy()) == 500.0


def test_median_of_what_is_no_number_ends() -> None:
    median(np.full(50, np.nan))


@given(SEEDS, st.lists(st.integers(13, 90), min_size=1, max_size=4), st.floats(0.0, 1.0))
def test_law_agrees_with_the_definition(seed: int, counts: list[int], edge: float) -> None:
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts)), counts)
    raw = rng.normal(size=(3, len(label))) * rng.uniform(0.5, 2.0, len(counts))[label]
    near_edge = rng.random(len(label)) < edge
    scale, normal = learnt(raw, counts, near_edge)
    expected = slow.learn_normal(raw, label, near_edge, *EDGE)
    np.testing.assert_allclose(scale, expected[0], rtol=1e-3)
    np.testing.assert_allclose(normal, expected[1], rtol=1e-3, atol=1e-9)


def test_defects_are_no_part_of_the_noise() -> None:
    raw = np.random.default_rng(1).normal(size=(3, 20000))
    raw[:, ::33] += 9.0
    _, normal = learnt(raw, [20000], np.zeros(20000, np.bool_))
    np.testing.assert_allclose(normal[0, 3:], 1.0, atol=0.02)
    # The median distance, which would have been taken before, is 3 % too wide.
    assert np.median(np.abs(raw[0])) / 0.6745 > 1.025


def test_kind_that_is_not_certainly_noisier_is_as_noisy_as_all() -> None:
    rng = np.random.default_rng(2)
    widths = []
    for _ in range(200):
        _, normal = learnt(rng.normal(size=(3, 400)), [200, 200], np.zeros(400, np.bool_))
        widths.append(normal[::200, 3:])
    # The larger of two estimates from 200 numbers each would be 3 % too wide, on average.
    assert 1.0 < np.mean(widths) < 1.04
    raw = rng.normal(size=(3, 400))
    raw[:, 200:] *= 3.0
    _, normal = learnt(raw, [200, 200], np.zeros(400, np.bool_))
    np.testing.assert_allclose(normal[-1, 3:], 3.0, rtol=0.2)


@given(SEEDS, st.floats(0.6, 2.5), st.floats(0.0, 0.5))
def test_shared_part_agrees_with_the_definition(seed: int, sigma: float, strange: float) -> None:
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(0, 9.99, (200, 2))
    away, strength = rng.normal(size=(3, 200)), rng.uniform(0.5, 3.0, (3, 200))
    ordinary = rng.random(200) >= strange
    out = np.full((3, 200), np.nan)
    share_normal(away, strength, ordinary, blocks, gaussian_weights(sigma), out)
    expected = slow.shared(away, strength, ordinary, blocks, sigma)
    np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-3)


def test_line_of_strange_columns_gets_back_what_the_window_took() -> None:
    # Columns one apart; the row in the middle is displaced by 8, and a window of 1.5 rows that
    # takes all columns for ordinary follows it.
    y, x = np.indices((20, 20))
    blocks = np.stack([y.ravel(), x.ravel()], axis=1).astype(np.float64) + 0.5
    follows = 8.0 * np.exp(-0.5 * ((y.ravel() - 10) / 1.5) ** 2) / (1.5 * np.sqrt(2 * np.pi))
    is_line = y.ravel() == 10
    away = np.tile(8.0 * is_line - follows, (3, 1))
    shared = np.empty_like(away)
    share_normal(away, np.ones((3, 400)), ~is_line, blocks, gaussian_weights(1.5), shared)
    left = away - shared
    assert away[0, is_line].mean() == pytest.approx(5.9, abs=0.1)
    assert left[0, is_line].mean() > 7.0
    assert np.abs(left[0, ~is_line]).max() < np.abs(away[0, ~is_line]).max()


def test_nothing_is_shared_where_nobody_has_a_say() -> None:
    away = np.ones((3, 30))
    out = np.full_like(away, np.nan)
    blocks = np.random.default_rng(3).uniform(0, 5, (30, 2))
    share_normal(away, away, np.zeros(30, np.bool_), blocks, gaussian_weights(1.5), out)
    assert not out.any()


@given(SEEDS)
def test_strangeness_is_the_sum_of_squares_in_units_of_what_is_normal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = np.concatenate([rng.normal(size=(40, 3)), rng.uniform(0.1, 9, (40, 3))], axis=1)
    normal = np.concatenate([rng.normal(size=(40, 3)), rng.uniform(0.5, 2, (40, 4))], axis=1)
    raw, out = np.empty((3, 40)), np.empty(40)
    column_statistics(sums, raw)
    np.testing.assert_allclose(raw, (sums[:, :3] / np.sqrt(sums[:, 3:])).T)
    column_strangeness(raw, normal, out)
    expected = np.square((raw.T - normal[:, :3]) / normal[:, 3:6]).sum(axis=1)
    np.testing.assert_allclose(out, expected)
