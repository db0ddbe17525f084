"""The autoencoder keeps its budget: one thread, 1024x1024, 2200 windows of 33x33 points.

The budgets are five times what was measured, for machines that are slow or busy.
"""

import numpy as np
import pytest

from latticewatch.detectors.vae.session import BATCH, Redrawer
from latticewatch.kernels.gather import compare_windows, paste_windows, sample_windows
from support.budgets import check
from support.vae_models import flat_network

pytestmark = pytest.mark.benchmark


def test_windows() -> None:
    rng = np.random.default_rng(1)
    image = rng.random((1024, 1024), dtype=np.float32)
    along = np.arange(40.3, 982.0, 20.0)
    places = np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)[:2200].copy()
    windows = np.empty((2200, 33, 33), np.float32)
    inside = np.empty(2200, np.bool_)
    check("sample_windows", 18.5, lambda: sample_windows(image, places, 1.8, windows, inside))
    usual, weights = windows[0].copy(), np.full((33, 33), 1 / 33**2, np.float32)
    check("compare_windows", 3.7, lambda: compare_windows(windows, usual, weights, 1.0))
    middles = np.ascontiguousarray(windows[:, 5:28, 5:28])
    picture, weight = np.empty_like(image), np.empty_like(image)
    check("paste_windows", 250.0, lambda: paste_windows(middles, places, 1.8, picture, weight))


def test_network() -> None:
    network = Redrawer(flat_network(), 33, 23)
    windows = np.zeros((BATCH, 33, 33), np.float32)
    check("network, 256 windows", 6.0, lambda: network.redraw(windows))
