"""A locked lattice says where it holds: not in vacuum, not in glass, not in another domain."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import LatticeLock, lock_lattice
from support.composites import amorphous, beyond_line, counted, rendered
from support.crystals import CRYSTALS, Image

SHAPE_YX = (512, 512)


def locked(image: Image) -> LatticeLock:
    lattice = find_lattice(image)
    assert lattice is not None
    lock = lock_lattice(image, lattice)
    assert lock is not None
    return lock


def at_blocks(pixels: NDArray[np.float64], lock: LatticeLock) -> NDArray[np.float64]:
    """Value of the pixel in the middle of each block."""
    step, (rows, columns) = int(lock.step_px), lock.holds.shape
    return pixels[step // 2 :: step, step // 2 :: step][:rows, :columns]


def share_right(lock: LatticeLock, beyond_px: NDArray[np.float64]) -> float:
    """Part of the blocks farther than 1.5 periods from the border that are on their side of it."""
    beyond = at_blocks(beyond_px, lock)
    clear = np.abs(beyond) > 1.5 * lock.period_px
    return float((lock.holds == (beyond > 0))[clear].mean())


@pytest.mark.parametrize("counts", [0.3, 1.0, 20.0])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_all_of_a_full_frame_holds(crystal: str, counts: float) -> None:
    for seed in (3, 4):
        image = rendered(crystal, rotation_deg=17.0 + 11.0 * seed, seed=seed)

        assert locked(counted(image, counts, seed=seed)).share_held > 0.995


@pytest.mark.parametrize("counts", [1.0, 50.0])
@pytest.mark.parametrize("other", ["vacuum", "haze", "glass", "twin"])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_half_of_something_else_does_not_hold(crystal: str, other: str, counts: float) -> None:
    image = rendered(crystal, rotation_deg=20.0, seed=5)
    rest = {
        "vacuum": np.full(SHAPE_YX, 0.03),
        "haze": np.ones(SHAPE_YX),
        "glass": np.maximum(1 + 0.4 * amorphous(6, SHAPE_YX, 20.0), 0.05),
        "twin": rendered(crystal, rotation_deg=35.0, seed=7),
    }[other]
    beyond = beyond_line(SHAPE_YX, 0.8, -40.0)

    lock = locked(counted(np.where(beyond > 0, image, rest), counts, seed=8))

    assert share_right(lock, beyond) > 0.95


def test_gain_that_changes_by_two_masks_nothing() -> None:
    image = rendered("mos2", rotation_deg=20.0, seed=5)
    gain = np.linspace(0.65, 1.35, 512)[:, None]

    assert locked(counted(gain * image, 3.0, seed=1)).share_held > 0.995


def test_patch_of_half_the_gain_is_not_masked() -> None:
    image = rendered("srtio3", rotation_deg=20.0, seed=5)
    gain = np.where(beyond_line(SHAPE_YX, 0.3, 80.0) > 0, 0.5, 1.0)

    assert locked(counted(gain * image, 10.0, seed=1)).share_held > 0.98


def test_addresses_are_continuous_across_a_gap() -> None:
    """Two parts of one crystal: the strip of vacuum between them costs no turn."""
    image = rendered("mos2", rotation_deg=20.0, seed=5)
    gap = np.abs(beyond_line(SHAPE_YX, 0.8, 0.0)) < 50
    full = counted(image, 10.0, seed=1)
    whole, lattice = locked(full), find_lattice(full)
    assert lattice is not None

    parted = lock_lattice(counted(np.where(gap, 0.02, image), 10.0, seed=1), lattice)

    assert parted is not None
    apart = (parted.phase - whole.phase)[:, parted.holds]
    assert np.abs(apart - np.round(np.median(apart, axis=1))[:, None]).max() < 0.15
    assert max(np.abs(np.diff(parted.phase, axis=axis)).max() for axis in (1, 2)) < 0.3


def test_dislocation_masks_its_surroundings_and_a_cut() -> None:
    """Round a dislocation addresses disagree by one: somewhere they must jump."""
    y, x = np.mgrid[:512, :512].astype(np.float64)
    turn = np.arctan2(y - 250.3, x - 260.7) / (2 * np.pi)
    waves = [np.cos(2 * np.pi * (x / 20 + turn)), np.cos(2 * np.pi * y / 20)]
    image = counted(1 + 0.4 * waves[0] + 0.4 * waves[1] + 0.3 * waves[0] * waves[1], 20.0, seed=2)

    lock = locked(image)

    away = at_blocks(np.hypot(y - 250.3, x - 260.7), lock)
    assert not lock.holds[away < 12].all()
    masked = ~lock.holds & (away > 5 * 20)
    # One cut of two blocks' width from there to the edge of the frame.
    assert masked.sum() <= 2 * max(lock.holds.shape)
    assert lock.share_held > 0.95


def test_places_are_looked_up_in_the_mask() -> None:
    image = rendered("mos2", rotation_deg=20.0, seed=5)
    lock = locked(counted(np.where(np.arange(512) < 256, image, 0.02), 5.0, seed=1))

    held = lock.holds_at(np.array([[100.0, 100.0], [100.0, 400.0], [-5.0, -5.0], [900.0, 900.0]]))

    assert held.tolist() == [True, False, True, False]
