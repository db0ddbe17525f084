"""Kinds are recovered where sites come from the lattice of the frame (methods/motifs.md, 8.6)."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from latticewatch.detectors.motifs.clusters import Sample, find_classes
from latticewatch.detectors.motifs.features import FeatureMaker
from latticewatch.detectors.motifs.gathering import gather, reduced, reference_of
from latticewatch.detectors.motifs.parameters import MotifParameters
from support.motif_figures import adjusted_rand, macro_recall
from support.motif_scenes import MotifScene, Recipe, motif_scene


def detected(scene: MotifScene) -> tuple[Sample, NDArray[np.intp]]:
    """Sites of the lattice of the frame, and the row of the scene that each one is."""
    counts = scene.image * 1000.0
    parameters, notes = MotifParameters(), list[str]()
    reference = reference_of([counts], parameters, notes, None)
    maker = FeatureMaker(reference.shape)
    found = gather(reference, maker, notes, None)
    sample = reduced(found, maker, parameters)[1]
    off_px, row = cKDTree(scene.ideal_yx).query(found.places_yx)
    assert off_px.max() < 1.0
    return sample, row


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(dose=30.0, angle_deg=7.0),
        Recipe(dose=30.0, angle_deg=37.0),
        Recipe("square", dose=30.0, angle_deg=25.0, bond_px=10.0, sigma_px=2.2),
    ],
)
def test_kinds_of_detected_sites_are_recovered_as_well(recipe: Recipe) -> None:
    scene = motif_scene(5, recipe)
    sample, row = detected(scene)
    clean = scene.beside[row] < 0
    labels, kind = find_classes(sample).labels[clean], scene.kind[row][clean]
    assert adjusted_rand(kind, labels) >= 0.95
    assert macro_recall(kind, labels) >= 0.93


def test_site_without_any_column_has_a_patch() -> None:
    scene = motif_scene(5, Recipe(dose=30.0))
    _, row = detected(scene)
    assert set(np.flatnonzero(scene.kind == scene.names.index("both S absent"))) <= set(row)
