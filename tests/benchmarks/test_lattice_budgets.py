"""The lattice of a frame of 1024x1024 is found, locked and followed in time, on one thread.

The budgets are five times what was measured, for machines that are slow or busy.
Run with `pytest -m benchmark -s` to see the figures.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.follow import FrameLattice, LatticeFollower, Refusal
from latticewatch.detectors.follow_domains import DomainFollower
from latticewatch.detectors.lattice import find_lattice, search_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.spectrum import spectral_peaks
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.bicrystals import bicrystal
from support.budgets import check
from support.two_domains import find_lattices

pytestmark = pytest.mark.benchmark

Image = NDArray[np.float32]


@pytest.fixture(scope="module")
def frames() -> list[Image]:
    microscope = Microscope(MicroscopeSettings(crystal="mos2", shape_yx=(1024, 1024)))
    return [microscope.frame(number)[0].astype(np.float32) for number in range(2)]


def test_search(frames: list[Image]) -> None:
    noise = np.random.default_rng(1).poisson(3.0, (1024, 1024)).astype(np.float32)
    check("spectral_peaks", 50.0, lambda: spectral_peaks(frames[0]))
    check("search_lattice", 60.0, lambda: search_lattice(frames[0]))
    check("search_lattice, noise", 50.0, lambda: search_lattice(noise))
    check("find_lattices, one domain", 75.0, lambda: find_lattices(frames[0]))


def test_lock(frames: list[Image]) -> None:
    lattice = find_lattice(frames[0])
    assert lattice is not None
    half = np.where(np.arange(1024) < 512, frames[0], np.float32(100.0))
    check("lock_lattice", 13.0, lambda: lock_lattice(frames[0], lattice))
    check("lock_lattice, half vacuum", 20.0, lambda: lock_lattice(half, lattice))


def test_follow(frames: list[Image]) -> None:
    follower, turn = LatticeFollower(), [0]
    follower.look(frames[0])

    def look() -> None:
        turn[0] ^= 1
        found = follower.look(frames[turn[0]])
        assert isinstance(found, FrameLattice)
        assert found.followed

    check("LatticeFollower.look, followed", 13.0, look)


def test_follow_two_domains() -> None:
    frame = bicrystal(shape_yx=(1024, 1024)).image
    follower = DomainFollower()
    follower.look(frame)

    def look() -> None:
        found = follower.look(frame)
        assert not isinstance(found, Refusal)
        assert len(found) == 2

    check("DomainFollower.look, two followed", 40.0, look)
