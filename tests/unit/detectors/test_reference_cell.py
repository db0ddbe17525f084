"""The reference cell finds what differs from the mean cell, and nothing where nothing does."""

import numpy as np
import pytest

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import LatticeLock, lock_lattice
from latticewatch.detectors.reference_cell.residue import Strangers
from latticewatch.detectors.reference_cell.score import ReferenceCellDetector
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.cell_results import column, listed, look
from support.crystals import CRYSTALS, Image, image_of, net_frame, specimen

SQUARE = [[20.0, 0.0], [0.0, 20.0]]
DUMBBELL = ((0.0, 0.0), (0.35, 0.35))


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_nearly_all_defects_of_a_specimen_are_listed_at_their_place(crystal: str) -> None:
    n_true = n_found = n_listed = 0
    for seed in range(1, 4):
        pixels, truth = specimen(crystal, seed=seed)
        found = np.array([defect.place_yx for defect in listed(image_of(pixels))])
        gaps = np.linalg.norm(found[:, None] - truth.pixel_yx[None], axis=2)
        near = gaps < 0.25 * truth.period_px
        n_true += len(truth.pixel_yx)
        n_found += int(near.any(axis=0).sum())
        n_listed += len(found)

    assert n_found >= 0.95 * n_true
    assert n_listed <= 1.1 * n_true


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_perfect_crystal_lists_next_to_nothing(crystal: str) -> None:
    counts = [
        len(listed(image_of(specimen(crystal, seed=seed, perfect=True)[0]))) for seed in range(6)
    ]

    assert sum(counts) <= 1


@pytest.mark.parametrize(
    ("counts", "kind", "ratio"),
    [(-25.0, "deficit", 0.0), (-10.0, "deficit", 0.6), (25.0, "excess", 2.0)],
)
def test_intensity_of_a_column_is_told(counts: float, kind: str, ratio: float) -> None:
    frame = net_frame(SQUARE, seed=None) + column((120.0, 140.0), counts)
    frame = np.random.default_rng(3).poisson(np.maximum(frame, 0.0)).astype(np.float32)

    found = listed(frame)

    assert [defect.kind for defect in found] == [kind]
    assert found[0].place_yx == pytest.approx((120.0, 140.0), abs=0.5)
    assert found[0].intensity_ratio == pytest.approx(ratio, abs=0.12)


def test_displaced_column_is_listed_where_it_is_with_its_shift() -> None:
    frame = net_frame(SQUARE, seed=None)
    frame += column((120.0, 140.0), -25.0) + column((121.5, 138.0), 25.0)
    frame = np.random.default_rng(4).poisson(frame).astype(np.float32)

    found = listed(frame)

    assert [defect.kind for defect in found] == ["displaced"]
    assert found[0].place_yx == pytest.approx((121.5, 138.0), abs=0.4)
    assert found[0].moved_px_yx == pytest.approx((1.5, -2.0), abs=0.4)


def test_column_between_the_sites_is_extra() -> None:
    frame = net_frame(SQUARE, seed=None) + column((130.0, 150.0), 15.0)
    frame = np.random.default_rng(5).poisson(frame).astype(np.float32)

    found = listed(frame)

    assert [defect.kind for defect in found] == ["extra"]
    assert found[0].place_yx == pytest.approx((130.0, 150.0), abs=1.5)
    assert found[0].address is None


def test_neighbouring_vacancies_are_one_defect() -> None:
    frame = net_frame(SQUARE, motif=DUMBBELL, sigma_px=2.2, seed=None)
    for place in ((120.0, 140.0), (127.0, 147.0)):
        frame -= column(place, 25.0, 2.2)
    frame = np.random.default_rng(6).poisson(np.maximum(frame, 0.0)).astype(np.float32)

    found = listed(frame)

    assert len(found) == 1
    assert found[0].place_yx == pytest.approx((123.5, 143.5), abs=1.0)


def doped(share: float, *, counts: float = 10.0, seed: int = 11) -> tuple[Image, list[list[float]]]:
    """Draw a square net of which some columns are brighter, and one is missing; noisy."""
    rng = np.random.default_rng(seed)
    frame = net_frame(SQUARE, seed=None)
    columns = [[20.0 * i, 20.0 * j] for i in range(1, 12) for j in range(1, 12)]
    chosen = rng.permutation(len(columns))[: round(share * len(columns)) + 1]
    missing, *bright = (columns[k] for k in chosen)
    frame -= column((missing[0], missing[1]), 25.0)
    for place in bright:
        frame += column((place[0], place[1]), counts)
    return rng.poisson(np.maximum(frame, 0.0)).astype(np.float32), [missing, *bright]


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_many_bright_columns_are_dopants_and_a_missing_one_is_none(seed: int) -> None:
    frame, (missing, *bright) = doped(0.12, seed=seed)

    found = listed(frame)

    dopants = np.array([defect.place_yx for defect in found if defect.is_dopant])
    others = [defect for defect in found if not defect.is_dopant]
    gaps = np.linalg.norm(np.array(bright)[:, None] - dopants[None], axis=2)
    assert (gaps.min(axis=1) < 2).mean() >= 0.9
    assert (gaps.min(axis=0) < 2).all()
    assert others[0].kind == "deficit"
    assert others[0].place_yx == pytest.approx(missing, abs=0.5)
    assert len(others) <= 2


def test_a_few_bright_columns_are_defects() -> None:
    frame, (_, *bright) = doped(0.03)
    found = listed(frame)
    assert len([defect for defect in found if defect.kind == "excess"]) == len(bright)
    assert not any(defect.is_dopant for defect in found)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_crystal_of_one_species_has_no_dopants(crystal: str) -> None:
    for seed, dose in ((1, 2e5), (2, 3e4), (3, 5e3)):
        pixels, _ = specimen(crystal, seed=seed, perfect=True, dose_e_per_ang2=dose)
        result = look(image_of(pixels))
        assert result is not None
        assert not any(defect.is_dopant for defect in result.defects)


def test_covariance_of_an_extra_column_is_that_of_its_places() -> None:
    misses, expected = [], []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        place = (130.0 + rng.uniform(-1, 1), 150.0 + rng.uniform(-1, 1))
        frame = net_frame(SQUARE, seed=None) + column(place, 16.0)
        found = listed(rng.poisson(frame).astype(np.float32))
        extra = [defect for defect in found if defect.kind == "extra"]
        assert len(extra) == 1
        misses.append(np.subtract(extra[0].place_yx, place))
        expected.append([extra[0].cov_px[0], extra[0].cov_px[2]])
    measured = np.square(misses).mean()
    assert 0.4 * np.mean(expected) < measured < 2.5 * np.mean(expected)


def test_columns_are_looked_at_only_where_the_lattice_holds() -> None:
    frame = net_frame(SQUARE)
    rng = np.random.default_rng(5)
    frame[:, 130:] = rng.poisson(1.0, frame[:, 130:].shape)

    result = look(frame)

    assert result is not None
    assert result.n_beyond >= 0.4 * (result.n_sites + result.n_beyond)
    assert result.places_yx[:, 1].max() < 130 - 10
    assert not listed(frame)


def test_what_was_strange_in_the_last_frame_may_be_known() -> None:
    microscope = Microscope(MicroscopeSettings(seed=6, shape_yx=(384, 384)))
    detector = ReferenceCellDetector()
    frames = [image_of(microscope.frame(k)[0]) for k in range(2)]
    locks = [locked(frame) for frame in frames]
    first = detector.look(frames[0], locks[0])
    assert first is not None
    assert len(first.strangers.coordinates) >= 8

    anew = detector.look(frames[1], locks[1])
    known = detector.look(frames[1], locks[1], first.strangers)

    assert anew is not None
    assert known is not None
    certain = [
        {defect.address for defect in result.defects if defect.score > 6}
        for result in (anew, known)
    ]
    assert certain[0] == certain[1]
    assert len(certain[0]) >= 5


def test_frame_unlike_the_last_one_is_looked_at_twice() -> None:
    frame, _ = doped(0.12)
    detector, lock = ReferenceCellDetector(), locked(frame)
    nobody = Strangers(np.empty((0, 2)), 10.0)

    anew, known = detector.look(frame, lock), detector.look(frame, lock, nobody)

    assert anew is not None
    assert known is not None
    # The squared norms are those of the first round, whose law of the noise is a little coarser.
    assert [one.address for one in known.defects] == [one.address for one in anew.defects]
    assert [one.log_p for one in known.defects] == pytest.approx(
        [one.log_p for one in anew.defects], rel=0.02
    )


def locked(image: Image) -> LatticeLock:
    lattice = find_lattice(image)
    assert lattice is not None
    lock = lock_lattice(image, lattice)
    assert lock is not None
    return lock


def test_same_frame_gives_the_same_result_whatever_came_before() -> None:
    detector = ReferenceCellDetector()
    image = image_of(specimen(seed=5)[0])
    lock = locked(image)
    first = detector.look(image, lock)
    assert first is not None
    detector.look(net_frame(SQUARE), lock)

    again = detector.look(image, lock)

    assert again is not None
    assert again.defects == first.defects


def test_gain_and_offset_change_nothing_of_the_places() -> None:
    image = image_of(specimen(seed=5)[0])

    plain, changed = listed(image), listed(image * 1.5 + 20)

    assert len(plain) == len(changed)
    for one, other in zip(plain, changed, strict=True):
        assert one.place_yx == pytest.approx(other.place_yx, abs=0.01)


def test_frame_is_not_changed() -> None:
    image = image_of(specimen(seed=5)[0])
    before = image.copy()

    look(image)

    assert np.array_equal(image, before)


@pytest.mark.parametrize("counts", [0.2, 5.0])
def test_noise_has_no_cell(counts: float) -> None:
    image = np.random.default_rng(7).poisson(counts, (256, 256)).astype(np.float32)

    assert look(image) is None


@pytest.mark.parametrize("power", [-30, 7, 60])
def test_defects_do_not_depend_on_the_unit_of_the_frame(power: int) -> None:
    frame = net_frame(SQUARE, seed=None)
    frame += column((120.0, 140.0), -25.0) + column((60.0, 80.0), 15.0)
    frame = np.random.default_rng(8).poisson(np.maximum(frame, 0.0)).astype(np.float32)
    result, other = look(frame), look(frame * np.float32(2.0**power))
    assert result is not None
    assert other is not None
    assert len(result.defects) >= 2
    for one, same in zip(result.defects, other.defects, strict=True):
        assert same.kind == one.kind
        assert same.place_yx == pytest.approx(one.place_yx, abs=1e-3)
        assert same.log_p == pytest.approx(one.log_p, rel=1e-3)
