"""What is normal is learnt as defined, and a median is the median."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.normal import (
    column_statistics,
    column_strangeness,
    learn_normal,
    median,
)
from reference import normal as slow

Wide = NDArray[np.float64]
SEEDS = st.integers(0, 2**32 - 1)
FINITE = st.floats(-1e6, 1e6)


@given(arrays(np.float64, st.integers(1, 200), elements=FINITE))
def test_median_agrees_with_the_definition(values: Wide) -> None:
    assert median(values.copy()) == np.median(values)


@given(arrays(np.float64, st.integers(1, 120), elements=st.sampled_from([0.0, 1.0, 2.0])))
def test_median_of_equal_numbers_is_found(values: Wide) -> None:
    assert median(values.copy()) == np.median(values)


def test_median_of_sorted_numbers_is_found_either_way() -> None:
    values = np.arange(1001.0)
    assert median(values.copy()) == 500.0
    assert median(values[::-1].copy()) == 500.0


def test_median_of_what_is_no_number_ends() -> None:
    median(np.full(50, np.nan))


@given(SEEDS, st.lists(st.integers(0, 40), min_size=1, max_size=4), st.floats(0.0, 1.0))
def test_law_agrees_with_the_definition(seed: int, counts: list[int], share: float) -> None:
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(counts) + 1), [*counts, 3])
    sums = np.concatenate(
        [rng.normal(0, 9, (len(label), 3)), rng.uniform(0, 4, (len(label), 3))], axis=1
    )
    near_edge = rng.random(len(label)) < share
    raw, scale = np.empty((3, len(label))), np.empty(3)
    normal, distance = np.empty((len(label), 6)), np.empty(len(label))
    column_statistics(sums, raw)
    ends = np.cumsum([*counts, 3]).astype(np.int64)
    learn_normal(raw, ends, near_edge, (5, 1.3), scale, normal)
    column_strangeness(raw, normal, distance)

    np.testing.assert_allclose(raw, slow.column_statistics(sums), rtol=1e-12)
    expected = slow.learn_normal(raw, label, near_edge, (5, 1.3))
    np.testing.assert_allclose(scale, expected[0], rtol=1e-12)
    np.testing.assert_allclose(normal, expected[1], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(distance, slow.column_strangeness(raw, normal), rtol=1e-12)
