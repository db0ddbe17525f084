"""Sites are sorted into their kinds, at any dose and angle (methods/motifs.md, 8.4 to 8.8)."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import HDBSCAN

from latticewatch.detectors.motifs.clusters import ClusterSettings, find_classes
from latticewatch.detectors.motifs.layout import lay_out
from latticewatch.detectors.motifs.noise import strange_components
from support.motif_figures import adjusted_rand, macro_recall, neighbour_vote
from support.motif_patches import LOW_DOSE, SceneSample, sample_of, scene_sample
from support.motif_scenes import Recipe

ANGLES_DEG = (7.0, 22.0, 37.0, 52.0)
# Other crystals and scales than the specification's: recipe and side of a patch.
OTHERS = (
    (Recipe("square", dose=30.0, angle_deg=17.0), 25),
    (Recipe("graphene", dose=12.0, angle_deg=40.0), 33),
    (Recipe("ws2", dose=60.0, angle_deg=3.0, bond_px=7.0, sigma_px=1.7, side_px=330), 19),
    (Recipe("square", dose=8.0, angle_deg=31.0, bond_px=17.0, sigma_px=4.0, side_px=700), 35),
)


def frame_of(dose: float, angle_deg: float) -> SceneSample:
    return scene_sample(int(angle_deg), Recipe(dose=dose, angle_deg=angle_deg))


@pytest.mark.parametrize(("dose", "rand", "macro"), [(200.0, 0.97, 0.95), (30.0, 0.95, 0.93)])
def test_kinds_are_recovered_at_every_angle(dose: float, rand: float, macro: float) -> None:
    figures = []
    for angle_deg in ANGLES_DEG:
        given = frame_of(dose, angle_deg)
        labels = find_classes(given.sample).labels[given.clean]
        kind = given.kind[given.clean]
        figures.append((adjusted_rand(kind, labels), macro_recall(kind, labels)))
    assert (np.array(figures) >= (rand, macro)).all(), figures


@pytest.mark.parametrize(("dose", "least"), [(200.0, 0.985), (30.0, 0.98)])
def test_features_of_one_frame_tell_the_kinds_of_a_turned_one(dose: float, least: float) -> None:
    votes = []
    for one, other in itertools.permutations(ANGLES_DEG, 2):
        learnt, asked = frame_of(dose, one), frame_of(dose, other)
        to_z = strange_components(learnt.described.features, learnt.sample.sublattice)
        z = (asked.described.features - to_z.mean) @ to_z.matrix
        votes.append(
            neighbour_vote(
                (learnt.sample.z[learnt.clean], learnt.kind[learnt.clean]),
                (z[asked.clean], asked.kind[asked.clean]),
            )
        )
    assert np.mean(votes) >= least


@pytest.mark.parametrize("angle_deg", ANGLES_DEG)
def test_low_dose_route_recovers_the_kinds_at_12_counts(angle_deg: float) -> None:
    given = frame_of(12.0, angle_deg)
    found = find_classes(given.sample, LOW_DOSE)
    assert found.route == "layout"
    assert macro_recall(given.kind[given.clean], found.labels[given.clean]) >= 0.93
    assert 11 <= len(found.means) <= 14


@pytest.mark.slow
def test_layout_of_ordinary_components_is_torn_where_nothing_is_merged() -> None:
    # Why clusters of a layout are merged: five principal components of the features as they are.
    torn, merged = [], []
    for angle_deg in ANGLES_DEG:
        given = frame_of(12.0, angle_deg)
        off = given.described.features - given.described.features.mean(axis=0)
        z = off @ np.linalg.svd(off, full_matrices=False)[2][:5].T
        knots = HDBSCAN(min_cluster_size=10, copy=True).fit_predict(lay_out(z))
        torn.append(int(knots.max()) + 1)
        plain = replace(given.sample, z=z)
        merged.append(len(find_classes(plain, LOW_DOSE).means))
    assert np.mean(torn) > 20
    assert all(10 <= n <= 14 for n in merged), (torn, merged)


@pytest.mark.parametrize(("recipe", "side"), OTHERS)
def test_kinds_of_other_crystals_are_recovered(recipe: Recipe, side: int) -> None:
    given = scene_sample(5, recipe, side)
    labels = find_classes(given.sample).labels[given.clean]
    kind = given.kind[given.clean]
    if recipe.crystal == "graphene":
        kind = np.where(kind == 1, 0, kind)  # both columns of the cell are carbon
    assert adjusted_rand(kind, labels) >= 0.97
    assert macro_recall(kind, labels) >= 0.95


@pytest.mark.parametrize("dose", [200.0, 30.0])
@pytest.mark.parametrize("name", ["both S absent", "heavy metal"])
def test_lone_defect_is_a_far_outlier_and_no_class(dose: float, name: str) -> None:
    given = scene_sample(11, Recipe(dose=dose, n_each=1, kinds=(name,)))
    found = find_classes(given.sample)
    lone = np.flatnonzero(given.kind > 1)
    assert found.labels[lone] == -1
    off = given.sample.z[:, None] - found.means
    distance2 = np.einsum(
        "nkc,nkc->nk", off, np.linalg.solve(found.covariances, off[..., None])[..., 0]
    ).min(axis=1)
    pristine = given.clean & (given.kind <= 1)
    assert distance2[lone] > np.quantile(distance2[pristine], 0.999)


def test_two_defects_that_agree_are_a_class() -> None:
    given = scene_sample(12, Recipe(dose=30.0, n_each=2, kinds=("both S absent", "light metal")))
    labels = find_classes(given.sample).labels
    for kind in (3, 6):
        (label,) = set(labels[given.kind == kind])
        assert label >= 0
        assert set(given.kind[labels == label]) == {kind}


def test_two_defects_of_one_species_three_bonds_apart_are_two_and_so_a_class() -> None:
    # Sites of one species are 1.7 bonds apart: what is near is told by the whole crystal.
    given = scene_sample(12, Recipe(dose=30.0, n_each=0, side_px=400))
    sulphur = np.flatnonzero(given.sample.sublattice == 1)
    apart = np.linalg.norm(
        given.sample.places_yx[sulphur] - given.sample.places_yx[sulphur[40]], axis=1
    )
    pair = sulphur[[40, int(np.abs(apart - 3.0 * given.scene.bond_px).argmin())]]
    z = given.sample.z.copy()
    z[pair] += 30.0 * z[sulphur].std(axis=0)
    labels = find_classes(replace(given.sample, z=z)).labels
    assert labels[pair[0]] == labels[pair[1]] >= 0
    assert (labels == labels[pair[0]]).sum() == 2


def test_perfect_crystal_has_one_class_to_a_sublattice() -> None:
    for seed in range(3):
        given = scene_sample(seed, Recipe(dose=30.0, n_each=0, side_px=400))
        found = find_classes(given.sample)
        assert len(found.means) == 2
        assert (found.labels >= 0).mean() > 0.99


def test_same_sites_in_another_order_have_the_same_classes() -> None:
    given = frame_of(30.0, 7.0)
    order = np.random.default_rng(0).permutation(len(given.kind))
    one, other = find_classes(given.sample), find_classes(given.sample.of(order))
    assert len(one.means) == len(other.means)
    assert adjusted_rand(one.labels[order], other.labels) > 0.995


@pytest.mark.parametrize("n_sites", [1, 2, 7, 30])
def test_few_sites_are_sorted_without_a_word(n_sites: int) -> None:
    given = frame_of(200.0, 7.0).sample.of(np.arange(n_sites))
    found = find_classes(given, ClusterSettings(route="auto"))
    assert found.labels.shape == (n_sites,)
    assert np.isfinite(found.means).all()
    assert np.isfinite(found.covariances).all()


def test_sites_that_are_all_equal_are_one_class() -> None:
    n_sites = 60
    given = sample_of(
        np.ones((n_sites, 36)),
        np.zeros(n_sites, np.intp),
        np.array(list(itertools.product(range(6), range(10))), np.float64) * 9.0,
    )
    assert set(find_classes(given).labels) == {0}
