"""Stored pixels become wire pixels of the same meaning."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from latticewatch.adapters.recorded import conversion_attrs, wire_pixels
from latticewatch.wire.frames import ITEM_BYTES

STORED = ["?", "u1", "<u2", ">u2", "<u4", ">u4", "<i2", ">i2", "<i4", ">i4"]
STORED_FLOATS = ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8"]
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)
IMAGES = st.sampled_from(STORED).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))
FLOAT_IMAGES = st.sampled_from(STORED_FLOATS).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


@given(IMAGES)
def test_integers_keep_their_values_but_for_the_stated_offset(image: NDArray[Any]) -> None:
    pixels = wire_pixels(image)
    offset = conversion_attrs(image).get("added_to_pixels", 0)
    assert isinstance(offset, int)
    np.testing.assert_array_equal(pixels.astype(object), image.astype(object) + offset)


@given(FLOAT_IMAGES)
def test_floats_keep_their_values_in_float32(image: NDArray[Any]) -> None:
    with np.errstate(over="ignore"):
        expected = image.astype("<f4")
    np.testing.assert_array_equal(wire_pixels(image), expected, strict=True)


@given(st.one_of(IMAGES, FLOAT_IMAGES))
def test_the_result_may_be_sent(image: NDArray[Any]) -> None:
    for view in (image, image[::-1], image.T):
        pixels = wire_pixels(view)
        assert pixels.dtype.str.lstrip("|") in ITEM_BYTES
        assert pixels.flags.c_contiguous
        assert pixels.shape == view.shape


@pytest.mark.parametrize("dtype", ["<i2", "<i4"])
def test_without_negative_values_zero_stays_zero(dtype: str) -> None:
    pixels = wire_pixels(np.array([[0, 7]], dtype=dtype))
    np.testing.assert_array_equal(pixels, [[0, 7]])
    assert pixels.dtype.kind == "u"


@pytest.mark.parametrize(
    ("dtype", "lowest", "offset"),
    [("i2", -1, 1), ("i2", -2, 2), ("i2", -3, 4), ("i2", -(2**15), 2**15), ("i4", -(2**31), 2**31)],
)
def test_the_offset_is_the_least_power_of_two_that_helps(
    dtype: str, lowest: int, offset: int
) -> None:
    image = np.array([[lowest, 0, np.iinfo(dtype).max]], dtype=dtype)
    assert conversion_attrs(image)["added_to_pixels"] == offset
    assert wire_pixels(image).tolist() == [[lowest + offset, offset, np.iinfo(dtype).max + offset]]


def test_neighbouring_counts_stay_apart_in_float32() -> None:
    pixels = wire_pixels(np.array([[-2, 1, 2]], dtype=np.int32))
    assert np.unique(pixels.astype(np.float32)).size == 3


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<u4", "<f4"])
def test_wire_types_pass_without_a_copy(dtype: str) -> None:
    image = np.zeros((16, 16), dtype=dtype)
    assert np.shares_memory(wire_pixels(image), image)
    assert conversion_attrs(image) == {}


def test_what_was_changed_is_said() -> None:
    assert conversion_attrs(np.zeros((2, 2), dtype="<f8")) == {"stored_type": "float64"}
    assert conversion_attrs(np.zeros((2, 2), dtype=bool)) == {"stored_type": "bool"}


@pytest.mark.parametrize(
    ("dtype", "values", "travel_as"),
    [
        ("<i8", [0, 2**32 - 1], [0, 2**32 - 1]),
        (">i8", [-3, 7], [1, 11]),
        ("<i8", [-(2**31), 2**31 - 1], [0, 2**32 - 1]),
        (">u8", [1, 2**32 - 1], [1, 2**32 - 1]),
    ],
)
def test_64_bits_travel_as_32_where_they_fit(
    dtype: str, values: list[int], travel_as: list[int]
) -> None:
    pixels = wire_pixels(np.array([values], dtype))
    assert pixels.dtype == np.dtype("<u4")
    assert pixels.tolist() == [travel_as]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [("i8", [0, 2**32]), ("i8", [-1, 2**31]), ("u8", [2**63]), ("i8", [-(2**63)])],
)
def test_64_bits_that_do_not_fit_are_refused(dtype: str, values: list[int]) -> None:
    with pytest.raises(ValueError, match="fit neither int32 nor uint32"):
        wire_pixels(np.array([values], dtype))


def test_what_float32_cannot_hold_becomes_infinite_without_a_warning() -> None:
    assert wire_pixels(np.array([[1e300]]))[0, 0] == np.inf


@pytest.mark.parametrize("dtype", ["i1", "c8", "c16"])
def test_other_types_are_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        wire_pixels(np.zeros((2, 2), dtype=dtype))
