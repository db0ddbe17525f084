"""A lattice locked to its frame knows where every column is, distortion of the scan included."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.lock import (
    LatticeLock,
    lock_lattice,
    strongest_pair,
    witnesses,
)
from support.crystals import CRYSTALS, Image, image_of, net_frame, specimen

OBLIQUE = [[18.0, 3.0], [5.0, 24.0]]


def locked(image: Image) -> LatticeLock:
    lattice = find_lattice(image)
    assert lattice is not None
    lock = lock_lattice(image, lattice)
    assert lock is not None
    return lock


def origin_of_columns(lock: LatticeLock, truth_yx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cell coordinates of true columns, as steps of -0.5..0.5 from their common value."""
    phase = np.array([_phase_at(lock, place) for place in truth_yx])
    u = truth_yx @ lock.reciprocal_per_px.T + phase
    mean = np.angle(np.exp(2j * np.pi * u).mean(axis=0)) / (2 * np.pi)
    steps: NDArray[np.float64] = (u - mean + 0.5) % 1 - 0.5
    return steps


def _phase_at(lock: LatticeLock, place_yx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phase at the block that a place lies in."""
    last = np.array(lock.phase.shape[1:]) - 1
    row, column = np.clip((place_yx / lock.step_px).astype(int), 0, last)
    return lock.phase[:, row, column].astype(np.float64)


def columns_of(basis: list[list[float]], shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    cells = np.mgrid[-40:41, -40:41].reshape(2, -1).T
    places: NDArray[np.float64] = cells @ np.array(basis)
    return places[((places > 20) & (places < np.array(shape_yx) - 20)).all(axis=1)]


@pytest.mark.parametrize("seed", [0, 1, None])
def test_every_column_has_the_same_fraction_of_a_cell(seed: int | None) -> None:
    lock = locked(net_frame(OBLIQUE, seed=seed))

    away = origin_of_columns(lock, columns_of(OBLIQUE, (256, 256))) @ lock.basis_px_yx

    assert np.abs(away).max() < 0.6
    assert np.sqrt(np.square(away).sum(axis=1).mean()) < 0.25


def test_slow_distortion_is_followed() -> None:
    """A frame that is stretched by 3 % towards one side: a rigid net would be off by a period."""
    straight = columns_of(OBLIQUE, (512, 512))
    y, x = np.mgrid[:512, :512].astype(np.float64)
    image = np.full((512, 512), 5.0)
    bent = straight + np.stack([np.zeros(len(straight)), 6e-5 * straight[:, 1] ** 2], axis=1)
    for column in bent:
        near = slice(max(0, int(column[0]) - 12), int(column[0]) + 13)
        image[near] += 25.0 * np.exp(
            -(np.square(y[near] - column[0]) + np.square(x[near] - column[1])) / 18.0
        )
    lock = locked(image.astype(np.float32))
    inside = (bent[:, 1] < 490) & (bent[:, 1] > 20)

    away = origin_of_columns(lock, bent[inside]) @ lock.basis_px_yx

    assert np.sqrt(np.square(away).sum(axis=1).mean()) < 0.5


def test_places_are_where_addresses_say() -> None:
    lock = locked(net_frame(OBLIQUE))
    addresses = lock.addresses_in((256, 256))
    fraction = np.array([0.25, 0.6])
    places = lock.places(addresses, fraction)
    inside = ((places > 30) & (places < 225)).all(axis=1)

    phase = np.array([_phase_at(lock, place) for place in places[inside]])
    u = places[inside] @ lock.reciprocal_per_px.T + phase

    # The phase of the block stands for that of the place here: a hundredth of a cell.
    assert np.abs(u - addresses[inside] - fraction).max() < 0.02


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_every_place_of_a_frame_has_an_address(crystal: str) -> None:
    image = image_of(specimen(crystal, seed=3, perfect=True)[0])
    lock = locked(image)
    places = lock.places(lock.addresses_in((512, 512)), np.zeros(2))

    inside = ((places >= 0) & (places < 512)).all(axis=1)

    n_cells = 512 * 512 / lock.period_px**2
    assert np.count_nonzero(inside) == pytest.approx(n_cells, rel=0.05)


@pytest.mark.parametrize(
    ("reflections", "needed"),
    [
        ([[1, 0], [0, 1], [1, 1]], []),
        ([[1, 1], [1, -1], [2, 0], [0, 2], [1, 0]], [[1, 0]]),
        ([[2, 0], [0, 2], [2, 2], [1, 1], [3, 0]], [[1, 1], [3, 0]]),
        ([[2, 0], [0, 2]], []),
    ],
)
def test_witnesses_are_the_strongest_that_complete_the_net(
    reflections: list[list[int]], needed: list[list[int]]
) -> None:
    power = 4.0 ** -np.arange(float(len(reflections)))
    lattice = Lattice(20.0 * np.eye(2), np.array(reflections), power)
    chosen = strongest_pair(lattice)
    assert chosen is not None

    assert witnesses(lattice, chosen).tolist() == needed


@pytest.mark.parametrize(
    ("power", "chosen"),
    [((9.0, 8.0, 4.1), [[1, 0], [0, 1]]), ((9.0, 8.0, 3.9), [[1, 0], [1, 3]])],
    ids=["half as strong", "weaker"],
)
def test_the_pair_spans_the_net_where_a_strong_one_does(
    power: tuple[float, ...], chosen: list[list[int]]
) -> None:
    # What twins have in common is such a part of the net: there it would hold in both.
    reflections = np.array([[1, 0], [1, 3], [0, 1]])
    pair = strongest_pair(Lattice(20.0 * np.eye(2), reflections, np.array(power)))

    assert pair is not None
    assert pair.tolist() == chosen


def test_a_single_row_of_reflections_cannot_be_locked() -> None:
    image = net_frame(OBLIQUE)
    lattice = find_lattice(image)
    assert lattice is not None
    row = dataclasses.replace(
        lattice, reflections=np.array([[1, 0], [2, 0], [-3, 0]]), power=np.array([9.0, 5.0, 4.0])
    )

    assert lock_lattice(image, row) is None


def test_a_frame_of_few_blocks_cannot_be_locked() -> None:
    image = net_frame(OBLIQUE)
    lattice = find_lattice(image)
    assert lattice is not None

    assert lock_lattice(np.ascontiguousarray(image[:60, :60]), lattice) is None
