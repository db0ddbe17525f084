"""Sites followed by address: a change is told once, soon, and where it is."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.motifs.follow import SiteFollower, Transition

N_COMPONENTS = 5
PRISTINE, VACANCY, BESIDE = 0, 1, 2
# Classes that one frame tells apart by 6 sigma, as a missing half column does at medium dose.
MEANS = np.array([[0.0] * 5, [6.0, 0, 0, 0, 0], [0, 6.0, 0, 0, 0]])
REJECT = 20.5


class ThreeClasses:
    """Each of unit covariance."""

    def classify(self, z: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        distance2 = np.square(z[:, None] - MEANS).sum(axis=2)
        new = distance2.min(axis=1) > REJECT
        return np.where(new, -1, distance2.argmin(axis=1)), np.where(new, 1.0, 0.99)

    def mean_of(self, row: int) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = MEANS[row]
        return mean


CLASSES = ThreeClasses()


def addresses(n: int = 20) -> NDArray[np.int64]:
    grid = np.mgrid[-n // 2 : n - n // 2, -n // 2 : n - n // 2, 0:2].reshape(3, -1)
    return np.ascontiguousarray(grid.T.astype(np.int64))


def all_told(frames: Iterable[list[Transition]]) -> list[Transition]:
    return [change for told in frames for change in told]


class Sky:
    """Frames of sites, each of a class."""

    def __init__(self, seed: int, *, noise: float = 1.0) -> None:
        self._dice = np.random.default_rng(seed)
        self.sites = addresses()
        self.z = np.zeros((len(self.sites), N_COMPONENTS))
        self.z += self._dice.normal(0.0, 0.3, self.z.shape)  # sites of one class differ
        self._noise = noise
        self.follower = SiteFollower(np.eye(N_COMPONENTS))

    def frame(
        self, *, found: NDArray[np.bool_] | None = None, shift: float = 0.0
    ) -> list[Transition]:
        seen = self.z + self._dice.normal(0.0, self._noise, self.z.shape) + shift
        return self.follower.see(
            self.sites,
            seen,
            np.ones(len(seen), bool),
            CLASSES,
            found=found,
            plain=frozenset({PRISTINE, BESIDE}),
        )


@pytest.mark.parametrize("seed", range(5))
def test_a_change_is_told_once_within_three_frames_at_its_address(seed: int) -> None:
    sky = Sky(seed)
    for _ in range(6):
        assert sky.frame() == []
    changed = 137
    sky.z[changed] += MEANS[VACANCY]
    told = [sky.frame() for _ in range(12)]
    assert sum(map(len, told)) == 1
    assert any(told[:3])
    (change,) = all_told(told)
    assert change.address == tuple(sky.sites[changed])
    assert (change.before, change.after, change.row) == (PRISTINE, VACANCY, changed)
    assert change.p == 0.99


def test_a_site_that_heals_is_told_again() -> None:
    sky = Sky(1)
    for _ in range(4):
        sky.frame()
    for sign in (1, -1):
        sky.z[5] += sign * MEANS[VACANCY]
        told = all_told(sky.frame() for _ in range(6))
        assert [(one.before, one.after) for one in told] == [(0, 1) if sign > 0 else (1, 0)]


def test_noise_alone_changes_nothing() -> None:
    sky = Sky(2)
    assert all_told(sky.frame() for _ in range(60)) == []


def test_more_noise_than_the_model_knows_changes_nothing() -> None:
    sky = Sky(3, noise=3.0)
    assert all_told(sky.frame() for _ in range(40)) == []


def test_one_odd_frame_changes_nothing() -> None:
    sky = Sky(4)
    for _ in range(4):
        sky.frame()
    sky.z[9] += MEANS[VACANCY]
    assert sky.frame() == []
    sky.z[9] -= MEANS[VACANCY]
    assert all_told(sky.frame() for _ in range(6)) == []


def test_what_all_sites_do_is_no_change_of_any() -> None:
    sky = Sky(5)
    for _ in range(4):
        sky.frame()
    assert all_told(sky.frame(shift=4.0) for _ in range(6)) == []


def test_a_change_from_plain_to_plain_is_not_told() -> None:
    sky = Sky(6)
    for _ in range(4):
        sky.frame()
    sky.z[9] += MEANS[BESIDE]
    assert all_told(sky.frame() for _ in range(6)) == []


def test_a_site_that_no_class_fits_is_told_where_a_detector_lists_it() -> None:
    sky = Sky(7)
    for _ in range(4):
        sky.frame()
    sky.z[9] += 9.0
    sky.z[10] += 9.0
    found = np.zeros(len(sky.sites), bool)
    found[9] = True
    told = all_told(sky.frame(found=found) for _ in range(12))
    assert [(one.row, one.after) for one in told] == [(9, -1)]


def test_a_site_that_is_seen_changed_from_the_first_frame_is_not_told() -> None:
    sky = Sky(8)
    sky.z[9] += MEANS[VACANCY]
    assert all_told(sky.frame() for _ in range(8)) == []


def test_sites_out_of_view_are_forgotten_and_the_rest_followed() -> None:
    sky = Sky(9)
    for _ in range(3):
        sky.frame()
    whole, sky.sites = sky.sites, sky.sites[: len(sky.sites) // 2]
    sky.z = sky.z[: len(sky.sites)]
    for _ in range(40):
        assert sky.frame() == []
    assert sky.follower.n_sites == len(sky.sites) < len(whole)


def test_unscored_sites_and_empty_frames_are_passed_over() -> None:
    sky = Sky(10)
    scored = np.zeros(len(sky.sites), bool)
    nothing = np.full_like(sky.z, np.nan)
    for _ in range(3):
        assert sky.follower.see(sky.sites, nothing, scored, CLASSES) == []
    none = np.empty((0, 3), np.int64)
    assert sky.follower.see(none, np.empty((0, N_COMPONENTS)), np.empty(0, bool), CLASSES) == []
    scored[3] = True
    one = np.where(scored[:, None], np.zeros_like(nothing), np.nan)
    assert sky.follower.see(sky.sites, one, scored, CLASSES) == []
    assert sky.follower.n_sites == 1
