"""Extrema are those of the definition, whatever the frame holds."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.extrema import strict_extrema
from reference import extrema as slow
from support.images import COARSE, broken_images, images, random_image

Places = list[tuple[int, int]]


def find(
    image: NDArray[np.float32],
    *,
    floor: float = -np.inf,
    radius_px: int = 1,
    polarity: int = 1,
    border_px: int = 0,
) -> Places:
    out = np.empty((image.size, 2), np.int32)
    n_found = strict_extrema(image, floor, radius_px, polarity, border_px, out)
    return [(int(y), int(x)) for y, x in out[:n_found]]


@given(
    broken_images(),
    st.sampled_from([float("-inf"), 0.0, 1.0, float("inf"), float("nan")]),
    st.integers(1, 4),
    st.sampled_from([1, -1]),
    st.integers(0, 3),
)
def test_agrees_with_the_definition(
    image: NDArray[np.float32], floor: float, radius_px: int, polarity: int, border_px: int
) -> None:
    found = find(image, floor=floor, radius_px=radius_px, polarity=polarity, border_px=border_px)
    assert found == slow.strict_extrema(image, floor, radius_px, polarity, border_px)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(60, 110), st.integers(1, 6), st.integers(2, 200))
def test_agrees_on_frames_wider_than_one_stretch(
    seed: int, width: int, radius_px: int, n_levels: int
) -> None:
    levels = np.random.default_rng(seed).integers(0, n_levels, (14, width))
    image = levels.astype(np.float32)
    found = find(image, floor=0.5, radius_px=radius_px)
    assert found == slow.strict_extrema(image, 0.5, radius_px, 1, 0)


def test_dead_pixel_is_no_extremum_and_hides_none_beside_it() -> None:
    image = np.zeros((40, 70), np.float32)
    image[20, 40] = 1.0
    image[20, 41] = image[19, 40] = np.nan
    assert find(image, floor=0.5, radius_px=3) == [(20, 40)]


def test_flat_top_gives_its_first_pixel() -> None:
    image = np.zeros((9, 9), np.float32)
    image[3:5, 4:6] = 1.0
    assert find(image, floor=0.5, radius_px=2) == [(3, 4)]


def test_border_is_compared_with_but_not_reported() -> None:
    image = np.zeros((9, 9), np.float32)
    image[4, 1], image[4, 2] = 2.0, 1.0
    assert find(image, floor=0.5, radius_px=1, border_px=2) == []


def test_more_than_fit_are_counted_and_the_first_are_kept() -> None:
    image = np.zeros((9, 60), np.float32)
    image[2, ::10] = 1.0
    out = np.full((3, 2), -1, np.int32)
    assert strict_extrema(image, 0.5, 2, 1, 0, out) == 6
    assert out.tolist() == [[2, 0], [2, 10], [2, 20]]


def test_frame_smaller_than_its_border_has_none() -> None:
    assert find(np.ones((3, 3), np.float32), border_px=2) == []
    assert find(np.ones((0, 5), np.float32)) == []


@given(images(COARSE), st.integers(1, 3))
def test_dark_extrema_are_the_bright_ones_of_the_negative(
    image: NDArray[np.float32], radius_px: int
) -> None:
    dark = find(image, radius_px=radius_px, polarity=-1)
    assert dark == find(-image, radius_px=radius_px)


def test_turning_the_frame_turns_the_extrema() -> None:
    image = random_image(3, (50, 75))
    found = find(image, floor=0.5, radius_px=3)
    turned = find(np.ascontiguousarray(np.rot90(image)), floor=0.5, radius_px=3)
    assert sorted((x, 74 - y) for y, x in turned) == found
