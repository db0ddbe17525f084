"""The dense residual of a frame of 1024x1024 and the statistics of 2200 sites, on one thread.

The budgets are five times what was measured, for machines that are slow or busy.
Run with `pytest -m benchmark -s` to see the figures.
"""

import numpy as np
import pytest

from latticewatch.detectors.vae.dense import DenseScorer
from latticewatch.detectors.vae.null import fit_null, p_values
from latticewatch.detectors.vae.pca import DensePca, DenseResidual
from latticewatch.kernels.lobes import find_lobes
from latticewatch.kernels.local_energy import cell_mask, site_statistics, window_statistics
from latticewatch.kernels.shadows import mark_shadows
from latticewatch.kernels.smooth import (
    gaussian_rows,
    gaussian_scratch,
    gaussian_weights,
    sampled_rows,
)
from support.budgets import check

pytestmark = pytest.mark.benchmark

N_SITES, SIDE_PX, WINDOW_PX = 2200, 1024, 63
BASIS = np.array([[22.1, 4.3], [-4.3, 22.1]])
RNG = np.random.default_rng(1)
PLACES = RNG.uniform(45, SIDE_PX - 46, (N_SITES, 2))


def test_residual_and_statistics() -> None:
    image = RNG.normal(size=(SIDE_PX, SIDE_PX)).astype(np.float32)
    weights = RNG.normal(size=(WINDOW_PX, WINDOW_PX)).astype(np.float32)
    model = DensePca(weights, 0.0, BASIS, 40, 800)
    dense, scorer = DenseResidual(model), DenseScorer(model)
    residual = dense.residual(image)
    check("DenseResidual.residual", 45.0, lambda: dense.residual(image))
    check("DenseScorer.statistics", 15.0, lambda: scorer.statistics(residual, PLACES))
    check("DenseScorer.score", 60.0, lambda: scorer.score(image, PLACES))


def test_kernels_of_sites() -> None:
    residual = RNG.normal(size=(SIDE_PX, SIDE_PX)).astype(np.float32)
    mask, weights = cell_mask(BASIS), gaussian_weights(3.0)
    rows, scratch = sampled_rows((SIDE_PX, SIDE_PX), 2), gaussian_scratch(SIDE_PX, weights)
    squares = np.square(residual)
    gaussian_rows(squares, weights, scratch, rows)
    found, lobes = np.empty((N_SITES, 2)), np.empty((200, 6))
    check("site_statistics", 6.0, lambda: site_statistics(residual, rows, PLACES, mask, found))
    check("find_lobes, 200", 3.0, lambda: find_lobes(residual, PLACES[:200], mask, 7.0, lobes))


def test_kernels_of_windows() -> None:
    windows = RNG.normal(size=(N_SITES, 48, 48)).astype(np.float32)
    mask, weights, found = np.zeros((48, 48), bool), gaussian_weights(3.0), np.empty((N_SITES, 2))
    mask[12:36, 12:36] = True
    check(
        "window_statistics",
        30.0,
        lambda: window_statistics(windows, mask, weights, 2, found),
    )


def test_shadows() -> None:
    scores, shadow = RNG.exponential(size=N_SITES), np.zeros(N_SITES, bool)
    strong = np.arange(0, N_SITES, 15)
    check(
        f"mark_shadows, {len(strong)}",
        2.0,
        lambda: mark_shadows(scores, PLACES, strong, 58.0, 0.5, shadow),
    )


def test_p_values() -> None:
    scores = np.abs(RNG.normal(size=(N_SITES, 60))).max(axis=1)
    law = fit_null([scores])
    check("p_values", 2.0, lambda: p_values(scores, law))
