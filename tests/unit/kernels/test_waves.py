"""Waves of blocks are those of the definition; unwrapping takes out whole turns and no more."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.waves import block_wave, subtract_level, unwrap, unwrap_smooth
from reference import waves as slow
from support.images import COARSE, images, random_image

FREQUENCIES = st.floats(-0.5, 0.5)
STEPS = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 9)


def demodulate(
    image: NDArray[np.float32], wave_per_px: tuple[float, float], step: int
) -> NDArray[np.complex128]:
    out = np.full((2, image.shape[0] // step, image.shape[1] // step), np.nan, np.float32)
    block_wave(image, wave_per_px, step, out)
    wave: NDArray[np.complex128] = out[0].astype(np.float64) + 1j * out[1]
    return wave


def unwrapped(turns: NDArray[np.float32], quality: NDArray[np.float32]) -> NDArray[np.float32]:
    out = np.full_like(turns, np.nan)
    unwrap(turns, quality, out)
    return out


def wrapped(turns: NDArray[np.float64]) -> NDArray[np.float32]:
    return (turns - np.round(turns)).astype(np.float32)


@given(images(), st.tuples(FREQUENCIES, FREQUENCIES), STEPS)
def test_wave_agrees_with_the_definition(
    image: NDArray[np.float32], wave_per_px: tuple[float, float], step: int
) -> None:
    found = demodulate(image, wave_per_px, step)
    bound = 1e-6 * float(np.abs(image).max())
    np.testing.assert_allclose(found, slow.block_wave(image, wave_per_px, step), atol=bound)


@given(images(), st.tuples(FREQUENCIES, FREQUENCIES), STEPS)
def test_level_of_blocks_is_taken_out_of_their_wave(
    level: NDArray[np.float32], wave_per_px: tuple[float, float], step: int
) -> None:
    means = [
        np.exp(-2j * np.pi * g * (np.arange(step) + step * np.arange(n)[:, None])).mean(axis=1)
        for g, n in zip(wave_per_px, level.shape, strict=True)
    ]
    rows, columns = (np.stack([mean.real, mean.imag]).astype(np.float32) for mean in means)
    wave = np.zeros((2, *level.shape), np.float32)

    subtract_level(level, rows, columns, wave)

    bound = 1e-6 * float(np.abs(level).max())
    expected = -slow.level_wave(level, wave_per_px, step)
    np.testing.assert_allclose(wave[0] + 1j * wave[1], expected, atol=bound)


def test_far_pixels_keep_their_phase() -> None:
    image = random_image(1, (40, 1500))
    found = demodulate(image, (0.2113, -0.3789), 4)
    np.testing.assert_allclose(found, slow.block_wave(image, (0.2113, -0.3789), 4), atol=1e-6)


@pytest.mark.parametrize("shape_yx", [(3, 20), (20, 3), (3, 3)])
def test_frame_smaller_than_a_block_has_no_wave(shape_yx: tuple[int, int]) -> None:
    assert demodulate(random_image(2, shape_yx), (0.1, 0.1), 4).size == 0


def test_nan_spoils_no_row_of_blocks_but_its_own() -> None:
    image = random_image(3, (12, 12))
    image[5, 5] = np.nan
    found = demodulate(image, (0.1, 0.2), 4)
    np.testing.assert_array_equal(np.isnan(found), [[False] * 3, [False, True, False], [False] * 3])


@given(st.floats(-0.5, 0.5), st.floats(0.5, 20.0))
def test_plane_wave_gives_its_phase_and_half_its_amplitude(turns: float, amplitude: float) -> None:
    y, x = np.mgrid[:60, :80]
    # Period 10 and 20 px: over blocks of 20 px the wave of the opposite sign adds up to nothing.
    image = amplitude * np.cos(2 * np.pi * (0.1 * y + 0.05 * x + turns))
    found = demodulate(image.astype(np.float32), (0.1, 0.05), 20)
    expected = np.full((3, 4), 0.5 * amplitude * np.exp(2j * np.pi * turns))
    np.testing.assert_allclose(found, expected, atol=1e-5 * amplitude)


@given(SEEDS, SIDES, SIDES, st.floats(0.1, 5.0))
def test_each_place_is_within_half_a_turn_of_one_reached_before(
    seed: int, height: int, width: int, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    turns = rng.normal(0.0, spread, (height, width)).astype(np.float32)
    quality = rng.permutation(height * width).reshape(height, width).astype(np.float32)
    found = unwrapped(turns, quality)
    first, *others = slow.order_of_reach(quality)
    assert found[first] == turns[first]
    reached = {first}
    for place in others:
        before = [near for near in slow.neighbours(place, turns.shape) if near in reached]
        assert min(abs(found[place] - found[near]) for near in before) <= 0.5 + 1e-5
        reached.add(place)


@given(images(st.floats(-50.0, 50.0, width=32)), st.data())
def test_only_whole_turns_are_taken_out_however_many_places_are_equal(
    turns: NDArray[np.float32], data: st.DataObject
) -> None:
    values = data.draw(st.lists(COARSE, min_size=turns.size, max_size=turns.size))
    found = unwrapped(turns, np.array(values, np.float32).reshape(turns.shape))
    assert np.isfinite(found).all()
    assert slow.whole_turns_apart(found, turns).max() < 1e-4


@given(SEEDS, SIDES, SIDES, st.floats(-0.45, 0.45), st.floats(-0.45, 0.45))
def test_wrapped_ramp_comes_back_up_to_a_whole_number(
    seed: int, height: int, width: int, slope_y: float, slope_x: float
) -> None:
    y, x = np.mgrid[:height, :width]
    ramp = slope_y * y + slope_x * x
    apart = unwrapped(wrapped(ramp), np.abs(random_image(seed, (height, width)))) - ramp
    np.testing.assert_allclose(apart, np.round(apart[0, 0]), atol=1e-5)


def test_hole_without_signal_misleads_no_place_round_it() -> None:
    y, x = np.mgrid[:30, :40]
    ramp = 0.21 * y + 0.004 * (x - 20.0) ** 2
    hole = np.hypot(y - 14, x - 22) < 6
    noise = np.random.default_rng(4).uniform(-0.5, 0.5, ramp.shape)
    turns = wrapped(np.where(hole, noise, ramp))
    apart = unwrapped(turns, np.where(hole, 0.01, 1.0).astype(np.float32)) - ramp
    np.testing.assert_allclose(apart[~hole], np.round(apart[0, 0]), atol=1e-5)


def test_frame_without_a_place_has_no_phase() -> None:
    assert unwrapped(np.empty((0, 5), np.float32), np.empty((0, 5), np.float32)).size == 0


@given(SEEDS, SIDES, SIDES, st.floats(0.0, 0.4))
def test_smooth_phase_is_told_from_a_singular_one(
    seed: int, height: int, width: int, spread: float
) -> None:
    turns = np.random.default_rng(seed).normal(0.0, spread, (height, width)).astype(np.float32)
    steps = np.concatenate([np.diff(turns, axis=axis).ravel() for axis in (0, 1)])
    # A step of half a turn leads either way.
    assume((np.abs(np.abs(steps) % 1 - 0.5) > 1e-3).all())
    assert unwrap_smooth(turns, np.empty_like(turns)) == slow.has_no_singularity(turns)


@given(SEEDS, SIDES, SIDES, st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_both_ways_of_unwrapping_a_smooth_phase_agree(
    seed: int, height: int, width: int, slope_y: float, slope_x: float
) -> None:
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    turns = wrapped(slope_y * y + slope_x * x + rng.uniform(-0.05, 0.05, (height, width)))
    quick = np.empty_like(turns)
    assert unwrap_smooth(turns, quick)
    apart = unwrapped(turns, rng.random((height, width)).astype(np.float32)) - quick
    np.testing.assert_allclose(apart, np.round(apart[0, 0]), atol=1e-5)


def test_phase_round_a_dislocation_is_not_smooth() -> None:
    y, x = np.mgrid[:20, :20] - 9.5
    turns = (np.arctan2(y, x) / (2 * np.pi)).astype(np.float32)
    assert not unwrap_smooth(turns, np.empty_like(turns))


def test_empty_phase_is_smooth() -> None:
    empty = np.empty((0, 5), np.float32)
    assert unwrap_smooth(empty, empty)
