"""Friedel pairs are found without settings, and small inverse transforms equal the large one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.patterson.bragg import BraggMaps, bragg_maps
from latticewatch.detectors.patterson.friedel import (
    Spots,
    Transformer,
    choose_reflections,
    find_spots,
    mask_width_per_px,
)
from reference import spectra as slow
from support.shared_data import shared_image
from support.twins import CRYSTALS, twin

WIDTH = 0.01


def wave(
    shape_yx: tuple[int, int], g: tuple[float, float], phase: float = 0.4
) -> NDArray[np.float32]:
    y, x = np.indices(shape_yx)
    turns = g[0] * y + g[1] * x
    return np.asarray(10 + 2 * np.cos(2 * np.pi * turns + phase), np.float32)


def spots_at(*g: tuple[float, float]) -> Spots:
    n = len(g)
    return Spots(np.array(g), np.full(n, 5.0), np.ones(n))


def maps_of(frame: NDArray[np.float32], *g: tuple[float, float]) -> BraggMaps:
    height, width = frame.shape
    return bragg_maps(Transformer((height, width))(frame), spots_at(*g), WIDTH)


@pytest.mark.parametrize("shape_yx", [(128, 128), (131, 240), (256, 97)])
@pytest.mark.parametrize(
    "g", [(0.061, 0.043), (-0.1, 0.02), (0.08, 0.0), (0.0, 0.12), (-0.05, 0.2)]
)
def test_maps_equal_the_full_inverse_at_their_places(
    shape_yx: tuple[int, int], g: tuple[float, float]
) -> None:
    frame = np.random.default_rng(3).normal(size=shape_yx).astype(np.float32)
    transformer = Transformer(shape_yx)
    spectrum = transformer(frame)
    maps = bragg_maps(spectrum, spots_at(g), WIDTH)
    # What was transformed, in double precision: the flattened frame with its zeros.
    padded = np.zeros(spectrum.padded_yx)
    padded[: shape_yx[0], : transformer._flat.shape[1]] = transformer._flat
    whole = slow.filtered(padded, g, WIDTH)
    # Band-limited: the places between pixels follow from a trigonometric interpolation.
    turns = g[0] * maps.y_px[:, None] + g[1] * maps.x_px
    expected = _between(whole, maps) * np.exp(-2j * np.pi * turns) / _share(maps, shape_yx)
    largest = np.abs(expected).max()
    # Single precision, and a mask cut at 3.5 widths where it is 0.2 % of its peak.
    np.testing.assert_allclose(maps.values[0], expected, atol=0.01 * largest)


def _between(whole: NDArray[np.complex128], maps: BraggMaps) -> NDArray[np.complex128]:
    """Value of a periodic field at places between its pixels."""
    spectrum = np.fft.fft2(whole) / whole.size
    ky, kx = np.fft.fftfreq(whole.shape[0]), np.fft.fftfreq(whole.shape[1])
    rows = np.exp(2j * np.pi * maps.y_px[:, None] * ky)
    columns = np.exp(2j * np.pi * kx[:, None] * maps.x_px)
    return np.asarray(rows @ spectrum @ columns)


def _share(maps: BraggMaps, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    """Part of the Gaussian on the frame, summed pixel by pixel."""
    axes = []
    for places, n in ((maps.y_px, shape_yx[0]), (maps.x_px, shape_yx[1])):
        away = (np.arange(n) - places[:, None]) / maps.resolution_px
        axes.append(np.exp(-0.5 * away**2).sum(axis=1) / (np.sqrt(2 * np.pi) * maps.resolution_px))
    return np.outer(axes[0], axes[1])


@pytest.mark.parametrize("g", [(0.05, 0.071), (-0.0501, 0.0713)])
def test_a_plane_wave_has_its_amplitude_and_phase_everywhere(g: tuple[float, float]) -> None:
    maps = maps_of(wave((256, 200), g), g)
    assert maps.y_px[-1] <= 255
    assert maps.x_px[-1] <= 199
    # At the edge half of the Gaussian is missing, and the background takes a little of the wave.
    np.testing.assert_allclose(maps.amplitude, 1.0, atol=0.08)
    np.testing.assert_allclose(np.angle(maps.values), 0.4, atol=0.08)
    inner = maps.amplitude[0, 4:-4, 4:-4]
    np.testing.assert_allclose(inner, 1.0, atol=0.01)


def test_noise_has_the_amplitude_that_is_promised() -> None:
    frame = np.random.default_rng(1).poisson(5.0, (512, 512)).astype(np.float32)
    spectrum = Transformer((512, 512))(frame)
    g = [(0.1, 0.1), (-0.05, 0.12), (0.15, 0.04), (0.02, 0.19)]
    power = 5.0 * frame.size
    maps = bragg_maps(spectrum, Spots(np.array(g), np.ones(4), np.full(4, power)), WIDTH)
    inner = np.square(maps.amplitude[:, 3:-3, 3:-3]).mean(axis=(1, 2))
    np.testing.assert_allclose(np.sqrt(inner) / maps.noise, 1.0, atol=0.15)


@pytest.mark.parametrize("seed", range(6))
def test_noise_has_no_spots(seed: int) -> None:
    frame = np.random.default_rng(seed).poisson(3.0, (512, 512)).astype(np.float32)
    assert len(find_spots(Transformer((512, 512))(frame))) == 0


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_frame_has_no_lattice_spots(value: float) -> None:
    frame = np.full((128, 128), value, np.float32)
    assert len(find_spots(Transformer((128, 128))(frame))) < 3


@pytest.mark.parametrize("crystal", sorted(CRYSTALS))
@pytest.mark.parametrize("shape_yx", [(512, 512), (300, 700), (640, 256)])
@pytest.mark.parametrize("period_px", [14.0, 30.0])
def test_spots_of_any_frame_belong_to_the_lattice(
    crystal: str, shape_yx: tuple[int, int], period_px: float
) -> None:
    frame = twin(crystal, shape_yx=shape_yx, period_px=period_px, share=0.0, seed=2).frame
    spots = find_spots(Transformer(shape_yx)(frame))
    vectors = np.array(CRYSTALS[crystal][0]) * period_px
    turn = float(np.random.default_rng(2).uniform(0, np.pi))
    c, s = np.cos(turn), np.sin(turn)
    index = spots.g_per_px[:6] @ (vectors @ np.array([[c, s], [-s, c]])).T
    assert len(index) == 6
    # A bin of the frame, in indices of a lattice vector.
    np.testing.assert_allclose(index, np.round(index), atol=1.2 * 1.3 * period_px / min(shape_yx))


def test_spots_close_to_a_stronger_one_are_left_out() -> None:
    spots = Spots(
        np.array([[0.1, 0.1], [0.11, 0.1], [0.0, 0.15], [0.05, 0.2]]),
        np.array([8.0, 7.0, 6.0, 5.0]),
        np.ones(4),
    )
    chosen = choose_reflections(spots, WIDTH, 3)
    np.testing.assert_array_equal(chosen.strength, [8.0, 6.0, 5.0])
    assert len(choose_reflections(spots, WIDTH, 2)) == 2


def test_spots_of_the_real_twin_are_those_of_the_method_page() -> None:
    frame = shared_image("real/zro2_monoclinic.tif")
    spots = find_spots(Transformer((1024, 1024))(frame))
    found = np.round(spots.g_per_px[:14] * 1024)
    listed = [(41, 6), (13, -69), (81, 12), (27, 76), (10, 42), (64, -22), (74, 20), (21, 83)]
    listed += [(85, 62), (138, -2), (27, -32), (54, -63)]
    for wanted in np.array(listed):
        miss = np.minimum(np.abs(found - wanted).max(axis=1), np.abs(found + wanted).max(axis=1))
        assert miss.min() <= 1, wanted
    assert mask_width_per_px(spots, (1024, 1024)) * 1024 == pytest.approx(6, abs=0.5)
