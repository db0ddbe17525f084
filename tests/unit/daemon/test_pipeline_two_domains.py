"""Columns of two domains are judged, each against its own kind, and the sum is what was allowed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.models import ModelSet
from latticewatch.wire.events import DefectEvent
from support.bicrystals import Bicrystal, bicrystal
from support.crystals import CRYSTALS, Bench, places

CELL_ALONE = ModelSet(None, reference_cell=True, domains="never")
FAR = 4.5  # periods: nearer to the boundary nobody looks, or sees one side only
ONE_SESSION = "1" * 32


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(models=CELL_ALONE)


def judged(bench: Bench, drawn: Bicrystal, **fields: object) -> DefectEvent:
    return bench.judge(drawn.image.astype("<u2"), **fields)


def meets(
    one_yx: NDArray[np.float64], other_yx: NDArray[np.float64], drawn: Bicrystal
) -> NDArray[np.bool_]:
    """Tell which of some places (N, 2) have one of the others within a third of a period."""
    gaps = np.linalg.norm(one_yx[:, None] - other_yx[None], axis=2)
    near: NDArray[np.bool_] = (gaps < 0.3 * drawn.period_px).any(axis=1)
    return near


def domains_of(event: DefectEvent) -> int:
    assert event.lattice is not None
    return event.lattice.domains


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("dose", [0.2, 1.0])
def test_defects_of_both_domains_are_listed(bench: Bench, crystal: str, dose: float) -> None:
    found: dict[bool, list[bool]] = {False: [], True: []}
    false = 0
    for seed, turn_deg in ((1, 15.0), (2, 25.0), (3, 40.0), (4, 50.0)):
        drawn = bicrystal(
            crystal, dose=dose, seed=seed, turn_deg=turn_deg, angle_rad=0.6 * seed, vacancies=16
        )
        event = judged(bench, drawn)
        assert domains_of(event) == 2
        for second, met in found.items():
            met += meets(drawn.deep(second, FAR), places(event), drawn).tolist()
        false += int((~meets(places(event), drawn.defects_yx, drawn)).sum())

    for met in found.values():
        assert len(met) >= 10
        assert np.mean(met) >= 0.9
    # Of 40 to 70 listed. Nearly all are neighbours of true ones near the boundary, where the gain
    # is known from one side: one column in twenty is missing here.
    assert false <= 10


@pytest.mark.slow
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_nothing_is_invented_in_two_perfect_crystals(bench: Bench, crystal: str) -> None:
    n_false = []
    for seed, turn_deg in ((1, 9.0), (2, 20.0), (3, 33.0), (4, 50.0)):
        for share in (0.3, 0.5):
            drawn = bicrystal(
                crystal, seed=seed, turn_deg=turn_deg, share=share, angle_rad=seed, perfect=True
            )
            event = judged(bench, drawn)
            assert domains_of(event) == 2
            n_false.append(event.n_defects)

    assert sum(n_false) <= 2


def test_twins_are_scored_on_both_sides(bench: Bench) -> None:
    # 70.5 degrees: a third of the reflections belong to both sides.
    drawn = bicrystal("zincblende", turn_deg=70.53, seed=2)

    event = judged(bench, drawn)

    assert domains_of(event) == 2
    for second in (False, True):
        deep = drawn.deep(second, FAR)
        assert len(deep)
        assert meets(deep, places(event), drawn).all()
    assert event.n_defects < 15


def test_columns_near_the_boundary_are_not_scored_and_others_are(bench: Bench) -> None:
    drawn = bicrystal(seed=1)

    event = judged(bench, drawn)

    at = np.round(places(event)).astype(int)
    assert (np.abs(drawn.beyond_px[at[:, 0], at[:, 1]]) > 1.5 * drawn.period_px).all()
    # Three periods on either side are not.
    assert 0.5 * event.n_sites < event.n_scored < 0.8 * event.n_sites


def test_addresses_of_two_domains_are_never_the_same(bench: Bench) -> None:
    drawn = bicrystal(seed=1)
    at: dict[tuple[int, int, int], NDArray[np.float64]] = {}
    for seq in range(3):
        event = judged(bench, drawn, session=ONE_SESSION, seq=seq)
        for defect in event.defects:
            if defect.site is not None:
                place = np.array(defect.pixel_yx)
                assert np.abs(place - at.setdefault(defect.site, place)).max() < 1.0

    sublattices = {site[2] // 100 for site in at}
    assert sublattices == {0, 1}
    second = {site for site in at if site[2] >= 100}
    beyond = {
        site: drawn.beyond_px[round(float(place[0])), round(float(place[1]))] > 0
        for site, place in at.items()
    }
    # One side of the boundary each.
    assert len({beyond[site] for site in second}) == 1
    assert {beyond[site] for site in second} != {beyond[site] for site in at.keys() - second}


def test_another_session_begins_the_domains_anew(bench: Bench) -> None:
    judged(bench, bicrystal(seed=1), session=ONE_SESSION, seq=0)

    event = judged(bench, bicrystal(seed=2, share=0.0, perfect=True), session="2" * 32, seq=1)

    assert domains_of(event) == 1
    assert event.n_scored == event.n_sites
    assert event.drift is None
