"""Features of sites by the kernels alone: what tests of the classes stand on."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.motifs.clusters import ClusterSettings, Sample
from latticewatch.detectors.motifs.noise import strange_components
from latticewatch.kernels.zernike import crop_discs, disc_basis, invariants, n_invariants
from support.motif_scenes import MotifScene, Recipe, motif_scene

SIDE = 33  # of the patches of the specification: a radius of a bond and a third
LOW_DOSE = ClusterSettings(route="layout")


@dataclass(frozen=True, slots=True)
class Described:
    """Sites of frames, in order.

    Attributes
    ----------
    features : (N, 36)
    patches : (N, side, side)
        NaN beyond the disc.
    scored : (M,) bool
        Which of the given places they are.
    """

    features: NDArray[np.float64]
    patches: NDArray[np.float32]
    scored: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SceneSample:
    """A scene, its sites that have a patch, and the truth of these.

    Attributes
    ----------
    scene
    sites : (N,)
        Rows of the scene.
    described
    sample
        As `find_classes` takes it.
    kind : (N,)
        Index into the scene's names.
    clean : (N,) bool
        No other site within a bond and a quarter is a defect: these are judged.
    """

    scene: MotifScene
    sites: NDArray[np.intp]
    described: Described
    sample: Sample
    kind: NDArray[np.intp]
    clean: NDArray[np.bool_]


def describe(
    image: NDArray[np.float32], places_yx: NDArray[np.float64], side: int = SIDE
) -> Described:
    """Features and patches of all places whose disc lies within the frame."""
    basis = disc_basis(side)
    cropped = np.empty((len(places_yx), len(basis.offsets_yx)), np.float32)
    scored = np.empty(len(places_yx), bool)
    crop_discs(image, np.ascontiguousarray(places_yx), basis.offsets_yx, cropped, scored)
    cropped = cropped[scored]
    moments = np.ascontiguousarray(cropped @ basis.values.T)
    features = np.empty((len(moments), n_invariants(moments.shape[1])), np.float32)
    invariants(moments, features)
    patches = np.full((len(cropped), side, side), np.nan, np.float32)
    at = basis.offsets_yx + (side - 1) // 2
    patches[:, at[:, 0], at[:, 1]] = cropped
    return Described(features.astype(np.float64), patches, scored)


def sample_of(
    features: NDArray[np.float64],
    sublattice: NDArray[np.intp],
    places_yx: NDArray[np.float64],
    frame: NDArray[np.intp] | None = None,
) -> Sample:
    """Reduce features to the components in which strange sites differ."""
    found = strange_components(features, sublattice)
    return Sample(
        (features - found.mean) @ found.matrix,
        sublattice,
        places_yx,
        np.zeros((len(features), 2), np.int64),
        np.zeros(len(features), np.intp) if frame is None else frame,
    )


@lru_cache(maxsize=32)
def scene_sample(seed: int, recipe: Recipe, side: int = SIDE) -> SceneSample:
    """Draw a scene and describe its sites at their true places."""
    scene = motif_scene(seed, recipe)
    described = describe(scene.image, scene.places_yx, side)
    sites = np.flatnonzero(described.scored)
    sample = sample_of(described.features, scene.sublattice[sites], scene.places_yx[sites])
    return SceneSample(scene, sites, described, sample, scene.kind[sites], scene.beside[sites] < 0)
