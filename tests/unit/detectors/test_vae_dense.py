"""The dense residual is the windowed one, and points at what is strange."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.vae.dense import DenseScorer
from latticewatch.detectors.vae.pca import (
    DenseParameters,
    DensePca,
    DenseResidual,
    _components,
    draw_windows,
    fit_dense,
    window_side,
)
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.band_figures import measure_sites, measure_windows
from support.band_scorers import dense_residual, on_own_levels, window_pca
from support.bands import blurred, splits

Image = NDArray[np.float32]

SETTINGS = MicroscopeSettings(
    crystal="srtio3", shape_yx=(256, 270), pixel_size_nm=0.02, perfect=True, seed=3
)


def levelled(settings: MicroscopeSettings, basis: NDArray[np.float64]) -> Image:
    pixels = Microscope(settings).frame(0)[0].astype(np.float32)
    return on_own_levels(blurred(pixels, float(np.sqrt(abs(np.linalg.det(basis))))))


@pytest.fixture(scope="module")
def basis() -> NDArray[np.float64]:
    lattice = find_lattice(Microscope(SETTINGS).frame(0)[0].astype(np.float32))
    assert lattice is not None
    return lattice.basis_px_yx


@pytest.fixture(scope="module")
def image(basis: NDArray[np.float64]) -> Image:
    return levelled(SETTINGS, basis)


@pytest.fixture(scope="module")
def model(image: Image, basis: NDArray[np.float64]) -> DensePca:
    return fit_dense([image], basis)


@pytest.mark.parametrize("rank", [1, 5, 40])
def test_dense_residual_is_that_of_each_window_at_its_middle(
    image: Image, basis: NDArray[np.float64], rank: int
) -> None:
    parameters = DenseParameters(rank=rank, trim=0.0)
    model = fit_dense([image], basis, parameters)
    residual = DenseResidual(model).residual(image)
    side = len(model.weights)
    mean, vectors = _components(draw_windows([image], side, parameters), rank)
    for y, x in ((0, 0), (17, 40), (256 - side, 270 - side)):
        off = image[y : y + side, x : x + side].ravel() - mean
        left = off - (off @ vectors.T) @ vectors
        found = residual[y + side // 2, x + side // 2]
        assert found == pytest.approx(left[side * side // 2], abs=2e-6)


def test_no_residual_where_no_window_fits(image: Image, model: DensePca) -> None:
    residual = DenseResidual(model).residual(image)
    inside = np.zeros(image.shape, bool)
    margin = model.margin_px
    inside[margin:-margin, margin:-margin] = True
    np.testing.assert_array_equal(np.isfinite(residual), inside)
    small = DenseResidual(model).residual(image[: 2 * margin, :])
    assert small.shape == (2 * margin, 270)
    assert np.isnan(small).all()


def test_residual_does_not_depend_on_the_shape_before(image: Image, model: DensePca) -> None:
    scorer = DenseResidual(model)
    first = scorer.residual(image).copy()
    part = scorer.residual(np.ascontiguousarray(image[:211, :199]))
    np.testing.assert_array_equal(scorer.residual(image), first)
    margin = model.margin_px
    np.testing.assert_allclose(
        part[margin:-margin, margin:-margin],
        first[margin : 211 - margin, margin : 199 - margin],
        atol=2e-6,
    )


def test_offset_leaves_nothing(image: Image, model: DensePca) -> None:
    scorer = DenseResidual(model)
    np.testing.assert_allclose(scorer.residual(image + 5), scorer.residual(image), atol=2e-5)
    assert model.weights.sum() == pytest.approx(0.0, abs=1e-4)


def test_constant_frame_is_no_crash(model: DensePca) -> None:
    scores = DenseScorer(model).score(np.zeros((200, 200), np.float32), np.array([[100.0, 100.0]]))
    assert np.isfinite(scores.largest).all()


def test_same_images_give_the_same_model(
    image: Image, model: DensePca, basis: NDArray[np.float64]
) -> None:
    again = fit_dense([image], basis)
    np.testing.assert_array_equal(again.weights, model.weights)
    assert again.bias == model.bias
    assert not model.weights.flags.writeable
    assert not model.basis_px_yx.flags.writeable


def test_windows_hold_no_nan(image: Image, model: DensePca) -> None:
    side = len(model.weights)
    holed = image.copy()
    holed[128, 135] = np.nan
    rows = draw_windows([holed, image], side, DenseParameters(n_windows=2000))
    assert rows.shape == (2000, side * side)
    assert np.isfinite(rows).all()


def test_too_little_bulk_is_refused(image: Image, basis: NDArray[np.float64]) -> None:
    side = window_side(float(np.sqrt(abs(np.linalg.det(basis)))))
    small = np.ascontiguousarray(image[: side + 9, : side + 9])
    with pytest.raises(ValueError, match="100 windows of"):
        fit_dense([small, image[: side - 1]], basis)


def test_places_without_a_whole_cell_are_unscored(image: Image, model: DensePca) -> None:
    places = np.array([[128.0, 135.0], [3.0, 100.0], [np.nan, 5.0], [200.0, 269.0]])
    scores = DenseScorer(model).score(image, places)
    np.testing.assert_array_equal(np.isfinite(scores.largest), [True, False, False, False])
    np.testing.assert_array_equal(np.isfinite(scores.energy), np.isfinite(scores.largest))


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_is_strange_is_found_where_it_is(image: Image, model: DensePca, sign: int) -> None:
    y, x = np.indices(image.shape)
    changed = image + np.float32(sign * 0.5) * np.exp(
        -((y - 130.4) ** 2 + (x - 121.7) ** 2) / 18
    ).astype(np.float32)
    step = model.period_px
    places = np.array([[130.4 + i * step, 121.7 + j * step] for i in (-1, 0, 1) for j in (0, 1)])
    scorer = DenseScorer(model)
    scores = scorer.score(changed, places)
    assert np.argmax(scores.largest) == np.argmax(scores.energy) == 2
    lobe = scorer.lobes(scores.residual, places[2:3])[0]
    assert np.sign(lobe[0]) == sign
    np.testing.assert_allclose(lobe[1:3], (130.4, 121.7), atol=1.0)


@pytest.mark.slow
def test_dense_residual_keeps_its_figures_on_bands_that_share_nothing() -> None:
    for split in splits("dense"):
        figures = measure_sites(split, dense_residual)
        assert figures.mean_auc >= 0.985
        assert figures.mean_d5 >= 0.95


@pytest.mark.slow
def test_components_of_windows_keep_their_figures_on_bands_that_share_nothing() -> None:
    for split in splits("window"):
        assert measure_windows(split, window_pca).mean_auc >= 0.98
