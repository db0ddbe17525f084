"""The published symmetry filters agree with their definition, box by box and tile by tile."""

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.symmetry.published import (
    PublishedReference,
    distance_map,
    filter_bank,
    filter_energies,
    filter_responses,
    learn,
    preprocess,
    published_maps,
)
from latticewatch.kernels.moments import grid_shape, moment_scratch, n_moments, second_moments
from reference import symmetry_published as slow
from support.images import random_image


@lru_cache
def crystal(height: int = 192, width: int = 256) -> NDArray[np.float64]:
    """Columns 13 px apart with noise, turned by half a turn in the right third."""
    y, x = np.mgrid[:height, :width]
    along, across = 2 * np.pi * (0.9 * x + 0.4 * y) / 13.0, 2 * np.pi * (0.9 * y - 0.3 * x) / 13.0
    left = np.cos(along) + np.cos(across) + 0.7 * np.cos(along + across)
    right = np.cos(along) + np.cos(across) + 0.7 * np.cos(along - across)
    noise = np.random.default_rng(1).normal(scale=0.1, size=(height, width))
    drawn: NDArray[np.float64] = 10.0 + np.where(x < 0.7 * width, left, right) + noise
    return drawn


@lru_cache
def prepared() -> NDArray[np.float64]:
    return np.asarray(preprocess(crystal()), np.float64)


def test_preprocessing_stretches_the_band_to_254() -> None:
    pixels = prepared()
    assert (pixels.min(), pixels.max()) == pytest.approx((0.0, 254.0))
    np.testing.assert_allclose(preprocess(3.0 * crystal() - 7.0), pixels, atol=1e-9)


def test_bank_is_orthonormal() -> None:
    tile = prepared()[:128, :128]
    for kind in ("rows", "eigenvectors"):
        bank = filter_bank(tile, kind)
        np.testing.assert_allclose(bank @ bank.T, np.eye(49), atol=1e-10)


def test_eigenvectors_solve_their_equation_and_rows_do_not() -> None:
    tile = prepared()[:128, :128]
    windows = np.lib.stride_tricks.sliding_window_view(tile, (7, 7)).reshape(-1, 49)
    covariance = np.cov(windows.T)
    leftover = {}
    for kind in ("rows", "eigenvectors"):
        first = filter_bank(tile, kind)[0]
        image = covariance @ first
        leftover[kind] = np.linalg.norm(image - (first @ image) * first) / np.linalg.norm(image)
    assert leftover["eigenvectors"] < 1e-9
    assert leftover["rows"] > 0.5


@pytest.mark.parametrize("kind", ["rows", "eigenvectors"])
def test_bank_agrees_with_the_definition(kind: str) -> None:
    tile = prepared()[:128, :128]
    found = filter_bank(tile, "rows" if kind == "rows" else "eigenvectors")
    expected = slow.filter_bank(tile, take_rows=kind == "rows")
    # The last eigenvalues are rounding, and so are their vectors: in the first columns only.
    leading = np.s_[:, -10:] if kind == "rows" else np.s_[:10]
    signs = np.sign(np.sum(found * expected, axis=0 if kind == "rows" else 1, keepdims=True))
    np.testing.assert_allclose((signs * found)[leading], expected[leading], atol=1e-6)


def test_responses_are_those_of_a_library() -> None:
    pixels = random_image(5, (40, 33)).astype(np.float64)
    bank, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(49, 49)))
    found = filter_responses(pixels, bank)
    for index, row in enumerate(bank):
        expected = ndimage.convolve(pixels, row.reshape(7, 7), mode="mirror")
        np.testing.assert_allclose(found[..., index], expected, rtol=0, atol=1e-12)


def test_energies_agree_with_a_convolution() -> None:
    pixels = random_image(1, (40, 33)).astype(np.float64)
    bank, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(49, 49)))
    expected = np.moveaxis(slow.filter_energies(pixels, bank), 0, -1)
    np.testing.assert_allclose(filter_energies(pixels, bank), expected, rtol=1e-10)


def test_box_reaches_from_7_px_before_a_pixel_to_8_px_behind_it() -> None:
    pixels = np.zeros((64, 64))
    pixels[30, 25] = 1.0
    centre = np.zeros((1, 49))
    centre[0, 24] = 1.0
    seen_y, seen_x = np.nonzero(filter_energies(pixels, centre)[..., 0] > 0.5)
    # A pixel y sees row 30 where y - 7 <= 30 <= y + 8.
    assert (seen_y.min(), seen_y.max(), seen_x.min(), seen_x.max()) == (22, 37, 17, 32)


def test_energies_at_one_pixel_a_cell_are_those_of_the_kernel() -> None:
    pixels = random_image(3, (96, 160))
    bank, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(49, 49)))
    bank = bank[:10].astype(np.float32)
    moments = np.empty((*grid_shape((96, 160)), n_moments(10)), np.float32)
    # A convolution turns its filters, a correlation does not.
    turned = np.ascontiguousarray(bank[:, ::-1])
    second_moments(pixels, turned, moment_scratch(160, 10), moments)
    first, second = np.triu_indices(10)
    fused = moments[..., first == second]
    whole = filter_energies(pixels.astype(np.float64), bank.astype(np.float64))
    # Without the outermost cells: the frame is mirrored in two ways.
    np.testing.assert_allclose(fused[1:-1, 1:-1], whole[7::8, 7::8][1:10, 1:18], rtol=1e-5)


def test_sum_of_energies_does_not_depend_on_the_basis() -> None:
    tile = prepared()[:128, :128]
    sums = [
        filter_energies(tile, bank).sum(-1)
        for bank in (filter_bank(tile, "rows"), filter_bank(tile, "eigenvectors"), np.eye(49))
    ]
    np.testing.assert_allclose(sums[1], sums[0], rtol=1e-5)
    np.testing.assert_allclose(sums[2], sums[0], rtol=1e-5)


@pytest.mark.slow
def test_distance_is_that_of_each_tile_by_itself() -> None:
    pixels = prepared()
    model = pixels[:128, :128]
    reference = learn(model)
    expected = slow.distance_map(pixels, model, np.asarray(reference.bank, np.float64))
    found = distance_map(pixels, reference)
    level = np.nanmedian(expected)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * level)


@pytest.mark.slow
def test_float32_is_close_to_float64() -> None:
    pixels = prepared()
    bank = filter_bank(pixels[:128, :128], "rows")
    small = pixels.astype(np.float32)
    # With the same filters: a sign of an eigenvector makes other rows.
    expected = slow.distance_map(pixels, pixels[:128, :128], np.asarray(bank, np.float64))
    energies = filter_energies(small[:128, :128], bank.astype(np.float32))
    samples = energies.reshape(-1, 49).astype(np.float64)
    inverse = np.asarray(np.linalg.inv(np.cov(samples.T)), np.float64)
    same = PublishedReference(bank.astype(np.float32), energies, inverse, 0.0)
    found = distance_map(small, same)
    assert found.dtype == np.float32
    level = np.nanmedian(expected)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4 * level)


def test_outer_16_px_are_not_judged_and_the_model_tile_is_at_no_distance() -> None:
    maps = published_maps(crystal(), (0, 0))
    judged = np.isfinite(maps.distance)
    assert judged[16:-16, 16:-16].all()
    assert judged.sum() == (192 - 32) * (256 - 32)
    # Seen by the model tile alone, that is 48 px from its first row and column.
    np.testing.assert_allclose(maps.distance[16:80, 16:80], 0.0, atol=1e-6)


def test_the_other_domain_is_farther_away() -> None:
    distance = published_maps(crystal(), (0, 0)).distance
    assert np.nanmedian(distance[:, 200:]) > 2.0 * np.nanmedian(distance[:, 80:160])


def test_rest_that_fills_no_tile_is_not_judged() -> None:
    distance = published_maps(crystal()[:, :250], (0, 0)).distance
    assert np.isnan(distance[:, 176:]).all()
    assert np.isfinite(distance[16:-16, 16:176]).all()


@pytest.mark.parametrize("tile_yx", [(1, 0), (0, 2), (-1, 0)])
def test_a_tile_beyond_the_frame_is_refused(tile_yx: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no tile"):
        published_maps(crystal(), tile_yx)


def test_a_frame_without_structure_is_refused() -> None:
    with pytest.raises(ValueError, match="uniform"):
        published_maps(np.full((128, 128), 3.0), (0, 0))
    holed = crystal()[:128, :128].copy()
    holed[5, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        published_maps(holed, (0, 0))


def test_a_model_tile_without_structure_or_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="structure"):
        learn(np.zeros((128, 128)))
    with pytest.raises(ValueError, match="128 x 128"):
        learn(np.zeros((64, 128)))
