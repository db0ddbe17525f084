"""A lattice is followed while it is the same, searched again when it is not, and drift is right."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.follow import FrameLattice, LatticeFollower, Refusal
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.composites import counted, rendered
from support.crystals import CRYSTALS, Image
from support.shared_images import simulated_series

SHAPE_YX = (384, 384)
SQUARE_PX = 20.0


def drawn(
    *,
    turn_deg: float = 0.0,
    larger: float = 1.0,
    moved_px: tuple[float, float] = (0.0, 0.0),
    counts: float = 5.0,
    seed: int = 1,
) -> Image:
    """Square net with a brighter and a darker column in the cell, moved about the centre."""
    y, x = np.indices(SHAPE_YX) - (np.array(SHAPE_YX)[:, None, None] - 1) / 2
    y, x = y - moved_px[0], x - moved_px[1]
    cos, sin = np.cos(np.radians(turn_deg + 8)), np.sin(np.radians(turn_deg + 8))
    u = (cos * y + sin * x) / (SQUARE_PX * larger)
    v = (cos * x - sin * y) / (SQUARE_PX * larger)
    first = np.exp(2 * (np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v)) - 4)
    second = np.exp(2 * (np.cos(2 * np.pi * u - 2.5) + np.cos(2 * np.pi * v - 3.0)) - 4)
    return counted(0.1 + 3 * first + 1.5 * second, counts, seed=seed)


def seen(follower: LatticeFollower, image: Image) -> FrameLattice:
    found = follower.look(image)
    assert isinstance(found, FrameLattice), found
    return found


def started(image: Image | None = None) -> LatticeFollower:
    follower = LatticeFollower()
    first = seen(follower, drawn() if image is None else image)
    assert not first.followed
    assert first.drift_px_yx is None
    assert first.drift_cov_px is None
    return follower


FOLLOWED = {
    "the same": drawn(seed=2),
    "turned by 0.3 degrees": drawn(turn_deg=0.3, seed=2),
    "turned by -0.3 degrees": drawn(turn_deg=-0.3, seed=2),
    "0.5 % larger": drawn(larger=1.005, seed=2),
    "0.5 % smaller": drawn(larger=0.995, seed=2),
    "a third of a period away": drawn(moved_px=(6.0, -3.0), seed=2),
    "at half the dose": drawn(counts=2.5, seed=2),
    "at twice the dose": drawn(counts=10.0, seed=2),
    "with another gain and offset": 40.0 * drawn(seed=2) + np.float32(700.0),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_small_changes_are_followed(name: str) -> None:
    follower = started()

    found = seen(follower, FOLLOWED[name])

    assert found.followed
    assert found.lock.share_held > 0.99


def test_turned_and_magnified_lattices_get_their_vectors() -> None:
    for turn_deg, larger in ((0.3, 1.0), (0.0, 1.005)):
        follower = started()
        before = seen(follower, drawn(seed=3)).lattice.basis_px_yx

        after = seen(follower, drawn(turn_deg=turn_deg, larger=larger, seed=2)).lattice.basis_px_yx

        change = np.linalg.solve(before, after)
        assert np.sqrt(np.linalg.det(change)) == pytest.approx(larger, abs=3e-4)
        # Rows [y, x]: the draughtsman's turn takes x towards y.
        angle_deg = np.degrees(np.arctan2(change[0, 1] - change[1, 0], np.trace(change)))
        assert angle_deg == pytest.approx(turn_deg, abs=0.02)


NEW = {
    "turned by 5 degrees": drawn(turn_deg=5.0, seed=2),
    "turned by 30 degrees": drawn(turn_deg=30.0, seed=2),
    "10 % larger": drawn(larger=1.1, seed=2),
    "another shape": np.ascontiguousarray(drawn(seed=2)[:300]),
}


@pytest.mark.parametrize("name", NEW)
def test_what_has_changed_too_much_is_searched_again(name: str) -> None:
    follower = started()

    found = seen(follower, NEW[name])

    assert not found.followed
    assert found.drift_px_yx is None
    assert found.lattice.cell_px == pytest.approx(
        SQUARE_PX * (1.1 if "larger" in name else 1.0), rel=0.01
    )
    assert seen(follower, NEW[name]).followed


def test_frame_without_lattice_is_refused_with_a_reason() -> None:
    follower = started()
    noise = np.random.default_rng(1).poisson(3.0, SHAPE_YX).astype(np.float32)

    refusal = follower.look(noise)

    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("not periodic")
    assert refusal.strength < refusal.threshold
    assert not seen(follower, drawn(seed=4)).followed


def test_forgotten_lattice_is_searched_again() -> None:
    follower = started()
    follower.forget()

    assert not seen(follower, drawn(seed=2)).followed


def test_equal_frames_give_equal_results() -> None:
    one, other = LatticeFollower(), LatticeFollower()
    for seed in (1, 2, 3):
        first, second = seen(one, drawn(seed=seed)), seen(other, drawn(seed=seed))

    np.testing.assert_array_equal(first.lock.phase, second.lock.phase)
    np.testing.assert_array_equal(first.lock.reciprocal_per_px, second.lock.reciprocal_per_px)


def test_sites_keep_their_addresses_over_many_periods() -> None:
    """A column that moves by 0.3 periods a frame has the same cell coordinates in every frame."""
    start = np.array([150.0, 200.0])
    follower, coordinates, way = LatticeFollower(), [], np.zeros(2)
    for frame in range(12):
        moved = np.array([5.0, -3.5]) * frame
        found = seen(follower, drawn(moved_px=(moved[0], moved[1]), seed=frame))
        coordinates.append(_coordinates(found, start + moved))
        if found.drift_px_yx is not None:
            way += found.drift_px_yx

    assert np.abs(np.array(coordinates) - coordinates[0]).max() < 0.02
    np.testing.assert_allclose(way, [55.0, -38.5], atol=0.3)


def _coordinates(found: FrameLattice, place_yx: NDArray[np.float64]) -> NDArray[np.float64]:
    """Address and fraction of a place, by fixed-point search in the lock's own terms."""
    lock = found.lock
    block = ((place_yx + 0.5) // lock.step_px).astype(int)
    return lock.reciprocal_per_px @ place_yx + lock.phase[:, block[0], block[1]]


@pytest.mark.parametrize("dose", [3e3, 1e5])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_drift_is_that_of_the_truth_within_its_covariance(crystal: str, dose: float) -> None:
    microscope = Microscope(
        MicroscopeSettings(crystal=crystal, drift_nm_s=0.6, dose_e_per_ang2=dose, seed=8)
    )
    follower, before = LatticeFollower(), np.zeros(2)
    squares = []
    for number in range(12):
        pixels, truth = microscope.frame(number)
        found = seen(follower, pixels.astype(np.float32))
        if found.drift_px_yx is not None and found.drift_cov_px is not None:
            miss = found.drift_px_yx - (truth.drift_px_yx - before)
            squares.append(float(miss @ np.linalg.inv(found.drift_cov_px) @ miss))
        before = truth.drift_px_yx

    assert len(squares) == 11
    # Chi-square of 22 degrees of freedom, divided by 11: 2 on average.
    assert 0.3 < np.mean(squares) < 4.0


def test_a_series_of_other_doses_and_gains_is_followed_to_its_end() -> None:
    """Sixty frames of the multislice simulation: dose and gain change, defects come and go."""
    frames, drift_px = simulated_series()
    follower = LatticeFollower()
    assert not seen(follower, frames[0]).followed

    squares = []
    for number, frame in enumerate(frames[1:], 1):
        found = seen(follower, frame)
        assert found.followed
        assert found.drift_px_yx is not None
        assert found.drift_cov_px is not None
        miss = found.drift_px_yx - (drift_px[number] - drift_px[number - 1])
        assert np.abs(miss).max() < 0.1
        squares.append(float(miss @ np.linalg.inv(found.drift_cov_px) @ miss))

    assert 1.0 < np.mean(squares) < 3.5


@pytest.mark.parametrize("counts", [0.5, 5.0])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_drift_is_told_up_to_half_a_period(crystal: str, counts: float) -> None:
    """Also of SrTiO3, whose strongest reflections have half the period of the crystal."""
    field = rendered(crystal, rotation_deg=20.0, seed=5, shape_yx=(640, 640))
    follower, rng, corner = LatticeFollower(), np.random.default_rng(1), np.array([64, 64])
    view = field[64:576, 64:576]
    short_px = float(
        np.linalg.norm(seen(follower, counted(view, counts, seed=0)).lattice.basis_px_yx[0])
    )
    for frame in range(6):
        angle = rng.uniform(0, 2 * np.pi)
        step = np.round(0.45 * short_px * np.array([np.sin(angle), np.cos(angle)])).astype(int)
        step = np.where((corner + step < 0) | (corner + step > 128), -step, step)
        corner = corner + step
        view = field[corner[0] : corner[0] + 512, corner[1] : corner[1] + 512]

        found = seen(follower, counted(view, counts, seed=frame))

        # The field moves up in the frame where the frame moves down in the field.
        assert found.drift_px_yx is not None
        np.testing.assert_allclose(found.drift_px_yx, -step, atol=0.5)


def test_crystal_that_leaves_the_frame_is_followed_while_some_is_left() -> None:
    image = rendered("mos2", rotation_deg=20.0, seed=5)
    follower = LatticeFollower()
    for step, edge in enumerate((512, 460, 400, 350, 300)):
        part = np.where(np.arange(512) < edge, image, 0.02)
        found = seen(follower, counted(part, 5.0, seed=step))

        assert found.followed == (step > 0)
        assert found.lock.share_held == pytest.approx(edge / 512, abs=0.08)
