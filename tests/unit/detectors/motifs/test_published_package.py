"""The authors' own package says the same: basis, moments, graph and statistics of the layout.

Where conventions differ: the package has moduli of round functions, where ours keep their sign; an
even patch begins half its side before the pixel, so that the column lies half a pixel off the
middle of the functions; and its windows that measure the spacing are not seeded.
"""

import warnings
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.motifs.layout import Metric, lay_out, neighbour_graph
from latticewatch.detectors.motifs.published import spacing_px, whole_patches
from latticewatch.kernels.zernike import (
    crop_discs,
    disc_basis,
    disc_values,
    invariants,
    zernike_terms,
)
from support.motif_scenes import Recipe, motif_scene


def package(name: str) -> ModuleType:
    """A module of motif-learn; of the `test` extra."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: ModuleType = pytest.importorskip(name, reason="motif-learn is not installed")
    return module


@pytest.mark.parametrize("side", [11, 32, 33, 64])
def test_basis_and_moments_are_the_package_s(side: int) -> None:
    features = package("mtflearn.features")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of small patches the package thinks little
        theirs = features.ZPs(n_max=10, size=side)
    offsets, values = disc_values(side, kind="package")
    at = offsets + side // 2
    polynomials = theirs.get_polynomials() / (np.pi * side * side / 4)
    np.testing.assert_allclose(polynomials[:, at[:, 0], at[:, 1]], values, atol=1e-12)
    outside = np.ones((side, side), np.bool_)
    outside[at[:, 0], at[:, 1]] = False
    assert not polynomials[:, outside].any()
    patches = np.random.default_rng(side).random((3, side, side))
    moments = theirs.fit_transform(patches)
    np.testing.assert_array_equal(np.stack([moments.n, moments.m], axis=-1), zernike_terms(10))
    ours = patches[:, at[:, 0], at[:, 1]] @ values.T
    np.testing.assert_allclose(moments.data, ours, atol=1e-12)


def test_moduli_are_the_package_s_but_for_the_sign_of_round_functions() -> None:
    features = package("mtflearn.features")
    scene = motif_scene(1, Recipe(side_px=256, n_each=4))
    patches, inside = whole_patches(scene.image, scene.places_yx, 33)
    theirs = np.abs(features.ZPs(n_max=10, size=33).fit_transform(patches).to_complex().data)
    basis = disc_basis(33, kind="package")
    discs = np.empty((len(patches), len(basis.offsets_yx)), np.float32)
    scored = np.empty(len(patches), np.bool_)
    whole = np.rint(scene.places_yx[inside])
    crop_discs(scene.image, whole, basis.offsets_yx, discs, scored)
    ours = np.empty((len(patches), 36), np.float32)
    invariants(discs @ basis.values.T, ours)
    assert scored.all()
    assert (ours < 0).any()
    np.testing.assert_allclose(np.abs(ours), theirs, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
def test_graph_is_the_package_s(metric: Metric) -> None:
    manifold = package("mtflearn.manifold.force_relaxed")
    z = np.random.default_rng(2).normal(size=(300, 5))
    theirs, _ = manifold.compute_graph(z, 10, metric)
    ours = neighbour_graph(z, 10, metric)
    weights = np.zeros((300, 300))
    weights[ours.edges[:, 0], ours.edges[:, 1]] = ours.weights
    # Both stop their bisection at 1e-5 of the sum.
    np.testing.assert_allclose(weights, theirs.toarray(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["euclidean", "correlation"])
def test_layout_has_the_package_s_statistics(metric: Metric) -> None:
    manifold = package("mtflearn.manifold.force_relaxed")
    rng = np.random.default_rng(3)
    middles = 6.0 * rng.normal(size=(8, 5))
    z = np.concatenate([rng.normal(size=(80, 5)) + middle for middle in middles])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.asarray(manifold.ForceGraph8(metric=metric).fit_transform(z))
    ours = lay_out(z, metric=metric)

    def extent(layout: NDArray[np.float64]) -> float:
        return float(np.sqrt(((layout - layout.mean(axis=0)) ** 2).sum(axis=1).mean()))

    def kept(layout: NDArray[np.float64]) -> float:
        """Share of the nearest in the layout that are of the same class."""
        gaps = np.linalg.norm(layout[:, None] - layout[None], axis=-1)
        near = np.argsort(gaps, axis=1)[:, 1:9] // 80
        return float((near == np.repeat(np.arange(8), 80)[:, None]).mean())

    assert extent(ours) == pytest.approx(extent(theirs), rel=0.1)
    assert kept(ours) == pytest.approx(kept(theirs), abs=0.03)


@pytest.mark.parametrize("bond_px", [9.0, 14.0])
def test_spacing_is_the_package_s(bond_px: float) -> None:
    features = package("mtflearn.features")
    scene = motif_scene(3, Recipe(bond_px=bond_px, sigma_px=bond_px / 4, n_each=4))
    assert abs(spacing_px(scene.image) - int(features.estimate_patch_size(scene.image))) <= 1
