"""Powers of the low waves are those of the definition, and hold what a Patterson map holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from latticewatch.kernels.patches import gather_thinned, thinned_size
from latticewatch.kernels.power import (
    Analysis,
    n_features,
    power_scratch,
    truncated_waves,
    wave_numbers,
    window_power,
)
from reference import power as slow
from support.images import random_image
from support.windows import powers

SIZES = st.integers(0, 8).map(lambda half: 2 * half + 1)
SEEDS = st.integers(0, 2**32 - 1)


def random_patches(seed: int, n: int, size: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, size, size)).astype(np.float32)


@given(SEEDS, st.integers(0, 20), SIZES, st.data())
def test_agrees_with_the_definition(seed: int, n: int, size: int, data: st.DataObject) -> None:
    cutoff = data.draw(st.integers(0, size // 2))
    scale = data.draw(st.floats(0.01, 100.0))
    patches = random_patches(seed, n, size)
    found = powers(patches, cutoff, scale)
    waves = wave_numbers(size, cutoff)
    for patch, row in zip(patches, found, strict=True):
        expected = slow.patterson_power(patch, waves, scale)
        # Float32, relative to the power of the window: a wave that is not there is not exactly 0.
        total = np.sqrt(2) * np.square(patch).sum() * size**2 / scale
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-6 * total)


@pytest.mark.parametrize(("size", "cutoff"), [(33, 6), (41, 6), (33, 16), (5, 1), (1, 0)])
def test_one_of_each_pair_of_waves_is_there_and_zero_is_not(size: int, cutoff: int) -> None:
    waves = {(int(ky), int(kx)) for ky, kx in wave_numbers(size, cutoff)}
    opposite = {(-ky, -kx) for ky, kx in waves}
    square = {(ky, kx) for ky in range(-cutoff, cutoff + 1) for kx in range(-cutoff, cutoff + 1)}
    assert len(waves) == n_features(cutoff)
    assert waves.isdisjoint(opposite)
    assert waves | opposite == square - {(0, 0)}


def test_distances_are_those_of_patterson_maps() -> None:
    size = 9
    patches = random_patches(1, 12, size)
    patches -= patches.mean(axis=(1, 2), keepdims=True)
    features = powers(patches, size // 2).astype(np.float64)
    maps = np.array([slow.patterson_map(patch.astype(np.float64)) for patch in patches])
    upper = np.triu_indices(len(patches), 1)
    between_features = np.linalg.norm(features[upper[0]] - features[upper[1]], axis=1)
    between_maps = np.linalg.norm((maps[upper[0]] - maps[upper[1]]).reshape(66, -1), axis=1)
    # The Fourier transform of the map is the power spectrum; it stretches lengths by S.
    np.testing.assert_allclose(between_features, size * between_maps, rtol=1e-5)


def test_moving_a_window_round_in_a_circle_changes_nothing() -> None:
    patch = random_patches(2, 1, 33)
    moved = np.roll(patch, (5, -9), axis=(1, 2))
    np.testing.assert_allclose(powers(moved, 6), powers(patch, 6), rtol=1e-3, atol=1e-3)


def test_flipped_window_has_the_flipped_waves() -> None:
    patch = random_patches(3, 1, 17)
    waves = [tuple(wave) for wave in wave_numbers(17, 4).tolist()]
    plain = dict(zip(waves, powers(patch, 4)[0], strict=True))
    flipped = dict(zip(waves, powers(patch[:, :, ::-1].copy(), 4)[0], strict=True))
    for (ky, kx), power in plain.items():
        mirrored = flipped[(ky, -kx)] if ky > 0 else flipped[(ky, kx)]
        assert mirrored == pytest.approx(power, rel=1e-4, abs=1e-3)


def test_spectrum_of_a_window_does_not_depend_on_its_neighbours() -> None:
    patches = random_patches(4, 21, 33)
    together = powers(patches, 6)
    alone = np.concatenate([powers(patch[None], 6) for patch in patches])
    np.testing.assert_array_equal(together, alone)


def test_nan_spoils_its_own_window_only() -> None:
    patches = random_patches(5, 10, 9)
    clean = powers(patches, 3)
    patches[4, 2, 2] = np.nan
    spoiled = powers(patches, 3)
    assert np.isnan(spoiled[4]).all()
    np.testing.assert_array_equal(np.delete(spoiled, 4, 0), np.delete(clean, 4, 0))


def test_mean_of_a_window_does_not_count() -> None:
    patch = random_image(6, (33, 33))[None]
    np.testing.assert_allclose(powers(patch + 3, 6), powers(patch, 6), rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize(("size", "cutoff"), [(32, 6), (33, 17), (-1, 0), (9, -1)])
def test_impossible_size_and_cutoff_are_refused(size: int, cutoff: int) -> None:
    for build in (truncated_waves, power_scratch, wave_numbers):
        with pytest.raises(ValueError, match=f"size {size} with cutoff {cutoff}"):
            build(size, cutoff)


@given(SEEDS, st.integers(0, 70), st.sampled_from([(5, 1), (7, 2), (9, 3), (1, 1)]))
def test_windows_of_a_frame_have_the_powers_of_their_patches(
    seed: int, n: int, cut: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.random((31, 37)).astype(np.float32)
    places = rng.uniform(-3.0, 40.0, (n, 2))
    places[rng.random(n) < 0.1] = np.nan
    side = thinned_size(*cut)
    patches, whole = np.empty((n, side, side), np.float32), np.zeros(n, np.bool_)
    gather_thinned(image, places, *cut, patches, whole)
    found, inside = cut_out(image, places, cut)
    np.testing.assert_array_equal(inside, whole)
    expected = powers(patches, side // 2)
    # The mean that patches are without is a wave of its own, to float32.
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-6 * side**4)


def cut_out(
    image: NDArray[np.float32], places: NDArray[np.float64], cut: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    side = thinned_size(*cut)
    cutoff = side // 2
    scratch = power_scratch(side, cutoff)
    scratch[:] = np.nan
    out = np.full((len(places), n_features(cutoff)), np.nan, np.float32)
    inside = np.zeros(len(places), np.bool_)
    analysis = Analysis(truncated_waves(side, cutoff), 1.0, scratch)
    window_power(image, places, cut, analysis, out, inside)
    return out, inside


def test_nan_in_a_frame_spoils_its_own_windows_only() -> None:
    image = random_image(4, (20, 30))
    image[5, 5] = np.nan
    found, inside = cut_out(image, np.array([[5.0, 5.0], [5.0, 8.0], [12.0, 20.0]]), (5, 1))
    assert inside.all()
    assert np.isnan(found).all(axis=1).tolist() == [True, False, False]
    assert np.isfinite(found[1:]).all()


@pytest.mark.parametrize("cut", [(6, 1), (7, 1)])
def test_window_of_even_size_or_other_waves_is_refused(cut: tuple[int, int]) -> None:
    analysis = Analysis(truncated_waves(5, 2), 1.0, power_scratch(5, 2))
    out, inside = np.empty((1, n_features(2)), np.float32), np.zeros(1, np.bool_)
    with pytest.raises(ValueError, match="odd"):
        window_power(random_image(6, (20, 20)), np.array([[9.0, 9.0]]), cut, analysis, out, inside)
