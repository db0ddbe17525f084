"""Two domains are followed by themselves: masks, addresses, numbers, and what ends them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.follow import FrameLattice, Refusal
from latticewatch.detectors.follow_domains import DomainFollower
from support.bicrystals import Bicrystal, bicrystal
from support.crystals import Image, image_of, specimen

SIDE_PX = 384
STEP_PX = 8


def seen(follower: DomainFollower, image: Image) -> tuple[FrameLattice, ...]:
    found = follower.look(np.ascontiguousarray(image))
    assert not isinstance(found, Refusal), found
    return found


def window(wide: Bicrystal, first_px: int) -> Image:
    """What is seen when the field has moved to the right by so much."""
    return wide.image[:, first_px : first_px + SIDE_PX]


@pytest.fixture(scope="module")
def wide() -> Bicrystal:
    """The boundary stands upright in the middle."""
    return bicrystal("zincblende", angle_rad=0.0, shape_yx=(SIDE_PX, 3 * SIDE_PX), seed=3)


@pytest.mark.parametrize("angle_rad", [0.0, 0.8, np.pi / 2])
def test_each_domain_holds_its_own_part(angle_rad: float) -> None:
    drawn = bicrystal(angle_rad=angle_rad)

    first, second = sorted(
        seen(DomainFollower(), drawn.image), key=lambda one: bool(_middle_beyond(one, drawn) > 0)
    )

    for sign, one in ((-1, first), (1, second)):
        held = _at_pixels(one, drawn)
        own = sign * drawn.beyond_px > 0
        assert held[own].mean() > 0.9
        # A block and the low-pass smear the border by a period.
        assert not (held & (sign * drawn.beyond_px < -1.5 * drawn.period_px)).any()
    assert not (_at_pixels(first, drawn) & _at_pixels(second, drawn)).mean() > 0.01


def _at_pixels(one: FrameLattice, drawn: Bicrystal) -> NDArray[np.bool_]:
    places = np.indices(drawn.image.shape).reshape(2, -1).T.astype(np.float64)
    return one.lock.holds_at(places).reshape(drawn.image.shape)


def _middle_beyond(one: FrameLattice, drawn: Bicrystal) -> float:
    return float(np.median(drawn.beyond_px[_at_pixels(one, drawn)]))


@pytest.mark.parametrize(
    ("crystal", "turn_deg"),
    [("mos2", 21.787), ("srtio3", 36.87), ("zincblende", 70.53), ("zincblende", 109.47)],
)
@pytest.mark.parametrize("dose", [0.2, 1.0])
def test_domains_in_special_position_are_two(crystal: str, turn_deg: float, dose: float) -> None:
    # Both index the spectrum together by a net of larger cells; twins of zinc blende share a row.
    drawn = bicrystal(crystal, turn_deg=turn_deg, dose=dose, seed=2)

    found = seen(DomainFollower(), drawn.image)

    cell_px = specimen_cell_px(crystal)
    assert [one.lattice.cell_px for one in found] == pytest.approx([cell_px] * 2, rel=0.02)


def specimen_cell_px(crystal: str) -> float:
    (one,) = seen(DomainFollower(), image_of(specimen(crystal, seed=3)[0]))
    return one.lattice.cell_px


def test_weak_reflections_are_not_hidden_by_those_of_the_other_domain() -> None:
    # Without them Sr and Ti of this frame are one kind of column.
    drawn = bicrystal("srtio3", dose=0.2, seed=2, angle_rad=1.2, vacancies=16)

    found = seen(DomainFollower(), drawn.image)

    cell_px = specimen_cell_px("srtio3")
    assert [one.lattice.cell_px for one in found] == pytest.approx([cell_px] * 2, rel=0.02)


def test_domains_are_numbered_and_followed_with_their_addresses(wide: Bicrystal) -> None:
    follower = DomainFollower()
    coordinates: dict[int, NDArray[np.float64]] = {}
    place = np.array([[SIDE_PX / 2, 0.0]])
    for frame in range(8):
        corner_px = SIDE_PX + STEP_PX * frame
        found = seen(follower, window(wide, corner_px))
        assert [one.domain for one in found] == [0, 1]
        assert all(one.followed == (frame > 0) for one in found)
        for one, at_px in zip(found, _either_side(found, corner_px), strict=True):
            u = _coordinate(one, place + np.array([0.0, at_px - corner_px]))
            # A tenth of a cell: the same cell of the same specimen, all along.
            assert np.abs(u - coordinates.setdefault(one.domain, u)).max() < 0.1
        if frame:
            for one in found:
                assert one.drift_px_yx == pytest.approx([0.0, -STEP_PX], abs=0.3)


def _either_side(found: tuple[FrameLattice, ...], corner_px: int) -> tuple[float, float]:
    """Columns of the specimen well inside the first domain and the second."""
    left, right = 1.3 * SIDE_PX, 1.7 * SIDE_PX
    at_left = np.array([[SIDE_PX / 2, left - corner_px]])
    return (left, right) if found[0].lock.holds_at(at_left)[0] else (right, left)


def _coordinate(one: FrameLattice, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cell coordinates (2,) of a place (1, 2)."""
    lock = one.lock
    block = ((place[0] + 0.5) // lock.step_px).astype(int)
    centre = (block + 0.5) * lock.step_px - 0.5
    # The phase hardly changes within a block.
    u: NDArray[np.float64] = lock.reciprocal_per_px @ place[0] + lock.phase[:, block[0], block[1]]
    assert np.abs(centre - place[0]).max() <= lock.step_px
    return u


def test_second_takes_over_when_the_first_leaves_the_frame(wide: Bicrystal) -> None:
    follower = DomainFollower()
    numbers = []
    for corner_px in range(SIDE_PX - 4 * STEP_PX, 2 * SIDE_PX - 10 * STEP_PX, STEP_PX):
        found = seen(follower, window(wide, corner_px))
        numbers.append([one.domain for one in found])
        if len(numbers) > 1:
            # Whoever is first went the way of the specimen.
            assert found[0].drift_px_yx == pytest.approx([0.0, -STEP_PX], abs=0.4)

    assert numbers[0] == [0, 1]
    assert numbers[-1][0] == 1
    assert len(numbers[-1]) == 1


def test_second_that_left_comes_back_under_another_number(wide: Bicrystal) -> None:
    follower = DomainFollower()
    numbers: list[list[int]] = []
    # The boundary goes out of the frame to the right, and comes back.
    way = [*range(SIDE_PX, SIDE_PX // 2 - 10, -3 * STEP_PX)]
    for corner_px in (*way, *way[::-1], *([SIDE_PX] * 20)):
        found = seen(follower, window(wide, corner_px))
        numbers.append([one.domain for one in found])

    assert numbers[0] == [0, 1]
    assert [0] in numbers
    assert numbers[-1] == [0, 2]


def test_a_domain_that_comes_into_the_frame_is_found_before_long(wide: Bicrystal) -> None:
    follower = DomainFollower()
    way = range(SIDE_PX // 4, SIDE_PX // 4 + 60 * STEP_PX, STEP_PX)
    n_found = [len(seen(follower, window(wide, corner_px))) for corner_px in way]

    comes_in = next(k for k, corner_px in enumerate(way) if corner_px > SIDE_PX / 2)
    assert set(n_found[: comes_in + 1]) == {1}
    assert n_found.index(2) < comes_in + 32


def test_what_does_not_hold_is_not_searched_in_every_frame(
    wide: Bicrystal, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = window(wide, 0).copy()
    frame[:, : SIDE_PX // 2] = 3.0
    searched: list[int] = []
    monkeypatch.setattr(
        "latticewatch.detectors.follow_domains.second_lattice",
        lambda *_: searched.append(len(searched)),
    )
    follower = DomainFollower()

    for _ in range(60):
        assert len(seen(follower, frame)) == 1

    # The first frame was searched; the next search is one in case noise hid something.
    assert len(searched) == 0
    for _ in range(10):
        seen(follower, frame)
    assert len(searched) == 1


def test_forgetting_begins_the_numbers_anew(wide: Bicrystal) -> None:
    follower = DomainFollower()
    seen(follower, window(wide, SIDE_PX))
    follower.forget()

    again = seen(follower, window(wide, SIDE_PX + STEP_PX))

    assert [(one.domain, one.followed) for one in again] == [(0, False), (1, False)]


def test_frame_without_a_crystal_is_refused_and_ends_the_chain(wide: Bicrystal) -> None:
    follower = DomainFollower()
    seen(follower, window(wide, SIDE_PX))

    noise = np.random.default_rng(1).normal(size=(SIDE_PX, SIDE_PX)).astype(np.float32)

    assert isinstance(follower.look(noise), Refusal)
    assert not seen(follower, window(wide, SIDE_PX))[0].followed


def test_part_of_a_frame_has_the_addresses_of_the_whole(wide: Bicrystal) -> None:
    for one in seen(DomainFollower(), window(wide, SIDE_PX)):
        part = one.lock.part_held((SIDE_PX, SIDE_PX))
        corner = np.array([side.start for side in part])
        addresses = one.lock.addresses_in((SIDE_PX, SIDE_PX))
        places = one.lock.places(addresses, np.array([0.2, 0.3]))
        inside = one.lock.holds_at(places) & ((places > 20) & (places < SIDE_PX - 20)).all(axis=1)

        cut = one.lock.cut_out(part).places(addresses[inside], np.array([0.2, 0.3])) + corner

        assert inside.sum() > 50
        assert np.abs(cut - places[inside]).max() < 0.1
