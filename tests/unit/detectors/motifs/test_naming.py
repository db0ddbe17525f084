"""Names of classes say what physics can: vacancy, deficit, excess, on which column, beside what."""

import numpy as np
import pytest

from latticewatch.detectors.motifs.averages import mean_patches
from latticewatch.detectors.motifs.clusters import find_classes
from latticewatch.detectors.motifs.displacement import column_dipoles
from latticewatch.detectors.motifs.naming import ClassName, ColumnScale, name_classes
from support.motif_patches import scene_sample
from support.motif_scenes import CRYSTALS, Recipe


def names_of(recipe: Recipe, side: int, seed: int = 3) -> tuple[list[ClassName], list[str]]:
    """Names of the classes of a scene, and the most frequent true kind of each."""
    given = scene_sample(seed, recipe, side)
    labels = find_classes(given.sample).labels
    patches, errors = mean_patches(given.described.patches, labels)
    scale = ColumnScale(CRYSTALS[recipe.crystal].height, recipe.sigma_px)
    dipoles = column_dipoles(given.described.patches, recipe.sigma_px)
    names = name_classes(given.sample, labels, patches, errors, scale, dipoles)
    true = [
        given.scene.names[int(np.bincount(given.kind[labels == one]).argmax())]
        for one in range(len(names))
    ]
    return names, true


@pytest.mark.parametrize("dose", [200.0, 30.0])
def test_every_kind_has_the_name_that_its_intensity_gives(dose: float) -> None:
    names, true = names_of(Recipe(dose=dose), 33)
    told = {
        kind: (name.role, name.kind, name.sublattice, name.intensity_ratio)
        for name, kind in zip(names, true, strict=True)
        if name.role != "neighbour"
    }
    expected = {
        "A": ("pristine", "none", 0, 1.0),
        "B": ("pristine", "none", 1, 1.0),
        "one S absent": ("defect", "deficit", 1, 0.5),
        "both S absent": ("defect", "vacancy", 1, 0.0),
        "heavy S": ("defect", "excess", 1, 2.0),
        "heavy metal": ("defect", "excess", 0, 1.35),
        "light metal": ("defect", "deficit", 0, 0.5),
    }
    for kind, (role, word, sublattice, ratio) in expected.items():
        assert told[kind][:3] == (role, word, sublattice), kind
        assert told[kind][3] == pytest.approx(ratio, abs=0.06), kind


def test_neighbours_of_a_defect_are_linked_to_it() -> None:
    names, true = names_of(Recipe(dose=200.0), 33)
    linked = {
        true[other]: true[one]
        for one, name in enumerate(names)
        if name.role == "neighbour"
        for other in name.stands_beside
    }
    assert linked == {
        "one S absent": "A",
        "both S absent": "A",
        "heavy S": "A",
        "heavy metal": "B",
        "light metal": "B",
    }
    assert all(name.kind == "none" for name in names if name.role != "defect")


def test_names_are_words_of_physics_and_unique() -> None:
    names, _ = names_of(Recipe(dose=200.0), 33)
    words = [name.automatic_name for name in names]
    assert len(set(words)) == len(words)
    assert {"A", "B", "vacancy on B", "beside vacancy on B"} <= set(words)


def test_equal_columns_share_a_pristine_class() -> None:
    names, _ = names_of(Recipe("graphene", dose=50.0, angle_deg=13.0), 33)
    assert names[0].automatic_name == "A and B"
    assert names[0].sublattice == -1
    assert {name.kind for name in names if name.role == "defect"} == {"vacancy", "excess"}


def test_neighbours_beyond_the_first_shell_are_no_defects() -> None:
    # The patch reaches the second shell here, where sites of the same column stand.
    names, true = names_of(Recipe("square", dose=60.0, angle_deg=13.0), 33)
    defects = sorted(kind for name, kind in zip(names, true, strict=True) if name.role == "defect")
    assert defects == ["half a heavy", "heavy for light", "no light"]
