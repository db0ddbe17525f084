"""Ids survive refits, and averages know their error (methods/motifs.md, 8.8 and 8.10)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticewatch.detectors.motifs.averages import mean_patches
from latticewatch.detectors.motifs.clusters import Classes, ClusterSettings, find_classes
from latticewatch.detectors.motifs.matching import match_classes
from latticewatch.detectors.motifs.noise import strange_components
from support.motif_patches import sample_of, scene_sample
from support.motif_scenes import Recipe


def ids_after(old: Classes, new: Classes) -> list[int]:
    ids = list(range(1, len(old.means) + 1))
    return match_classes(old.means, ids, new.means, old.noise_covariance)


def test_another_seed_keeps_all_ids() -> None:
    sample = scene_sample(7, Recipe(dose=12.0)).sample
    old, new = (
        find_classes(sample, ClusterSettings(route="layout", seed=seed)) for seed in (48, 49)
    )
    assert sorted(ids_after(old, new)) == list(range(1, len(old.means) + 1))


def test_other_half_of_the_sites_keeps_the_ids_of_all_kinds() -> None:
    sample = scene_sample(7, Recipe(dose=60.0)).sample
    odd = np.arange(len(sample.z)) % 2 == 1
    old, new = (find_classes(sample.of(np.flatnonzero(part))) for part in (odd, ~odd))
    assert sorted(ids_after(old, new)) == list(range(1, len(old.means) + 1))


def test_one_new_kind_adds_exactly_one_id() -> None:
    drawn = scene_sample(7, Recipe(dose=30.0))
    new_kind = drawn.scene.names.index("light metal")
    # Its neighbours are another kind again: both are left out of the first sample.
    known = drawn.kind != new_kind
    beside = drawn.scene.beside[drawn.sites] == new_kind
    one = find_classes(drawn.sample.of(np.flatnonzero(known & ~beside)))
    two = find_classes(drawn.sample.of(np.flatnonzero(~beside)))
    ids = ids_after(one, two)
    assert sorted(ids)[:-1] == list(range(1, len(one.means) + 1))
    assert max(ids) == len(one.means) + 1


def test_ids_survive_a_frame_at_another_angle() -> None:
    first = scene_sample(7, Recipe(dose=60.0, angle_deg=7.0))
    second = scene_sample(22, Recipe(dose=60.0, angle_deg=22.0))
    to_z = strange_components(first.described.features, first.sample.sublattice)
    old = find_classes(first.sample)
    turned = second.sample
    z = (second.described.features - to_z.mean) @ to_z.matrix
    new = find_classes(
        type(turned)(z, turned.sublattice, turned.places_yx, turned.address, turned.frame)
    )
    assert sorted(ids_after(old, new)) == list(range(1, len(old.means) + 1))


@given(st.permutations(range(6)), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_matching_undoes_any_order(order: list[int], seed: int) -> None:
    means = np.random.default_rng(seed).normal(0.0, 50.0, (6, 3))
    ids = [3, 1, 4, 15, 9, 2]
    found = match_classes(means, ids, means[order], np.eye(3))
    assert found == [ids[one] for one in order]


def test_class_far_from_all_old_ones_gets_an_id_that_was_never_used() -> None:
    old = np.array([[0.0, 0.0], [10.0, 0.0]])
    new = np.array([[10.1, 0.0], [100.0, 0.0], [0.0, 0.2]])
    assert match_classes(old, [2, 5], new, np.eye(2)) == [5, 6, 2]
    assert match_classes(old, [2, 5], new, np.eye(2), next_id=9) == [5, 9, 2]
    assert match_classes(old[:0], [], new, np.eye(2)) == [1, 2, 3]
    assert match_classes(old, [2, 5], new[:0], np.eye(2)) == []


def test_error_of_a_mean_patch_falls_as_the_root_of_the_members() -> None:
    rng = np.random.default_rng(0)
    truth = np.outer(np.hanning(21), np.hanning(21))
    rms = []
    for n_members in (16, 64, 256):
        patches = (truth + rng.normal(0.0, 0.3, (n_members, 21, 21))).astype(np.float32)
        mean, error = mean_patches(patches, np.zeros(n_members, np.intp))
        rms.append(float(np.sqrt(np.mean((mean[0] - truth) ** 2))))
        assert np.sqrt(np.mean(error[0] ** 2)) == pytest.approx(rms[-1], rel=0.1)
    assert np.array(rms) * np.sqrt([16, 64, 256]) == pytest.approx(0.3, rel=0.1)


def test_noise_of_averages_of_drawn_classes_falls_as_the_root_of_the_members() -> None:
    drawn = scene_sample(7, Recipe(dose=30.0, jitter_px=0.0))
    chosen = np.flatnonzero((drawn.kind == 0) & drawn.clean)
    patches = drawn.described.patches
    halves = [patches[chosen[start:400:2]].mean(axis=0) for start in (0, 1)]
    few = [patches[chosen[start:50:2]].mean(axis=0) for start in (0, 1)]
    many_rms, few_rms = (np.nanstd(a - b) for a, b in (halves, few))
    assert few_rms / many_rms == pytest.approx(np.sqrt(8.0), rel=0.1)


def test_single_member_has_a_mean_and_no_error() -> None:
    patches = np.ones((3, 4, 4), np.float32)
    mean, error = mean_patches(patches, np.array([0, -1, -1], np.intp))
    assert mean.shape == (1, 4, 4)
    assert np.isnan(error).all()
    assert len(mean_patches(patches, np.full(3, -1, np.intp))[0]) == 0


def test_model_of_a_perfect_crystal_sees_what_it_was_told_to_look_for() -> None:
    perfect = scene_sample(2, Recipe(dose=60.0, n_each=0, side_px=400))
    broken = scene_sample(3, Recipe(dose=60.0, n_each=6, side_px=400, kinds=("both S absent",)))
    absent = broken.kind == broken.scene.names.index("both S absent")
    features = broken.described.features
    probe = features[absent].mean(axis=0) - features[broken.kind == 1].mean(axis=0)
    to_z = strange_components(
        perfect.described.features, perfect.sample.sublattice, probes=probe[None]
    )
    z = (features - to_z.mean) @ to_z.matrix
    sound = z[(broken.kind == 1) & broken.clean]
    assert np.linalg.norm(z[absent] - sound.mean(axis=0), axis=1).min() > 2 * (
        np.linalg.norm(sound - sound.mean(axis=0), axis=1).max()
    )


def test_sample_of_two_frames_is_sorted_as_one() -> None:
    one, other = (scene_sample(a, Recipe(dose=60.0, angle_deg=float(a))) for a in (7, 22))
    sample = sample_of(
        np.concatenate([one.described.features, other.described.features]),
        np.concatenate([one.sample.sublattice, other.sample.sublattice]),
        np.concatenate([one.sample.places_yx, other.sample.places_yx]),
        np.repeat([0, 1], [len(one.kind), len(other.kind)]),
    )
    assert len(find_classes(sample).means) == len(find_classes(one.sample).means)


def test_a_kind_that_moved_keeps_its_id_where_nothing_else_is_near() -> None:
    old = np.array([[0.0, 0.0], [40.0, 0.0], [0.0, 60.0]])
    new = np.array([[0.5, 0.0], [48.0, 3.0], [9.0, 60.0]])
    akin = np.eye(3, dtype=bool)

    assert match_classes(old, [1, 2, 3], new, np.eye(2), 4, akin) == [1, 2, 3]
    assert match_classes(old, [1, 2, 3], new, np.eye(2), 4) == [1, 4, 5]


def test_another_kind_at_the_same_distance_gets_an_id_of_its_own() -> None:
    old, new = np.array([[0.0, 0.0], [40.0, 0.0]]), np.array([[0.0, 0.0], [48.0, 3.0]])
    akin = np.array([[True, False], [False, False]])

    assert match_classes(old, [1, 2], new, np.eye(2), 3, akin) == [1, 3]
