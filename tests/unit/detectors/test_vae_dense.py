"""The dense residual is the windowed one, and points at what is strange."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.vae.components import choose_rank, lattice_waves, learn_components
from latticewatch.detectors.vae.dense import DenseScorer, in_shadow
from latticewatch.detectors.vae.pca import (
    DensePca,
    DenseResidual,
    _model,
    fit_dense,
    mean_period,
    window_side,
)
from latticewatch.detectors.vae.quiet import draw_candidates
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.band_figures import measure_sites, measure_windows
from support.band_scorers import dense_residual, on_own_levels, window_pca
from support.bands import blurred, splits, with_defects

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


@pytest.mark.parametrize("waves", [0.0, 3.2])
@pytest.mark.parametrize("rank", [0, 5, 40])
def test_dense_residual_is_that_of_each_window_at_its_middle(
    image: Image, basis: NDArray[np.float64], rank: int, waves: float
) -> None:
    side = window_side(mean_period(basis))
    rng = np.random.default_rng(3)
    corners = rng.integers(0, np.array(image.shape) - side + 1, (300, 2))
    rows = np.stack([image[y : y + side, x : x + side].ravel() for y, x in corners])
    mean, vectors = learn_components(rows, lattice_waves(basis, side, waves), rank)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-5)
    residual = DenseResidual(_model(mean, vectors, basis, 300)).residual(image)
    for y, x in ((0, 0), (17, 40), (256 - side, 270 - side)):
        off = image[y : y + side, x : x + side].ravel() - mean
        left = off - (off @ vectors.T) @ vectors
        found = residual[y + side // 2, x + side // 2]
        assert found == pytest.approx(left[side * side // 2], abs=1e-6)


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


def test_windows_hold_no_nan(image: Image) -> None:
    holed = image.copy()
    holed[128, 135] = np.nan
    candidates = draw_candidates([holed, image], 41, 200, 1)
    rows = candidates.cut([holed, image], np.arange(len(candidates.image)))
    assert rows.shape == (1200, 41 * 41)
    assert np.isfinite(rows).all()
    assert set(candidates.image) == {0, 1}


def test_defects_of_the_reference_are_not_learned(
    image: Image, model: DensePca, basis: NDArray[np.float64]
) -> None:
    y, x = np.indices(image.shape)
    damaged, rng = image.copy(), np.random.default_rng(2)
    places = rng.uniform(40, 215, (12, 2))
    for place in places:
        square = (y - place[0]) ** 2 + (x - place[1]) ** 2
        damaged -= np.float32(0.6) * np.exp(-square / 18).astype(np.float32)
    learned = fit_dense([damaged], basis)
    for place in places.round().astype(int):
        column = (place[0], place[1])
        left = DenseResidual(learned).residual(damaged)[column]
        assert left < 0.75 * DenseResidual(model).residual(damaged)[column] < 0


def test_waves_alone_are_enough_where_the_rest_is_noise() -> None:
    waves = lattice_waves(np.array([[12.0, 0.0], [0.0, 12.0]]), 33, 3.2)
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(800, 33 * 33)).astype(np.float32)
    mean, basis = learn_components(noise[:400], waves, 20)
    assert choose_rank(mean, basis, len(waves), noise[400:], 12.0) <= 3


def test_shadow_of_a_strong_defect_is_no_defect() -> None:
    far = [[300.0, x] for x in (0.0, 50.0, 100.0)]
    near = [[50.0, 50.0], [50.0, 70.0], [50.0, 90.0], [50.0, 200.0], [70.0, 50.0]]
    places, scores = np.array([*near, *far]), np.array([10.0, 1.5, 3.0, 1.6, np.nan, 1, 1, 1])
    shadow = in_shadow(scores, places, 45.0, 0.2)
    np.testing.assert_array_equal(np.flatnonzero(shadow), [1])
    assert not in_shadow(np.full(8, np.nan), places, 45.0, 0.2).any()


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
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("waves", "rank"), [(0.0, 40), (3.2, None)])
def test_dense_residual_keeps_its_figures_on_bands_that_share_nothing(
    waves: float, rank: int | None
) -> None:
    for split in splits("dense"):
        figures = measure_sites(split, partial(dense_residual, waves=waves, rank=rank))
        assert figures.mean_auc >= 0.985
        assert figures.mean_d5 >= 0.95


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_defects_in_the_fit_cost_little() -> None:
    for split in splits("dense"):
        clean = measure_sites(split, dense_residual)
        damaged = replace(split, fit=with_defects(split.fit, 0.05, seed=5))
        assert measure_sites(damaged, dense_residual).mean_d1 >= clean.mean_d1 - 0.04


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_components_of_windows_keep_their_figures_on_bands_that_share_nothing() -> None:
    for split in splits("window"):
        assert measure_windows(split, window_pca).mean_auc >= 0.98
