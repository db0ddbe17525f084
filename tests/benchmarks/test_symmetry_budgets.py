"""Each kernel of the symmetry maps keeps its budget: one thread, 1024x1024, 10 filters.

The budgets are five times what kernels/README.md reports, for machines that are slow or busy.
Run with `pytest -m benchmark -s` to see the figures.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.published import distance_map, filter_bank, learn, preprocess
from latticewatch.kernels.box_variance import box_scratch, box_variance
from latticewatch.kernels.moments import grid_shape, moment_scratch, n_moments, second_moments
from latticewatch.kernels.smooth import (
    difference_of_gaussians,
    difference_scratch,
    gaussian_weights,
)
from latticewatch.kernels.tile_waves import tile_scratch, tile_waves
from latticewatch.kernels.whitening import whitened_distance
from reference import symmetry_published as slow
from support.budgets import check, fastest_ms

pytestmark = pytest.mark.benchmark

SIDE_PX = 1024
REDUCED_PX = 256  # nine tiles of the published method
N_FILTERS = 10
PERIOD_PX = 14.0


@lru_cache
def frame(side_px: int = SIDE_PX) -> NDArray[np.float32]:
    """Square lattice with noise."""
    y, x = np.mgrid[:side_px, :side_px]
    waves = np.cos(2 * np.pi * y / PERIOD_PX) + np.cos(2 * np.pi * x / PERIOD_PX)
    noise = np.random.default_rng(1).normal(size=waves.shape)
    drawn: NDArray[np.float32] = (100.0 + 20.0 * waves + 5.0 * noise).astype(np.float32)
    return drawn


def fast_map(
    image: NDArray[np.float32], n_filters: int = N_FILTERS
) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]:
    """Difference of Gaussians, second moments and distance of a frame, to be run in this order."""
    shape = (image.shape[0], image.shape[1])
    narrow, wide = gaussian_weights(2.0, 4.0), gaussian_weights(3.0, 4.0)
    lines, band = difference_scratch(shape[1], wide), np.empty_like(image)
    difference_of_gaussians(image, narrow, wide, lines, band)
    tile = band[:128, :128].astype(np.float64)
    bank = np.ascontiguousarray(filter_bank(tile, "eigenvectors")[:n_filters], np.float32)
    n_pairs = n_moments(n_filters)
    moments = np.empty((*grid_shape(shape), n_pairs), np.float32)
    scratch, out = moment_scratch(shape[1], n_filters), np.empty(grid_shape(shape), np.float32)
    second_moments(band, bank, scratch, moments)
    samples = moments[2:-2, 2:-2].reshape(-1, n_pairs).astype(np.float64)
    covariance = np.cov(samples.T)
    covariance += 1e-4 * np.diag(np.diag(covariance))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).astype(np.float32)
    mean = samples.mean(0).astype(np.float32)
    return (
        lambda: difference_of_gaussians(image, narrow, wide, lines, band),
        lambda: second_moments(band, bank, scratch, moments),
        lambda: whitened_distance(moments, mean, whitening, 1.0, out),
    )


def test_difference_of_gaussians() -> None:
    check("difference of Gaussians, 2 and 3 px", 28.0, fast_map(frame())[0])


@pytest.mark.parametrize(("n_filters", "budget_ms"), [(8, 100.0), (10, 130.0), (12, 165.0)])
def test_second_moments(n_filters: int, budget_ms: float) -> None:
    check(f"second moments, {n_filters} filters", budget_ms, fast_map(frame(), n_filters)[1])


@pytest.mark.parametrize(("n_filters", "budget_ms"), [(10, 9.0), (12, 16.0)])
def test_whitened_distance(n_filters: int, budget_ms: float) -> None:
    run = fast_map(frame(), n_filters)[2]
    check(f"whitened distance, {n_moments(n_filters)} moments", budget_ms, run)


@pytest.mark.parametrize(("side_px", "budget_ms"), [(16, 4.0), (20, 5.0)])
def test_box_variance(side_px: int, budget_ms: float) -> None:
    scratch = box_scratch(SIDE_PX, side_px)
    mean = np.empty(grid_shape((SIDE_PX, SIDE_PX)), np.float32)
    variance = np.empty_like(mean)
    check(
        f"mean and variance, {side_px} px",
        budget_ms,
        lambda: box_variance(frame(), side_px, scratch, mean, variance),
    )


def test_tile_waves() -> None:
    narrow, wide = gaussian_weights(2.0, 4.0), gaussian_weights(3.0, 4.0)
    tile = np.ascontiguousarray(frame()[:128, :128])
    scratch, out = tile_scratch((128, 128), wide), np.empty_like(tile)

    def of_64_tiles() -> None:
        for _ in range(64):
            tile_waves(tile, narrow, wide, scratch, out)

    check("waves of 64 tiles", 35.0, of_64_tiles)


@pytest.mark.timeout(300)
def test_tile_by_tile_takes_hundreds_of_times_as_long() -> None:
    image = frame(REDUCED_PX)
    fast_ms = sum(fastest_ms(run) for run in fast_map(image))
    start_s = time.thread_time()
    pixels = np.asarray(preprocess(image.astype(np.float64)), np.float64)
    model = pixels[:128, :128]
    bank = np.asarray(filter_bank(model, "rows"), np.float64)
    slow.distance_map(pixels, model, bank)
    slow_ms = 1e3 * (time.thread_time() - start_s)
    start_s = time.thread_time()
    distance_map(pixels, learn(model))
    whole_ms = 1e3 * (time.thread_time() - start_s)
    print(  # noqa: T201 - the figures are the point
        f"{REDUCED_PX} px: tile by tile {slow_ms:.0f} ms, all tiles at once {whole_ms:.0f} ms, "
        f"second moments {fast_ms:.2f} ms: {slow_ms / fast_ms:.0f} and {whole_ms / fast_ms:.0f}"
    )
    assert slow_ms > 500.0 * fast_ms
