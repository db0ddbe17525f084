"""Rejects of a model: groups that agree are proposed, with ids that stay."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.motifs.reservoir import (
    FIRST_PROPOSED_ID,
    MOST_ENTRIES,
    MOST_PROPOSED,
    Reject,
    Reservoir,
)
from latticewatch.detectors.motifs.site_keys import SiteKey

SIDE = 7


@dataclass(frozen=True)
class TwoClasses:
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    reject_chi2: float = 20.5


def model() -> TwoClasses:
    return TwoClasses(np.array([[0.0] * 5, [10.0, 0, 0, 0, 0]]), np.stack([np.eye(5), np.eye(5)]))


def rejects(
    middle: list[float], n: int, seed: int = 0, *, kind: str = "excess", first: int = 0
) -> list[Reject]:
    dice = np.random.default_rng(seed)
    return [
        Reject(
            key=SiteKey(0, 0, first + k, 0, 1),
            z=np.array(middle) + dice.normal(0.0, 1.0, 5),
            kind=kind,
            intensity_ratio=1.5,
            patch=np.full((SIDE, SIDE), float(k), np.float32),
        )
        for k in range(n)
    ]


FAR, ELSEWHERE = [0.0, 12.0, 0, 0, 0], [0.0, 0, -14.0, 0, 0]


def test_a_group_that_agrees_is_proposed() -> None:
    reservoir = Reservoir(model())
    reservoir.add(rejects(FAR, 8))
    (told,) = reservoir.propose()
    assert told.class_id == FIRST_PROPOSED_ID
    assert (told.kind, told.sublattice, told.n_sites) == ("excess", 1, 8)
    assert told.name == f"new excess {FIRST_PROPOSED_ID}"
    assert told.nearest == 0
    assert told.distance == pytest.approx(12.0, abs=1.5)
    assert told.intensity_ratio == 1.5
    assert np.abs(told.mean - FAR).max() < 1.0
    assert told.patch.shape == (SIDE, SIDE)
    assert np.allclose(told.patch, 3.5)
    assert np.linalg.eigvalsh(told.covariance).min() > 0.3


def test_one_site_seen_often_is_no_class() -> None:
    reservoir = Reservoir(model())
    for seed in range(50):
        reservoir.add(rejects(FAR, 1, seed))
    assert reservoir.n_sites == 1
    assert reservoir.propose() == ()


def test_scattered_rejects_are_no_class() -> None:
    dice = np.random.default_rng(0)
    reservoir = Reservoir(model())
    for k in range(30):
        reservoir.add(rejects((dice.normal(0, 1, 5) * 40).tolist(), 1, k, first=k))
    assert reservoir.propose() == ()


def test_the_tail_of_a_known_class_is_no_class() -> None:
    dice = np.random.default_rng(0)
    many = dice.normal(0.0, 1.0, (200_000, 5))
    tail = many[np.square(many).sum(axis=1) > model().reject_chi2]
    reservoir = Reservoir(model())
    patch = np.zeros((SIDE, SIDE), np.float32)
    reservoir.add(
        [Reject(SiteKey(0, 0, k, 0, 0), z, "deficit", None, patch) for k, z in enumerate(tail)]
    )
    assert len(tail) > 100
    assert reservoir.propose() == ()


def test_ids_stay_while_classes_are_added() -> None:
    reservoir = Reservoir(model())
    reservoir.add(rejects(FAR, 8))
    (first,) = reservoir.propose()
    reservoir.add(rejects(ELSEWHERE, 9, 1, kind="deficit", first=100))
    reservoir.add(rejects(FAR, 8, 2, first=50))
    again, second = reservoir.propose()
    assert (again.class_id, second.class_id) == (first.class_id, first.class_id + 1)
    assert (again.n_sites, second.kind) == (16, "deficit")
    assert reservoir.propose()[0].class_id == first.class_id


def test_the_same_rejects_give_the_same_proposals_in_any_order() -> None:
    given = rejects(FAR, 8) + rejects(ELSEWHERE, 9, 1, first=100)
    told = []
    for order in (given, given[::-1]):
        reservoir = Reservoir(model())
        reservoir.add(order)
        told.append([(one.class_id, one.n_sites, one.mean.tolist()) for one in reservoir.propose()])
    assert told[0] == told[1]


def test_more_sites_than_it_holds_push_the_oldest_out() -> None:
    reservoir = Reservoir(model())
    reservoir.add(rejects(FAR, MOST_ENTRIES + 10))
    assert reservoir.n_sites == MOST_ENTRIES


def test_fewer_sites_than_asked_for_are_not_proposed() -> None:
    reservoir = Reservoir(model(), propose_after=9)
    reservoir.add(rejects(FAR, 8))
    assert reservoir.propose() == ()
    reservoir.add(rejects(FAR, 1, 7, first=20))
    assert len(reservoir.propose()) == 1


def test_an_empty_reservoir_proposes_nothing() -> None:
    assert Reservoir(model()).propose() == ()


def at(key: SiteKey, z: NDArray[np.float64]) -> Reject:
    return Reject(key, z, "extra", None, np.zeros((SIDE, SIDE), np.float32))


def test_one_site_seen_in_many_chains_of_frames_is_no_class() -> None:
    dice = np.random.default_rng(0)
    reservoir = Reservoir(model())
    for chain in range(40):
        reservoir.add([at(SiteKey(chain, 0, 5, 5, 1), np.array(FAR) + dice.normal(0, 1, 5))])
    assert reservoir.propose() == ()
    reservoir.add([at(SiteKey(39, 0, k, 0, 1), np.array(FAR)) for k in range(4)])
    (told,) = reservoir.propose()
    assert told.n_sites == 5


def test_a_place_between_sites_at_the_border_of_two_steps_is_one() -> None:
    dice = np.random.default_rng(0)
    reservoir = Reservoir(model(), propose_after=3)
    for i in (7, 8):
        for j in (-1, 0):
            reservoir.add([at(SiteKey(0, 0, i, j, -1), np.array(FAR) + dice.normal(0, 1, 5))])
    assert reservoir.propose() == ()
    # The same places in another domain, and others in the same cells, are other sites.
    reservoir.add([at(SiteKey(0, 1, 7, 0, -1), np.array(FAR))])
    reservoir.add([at(SiteKey(0, 0, 5, 0, -1), np.array(FAR))])
    (told,) = reservoir.propose()
    assert told.n_sites == 3


def test_a_broad_cloud_is_few_classes() -> None:
    dice = np.random.default_rng(0)
    reservoir = Reservoir(model())
    cloud = np.array([0.0, 60.0, 0, 0, 0]) + dice.normal(0.0, 6.0, (1000, 5))
    reservoir.add([at(SiteKey(0, 0, k, 0, 1), z) for k, z in enumerate(cloud)])
    for _ in range(3):
        assert len(reservoir.propose()) <= MOST_PROPOSED


def test_a_class_whose_members_are_gone_is_proposed_no_more_and_its_id_not_given_again() -> None:
    reservoir = Reservoir(model())
    reservoir.add(rejects(FAR, 8))
    (first,) = reservoir.propose()
    reservoir.add(rejects(ELSEWHERE, MOST_ENTRIES, 1, first=100))
    told = reservoir.propose()
    assert first.class_id not in [one.class_id for one in told]
    assert {one.class_id for one in told} == {first.class_id + 1}


def test_large_patches_are_kept_in_fewer_entries() -> None:
    reservoir = Reservoir(model())
    patch = np.zeros((129, 129), np.float32)
    reservoir.add(
        [Reject(SiteKey(0, 0, k, 0, 1), np.zeros(5), "extra", None, patch) for k in range(400)]
    )
    assert reservoir.n_sites * 129**2 * 8 <= 16_000_000
