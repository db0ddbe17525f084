"""Medians, peaks and indexed weights are those of the definition."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from latticewatch.kernels.peaks import N_PEAK, band_peaks, group_medians, indexed_weight
from reference import peaks as slow

POWERS = st.one_of(st.integers(0, 4).map(float), st.floats(0.0, 100.0, width=32))


@st.composite
def bands(draw: st.DrawFn) -> NDArray[np.float32]:
    """Half planes of an odd number of rows, whose column gx = 0 is symmetric."""
    n_rows, n_columns = 2 * draw(st.integers(0, 5)) + 1, draw(st.integers(1, 8))
    band: NDArray[np.float32] = draw(
        arrays(np.float32, (n_rows, n_columns), elements=POWERS, fill=st.nothing())
    )
    band[n_rows // 2 + 1 :, 0] = band[: n_rows // 2, 0][::-1]
    return band


def peaks_of(band: NDArray[np.float32], floor: float, reach: int) -> NDArray[np.float64]:
    out = np.full((band.size, N_PEAK), np.nan)
    return out[: band_peaks(band, floor, reach, out)]


@given(
    arrays(np.float32, st.integers(1, 60), elements=st.floats(-1e3, 1e3, width=32)),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
)
def test_medians_agree_with_the_definition(
    values: NDArray[np.float32], n_groups: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    label = rng.integers(-1, n_groups, len(values))
    groups = [np.flatnonzero(label == group).tolist() for group in range(n_groups)]
    order = np.array([member for group in groups for member in group], np.int32)
    ends = np.cumsum([len(group) for group in groups]).astype(np.int64)
    found = np.full(n_groups, np.nan, np.float32)

    group_medians(values, order, ends, np.empty(len(order), np.float32), found)

    np.testing.assert_array_equal(found, slow.group_medians(values, groups))


@given(bands(), st.floats(0.0, 50.0), st.integers(1, 3))
def test_peaks_agree_with_the_definition(
    band: NDArray[np.float32], floor: float, reach: int
) -> None:
    found = peaks_of(band, floor, reach)

    np.testing.assert_allclose(
        found, np.array(slow.band_peaks(band, floor, reach)).reshape(-1, N_PEAK), atol=1e-5
    )


def test_a_full_list_leaves_peaks_out() -> None:
    band = np.zeros((21, 21), np.float32)
    band[3, 3] = band[10, 10] = band[17, 17] = 9.0
    out = np.empty((2, N_PEAK))

    assert band_peaks(band, 1.0, 3, out) == 2
    np.testing.assert_array_equal(out, [[-7.0, 3.0, 9.0], [0.0, 10.0, 9.0]])


def test_peak_beside_the_middle_column_is_listed_once() -> None:
    band = np.zeros((21, 9), np.float32)
    # Between gx = 0 and 1: in the other half it is seen once more, mirrored.
    band[15, 0] = band[5, 0] = 5.0
    band[15, 1] = 7.0

    np.testing.assert_allclose(peaks_of(band, 1.0, 3), [[5.0, 7.0 / 12.0, 7.0]], atol=1e-6)


BINS = st.floats(-0.2, 0.2)


@given(
    arrays(np.float64, (2, 2), elements=BINS),
    arrays(np.float64, st.tuples(st.integers(0, 12), st.just(2)), elements=BINS),
    st.floats(0.001, 0.05),
    st.integers(1, 6),
)
def test_indexed_weight_agrees_with_the_definition(
    basis: NDArray[np.float64], peaks: NDArray[np.float64], tolerance: float, highest: int
) -> None:
    # By hand: of numbers near the smallest there are, the library's determinant warns.
    assume(abs(basis[0, 0] * basis[1, 1] - basis[0, 1] * basis[1, 0]) > 1e-4)
    index = peaks @ np.linalg.inv(basis)
    miss = np.linalg.norm((index - np.floor(index + 0.5)) @ basis, axis=1)
    # What lies on a limit may fall to either side of it.
    assume((np.abs(miss - tolerance) > 1e-9).all())
    assume((np.abs(index - np.floor(index) - 0.5) > 1e-9).all())
    weight = np.arange(1.0, len(peaks) + 1)
    found = np.empty(1)

    indexed_weight(basis[None], peaks, weight, tolerance, highest, found)

    expected = slow.indexed_weight(basis, peaks, weight, tolerance, highest)
    assert found[0] == pytest.approx(expected)
