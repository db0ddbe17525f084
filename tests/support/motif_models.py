"""Fitted motif models of drawn crystals, and what they say of other frames."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from latticewatch.detectors.lock import LatticeLock, own_lock
from latticewatch.detectors.motifs.columns import CellColumns, sites_of
from latticewatch.detectors.motifs.fit import MotifReport, fit
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.score import Level, MotifDetector, Named
from latticewatch.detectors.motifs.stale import Mismatch
from support.motif_scenes import MotifScene, Recipe, motif_scene

Image = NDArray[np.float32]

SMALL = Recipe(side_px=380, n_each=8)
"""640 sites, 8 defects of each of five kinds."""


@lru_cache(maxsize=4)
def fitted(seed: int = 1, recipe: Recipe = SMALL) -> tuple[MotifModel, MotifReport]:
    """Model of one frame, fitted once."""
    return fit([motif_scene(seed, recipe).image])


def lock_of(image: Image) -> LatticeLock:
    """Lock of a frame that has a lattice."""
    lock = own_lock(image)
    assert lock is not None
    return lock


def stand(
    detector: MotifDetector, image: Image, contrast: int = 1
) -> tuple[LatticeLock, CellColumns, Level]:
    """What the model knows of a frame that it fits."""
    lock = lock_of(image)
    columns = detector.begin(image, lock, contrast)
    assert isinstance(columns, CellColumns), columns
    level = detector.level(image, lock, columns)
    assert isinstance(level, Level), level
    return lock, columns, level


def refusal(detector: MotifDetector, image: Image) -> str:
    """Why the model has no word on a frame."""
    lock = lock_of(image)
    columns = detector.begin(image, lock)
    found = columns
    if isinstance(columns, CellColumns):
        level = detector.level(image, lock, columns)
        assert isinstance(level, Mismatch), "the model fits this frame"
        found = level
    assert isinstance(found, Mismatch)
    return str(found)


def named(
    model: MotifModel, image: Image, scene: MotifScene, contrast: int = 1
) -> tuple[Named, NDArray[np.intp]]:
    """Names of all sites of a frame, and of each its row in the scene."""
    detector = MotifDetector(model)
    lock, columns, level = stand(detector, image, contrast)
    sites = sites_of(lock, columns, (image.shape[0], image.shape[1]))
    rows = cKDTree(scene.ideal_yx).query(sites.places_yx)[1]
    return detector.name(level, sites.places_yx, sites.sublattice), rows


def row_of_kinds(model: MotifModel, scene: MotifScene) -> dict[int, int]:
    """Row of the class that most sites of each kind have, of the scene that it was fitted on."""
    names, rows = named(model, scene.image, scene)
    plain = scene.beside[rows] < 0
    return {
        kind: int(
            np.bincount(
                names.class_index[plain & (scene.kind[rows] == kind) & (names.class_index >= 0)]
            ).argmax()
        )
        for kind in range(len(scene.names))
    }


def recall(model: MotifModel, image: Image, scene: MotifScene, contrast: int = 1) -> float:
    """Mean over the kinds of the share of sites that get the class of their kind."""
    expected = row_of_kinds(model, motif_scene(1, SMALL))
    names, rows = named(model, image, scene, contrast)
    scored = (names.class_index != -2) & (scene.beside[rows] < 0)
    kind, found = scene.kind[rows][scored], names.class_index[scored]
    return float(np.mean([(found[kind == k] == row).mean() for k, row in expected.items()]))
