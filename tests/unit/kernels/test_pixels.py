"""Pixels of every accepted type reach the kernels as the same numbers."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.pixels import ACCEPTED, clear_nonfinite, count_pixels, native_float32
from reference import pixels as slow
from support.images import broken_images


def unaligned(pixels: NDArray[Any]) -> NDArray[Any]:
    """Copy the pixels to an odd address, as small received frames have."""
    shifted = np.frombuffer(b"\0" + pixels.tobytes(), np.uint8)[1:]
    return np.frombuffer(shifted.data, pixels.dtype).reshape(pixels.shape)


def strided(pixels: NDArray[Any]) -> NDArray[Any]:
    """Hold the pixels in every second column of a wider array, backwards."""
    wide = np.zeros((pixels.shape[0], 2 * pixels.shape[1]), pixels.dtype)
    wide[:, ::2] = pixels
    return wide[:, ::2][::-1][::-1]


def read_only(pixels: NDArray[Any]) -> NDArray[Any]:
    """Hold the pixels in bytes, as a copying receiver does."""
    return np.frombuffer(pixels.tobytes(), pixels.dtype).reshape(pixels.shape)


def test_big_endian_frame_is_read_right_after_a_read_only_native_one() -> None:
    native = read_only(np.arange(64, dtype="<u2").reshape(8, 8))
    swapped = read_only(native.astype(">u2"))
    counts = np.zeros(4, np.int64)
    sums = []
    for pixels in (native, swapped):
        image = np.empty(pixels.shape, np.float32)
        native_float32(pixels, image)
        count_pixels(image, 63.0, counts)
        assert counts.tolist() == [0, 1, 1, 63]
        sums.append(float(image.sum()))
    assert sums == [2016.0, 2016.0]


@pytest.mark.parametrize("layout", [read_only, unaligned, strided, np.asfortranarray])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", ACCEPTED)
def test_layout_and_byte_order_change_no_bit(
    code: str, order: Literal["<", ">"], layout: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    numbers = np.arange(35).reshape(5, 7) % 2 if code == "b1" else np.arange(35).reshape(5, 7)
    pixels = layout(numbers.astype(np.dtype(code).newbyteorder(order)))
    out = np.empty((5, 7), np.float32)
    native_float32(pixels, out)
    np.testing.assert_array_equal(out, numbers.astype(np.float32))


@pytest.mark.parametrize("pixel_type", ["u8", "i8", "c8", "U1", "M8[s]"])
def test_other_types_are_refused_by_name(pixel_type: str) -> None:
    pixels = np.zeros((2, 2), pixel_type)
    with pytest.raises(TypeError, match="expected one of u1, u2"):
        native_float32(pixels, np.empty((2, 2), np.float32))


def test_other_shape_is_refused_and_not_broadcast() -> None:
    with pytest.raises(ValueError, match=r"\(1, 4\).*\(4, 4\)"):
        native_float32(np.zeros((1, 4), np.uint16), np.empty((4, 4), np.float32))


def test_numbers_beyond_float32_become_infinite_without_a_warning() -> None:
    out = np.empty((1, 3), np.float32)
    native_float32(np.array([[1e300, -1e300, np.nan]]), out)
    np.testing.assert_array_equal(out, [[np.inf, -np.inf, np.nan]])


@pytest.mark.skipif(not hasattr(count_pixels, "signatures"), reason="nothing is compiled")
def test_frames_of_any_wire_type_add_no_compiled_variant() -> None:
    image, counts = np.empty((4, 4), np.float32), np.zeros(4, np.int64)
    native_float32(np.ones((4, 4), np.uint8), image)
    count_pixels(image, 0.0, counts)
    n_before = len(count_pixels.signatures)  # type: ignore[attr-defined]
    for pixel_type in ("<u2", ">u2", "<u4", "<f4"):
        native_float32(read_only(np.ones((4, 4), pixel_type)), image)
        count_pixels(image, 1.0, counts)
    assert len(count_pixels.signatures) == n_before  # type: ignore[attr-defined]


@given(broken_images(), st.sampled_from([0.0, -1.0, 2.0, 1e30, float("inf"), float("nan")]))
def test_counts_agree_with_the_definition(image: NDArray[np.float32], full_scale: float) -> None:
    counts = np.full(4, -1, np.int64)
    count_pixels(image, full_scale, counts)
    assert counts.tolist() == slow.count_pixels(image, float(np.float32(full_scale)))


@given(broken_images())
def test_cleared_image_agrees_with_the_definition(image: NDArray[np.float32]) -> None:
    expected = slow.clear_nonfinite(image, 5.0)
    n_dead = np.count_nonzero(~np.isfinite(image))
    assert clear_nonfinite(image, 5.0) == n_dead
    np.testing.assert_array_equal(image, expected)


def test_empty_image_counts_nothing() -> None:
    counts = np.full(4, -1, np.int64)
    count_pixels(np.empty((0, 3), np.float32), 1.0, counts)
    assert counts.tolist() == [0, 0, 0, 0]
