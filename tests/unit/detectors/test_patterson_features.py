"""Numbers of a window say what its Patterson map says, at a fraction of the length."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from latticewatch.detectors.patterson.features import WindowFeatures, disc, step_for
from latticewatch.detectors.patterson.reference import features_at
from latticewatch.kernels.low_waves import n_features
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights
from reference import scheme_one as plain
from support.crystals import Image
from support.honeycomb import Honeycomb, honeycomb
from support.windows import powers

SIZE_PX, CUTOFF = 33, 6


@pytest.fixture(scope="module")
def drawn() -> Honeycomb:
    return honeycomb(1, dopants=0.0, side_px=512)


@pytest.fixture(scope="module")
def image(drawn: Honeycomb) -> Image:
    """Blurred by 3 px, on the scale of the levels."""
    weights = gaussian_weights(3.0)
    out = np.empty_like(drawn.counts)
    gaussian(drawn.counts, weights, gaussian_scratch(512, weights), out)
    return out / np.float32(25.0)


@pytest.fixture(scope="module")
def places(drawn: Honeycomb) -> NDArray[np.float64]:
    inner = ((drawn.holes_yx > 25) & (drawn.holes_yx < 486)).all(axis=1)
    return drawn.holes_yx[inner]


def features(
    image: Image, places: NDArray[np.float64], *, step_px: int = 1, cutoff: int = CUTOFF
) -> NDArray[np.float64]:
    looked_at = WindowFeatures(
        kind="patterson", size_px=SIZE_PX, step_px=step_px, cutoff=cutoff, scale=1.0
    )
    return features_at(image, places, looked_at)


def distances(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    return np.asarray(gaps[np.triu_indices(len(rows), 1)])


def test_power_spectrum_and_patterson_map_have_distances_of_one_ratio(
    image: Image, places: NDArray[np.float64]
) -> None:
    """Exact algebra: the inverse transform is a turn and a scale (patterson.md 4)."""
    windows = plain.crop(image.astype(np.float64), places[:60], SIZE_PX)
    maps = distances(plain.patterson_maps(windows))
    spectrum = np.abs(np.fft.rfft2(windows)) ** 2
    spectrum[:, :, 1:] *= np.sqrt(2.0)  # each stands for its opposite, too
    ratio = distances(spectrum.reshape(len(windows), -1)) / maps
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-10)


def test_low_waves_have_the_distances_of_the_whole_map(
    image: Image, places: NDArray[np.float64]
) -> None:
    windows = plain.crop(image.astype(np.float64), places[:120], SIZE_PX)
    whole = distances(plain.patterson_maps(windows))
    assert np.corrcoef(distances(features(image, places[:120])), whole)[0, 1] > 0.9999


def test_every_second_pixel_has_the_distances_of_the_whole_map(
    image: Image, places: NDArray[np.float64]
) -> None:
    """Windows of 34 px then, since the next one begins two pixels after the last."""
    windows = plain.crop(image.astype(np.float64), places[:120], SIZE_PX)
    whole = distances(plain.patterson_maps(windows))
    assert np.corrcoef(distances(features(image, places[:120], step_px=2)), whole)[0, 1] > 0.99


def test_principal_components_are_those_of_the_whole_map(
    image: Image, places: NDArray[np.float64]
) -> None:
    windows = plain.crop(image.astype(np.float64), places, SIZE_PX)
    whole = PCA(9, svd_solver="full").fit_transform(plain.patterson_maps(windows))
    folded = PCA(9, svd_solver="full").fit_transform(features(image, places))
    for own, other in zip(folded.T, whole.T, strict=True):
        assert abs(np.corrcoef(own, other)[0, 1]) > 0.99999


def test_shifted_window_has_the_same_power() -> None:
    window = np.random.default_rng(1).normal(size=(1, SIZE_PX, SIZE_PX)).astype(np.float32)
    rows = [powers(patch, CUTOFF) for patch in (window, np.roll(window, (5, -7), (1, 2)))]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-3, atol=1e-3 * float(rows[0].max()))


def test_pixels_are_those_of_a_disc_less_their_mean(
    image: Image, places: NDArray[np.float64]
) -> None:
    looked_at = WindowFeatures(kind="pixels", size_px=SIZE_PX, step_px=1, cutoff=CUTOFF, scale=2.0)
    rows = features_at(image, places[:5], looked_at)
    expected = plain.crop(image.astype(np.float64), places[:5], SIZE_PX).reshape(5, -1)
    np.testing.assert_allclose(rows, expected * disc(SIZE_PX) / 2.0, atol=1e-5)
    assert 0.75 < disc(SIZE_PX).mean() < 0.85


def test_places_are_looked_at_in_any_number(image: Image, places: NDArray[np.float64]) -> None:
    many = np.concatenate([places] * 2)
    assert np.array_equal(features(image, many)[len(places) :], features(image, places))
    assert features(image, places[:0]).shape == (0, n_features(CUTOFF))


def test_only_wide_blurs_are_thinned() -> None:
    assert [step_for(sigma_px) for sigma_px in (0.5, 2.3, 2.4, 9.0)] == [1, 1, 2, 2]
