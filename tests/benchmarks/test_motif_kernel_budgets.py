"""Discs, moments and layout of the motifs keep their budgets: one thread, 2500 sites of 1024x1024.

The budgets are five times what kernels/README.md reports, for machines that are slow or busy.
Run with `OPENBLAS_NUM_THREADS=1 pytest -m benchmark -s` to see the figures.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.motifs.layout import CONDENSE, lay_out, neighbour_graph
from latticewatch.kernels.projection import (
    BLOCK_SITES,
    fold_basis,
    fold_discs,
    project_discs,
    projection_scratch,
)
from latticewatch.kernels.relax import relax_sweep
from latticewatch.kernels.zernike import crop_discs, disc_basis, invariants
from support.budgets import check

pytestmark = pytest.mark.benchmark

N_SITES, N_DEFECTS = 2500, 30


def places() -> NDArray[np.float64]:
    along = np.linspace(20.3, 1000.7, 50)
    return np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)


def test_features() -> None:
    frame = np.random.default_rng(1).random((1024, 1024), dtype=np.float32)
    at, basis = places(), disc_basis(33)
    folded = fold_basis(basis)
    scratch = projection_scratch(folded)
    discs = np.empty((N_SITES, len(basis.offsets_yx)), np.float32)
    scored = np.empty(N_SITES, np.bool_)
    moments = np.empty((N_SITES, len(basis.terms)), np.float32)
    found = np.empty((N_SITES, 36), np.float32)

    def features(n_sites: int) -> None:
        # In the pieces of the projection, whose pixels are then still near.
        for begin in range(0, n_sites, BLOCK_SITES):
            some = slice(begin, min(begin + BLOCK_SITES, n_sites))
            crop_discs(frame, at[some], basis.offsets_yx, discs[some], scored[some])
            project_discs(discs[some], folded, scratch, moments[some])
        invariants(moments[:n_sites], found[:n_sites])

    check("crop_discs", 7.5, lambda: crop_discs(frame, at, basis.offsets_yx, discs, scored))
    even, odd = scratch.even, scratch.odd
    check("fold_discs, 128 sites", 0.1, lambda: fold_discs(discs[:BLOCK_SITES], even, odd))
    check("project_discs", 15.0, lambda: project_discs(discs, folded, scratch, moments))
    check("invariants", 0.8, lambda: invariants(moments, found))
    check("features of 2500 sites", 25.0, lambda: features(N_SITES))
    check("features of 30 sites", 0.5, lambda: features(N_DEFECTS))


def test_layout() -> None:
    rng = np.random.default_rng(2)
    middles = 6.0 * rng.normal(size=(8, 5))
    z = (rng.normal(size=(N_SITES, 5)) + middles[np.arange(N_SITES) % 8]).astype(np.float64)
    graph = neighbour_graph(z, 10, "euclidean")
    layout, state = z[:, :2].copy(), np.array([101, 102, 103], np.uint32)
    check("neighbour_graph", 150.0, lambda: neighbour_graph(z, 10, "euclidean"))
    check(
        "relax_sweep",
        30.0,
        lambda: relax_sweep(
            layout, graph.edges, graph.weights, graph.neighbours, (CONDENSE, 0.1), state
        ),
    )
    check("lay_out, 20 sweeps more", 600.0, lambda: lay_out(z, start=layout, sweeps=20))
