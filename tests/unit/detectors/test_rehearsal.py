"""After a rehearsal no frame makes a kernel wait for the compiler."""

import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from latticewatch.detectors.follow import LatticeFollower
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.rehearsal import rehearse

from latticewatch.daemon.metrics import count_kernel_variants
from support.crystals import CRYSTALS, image_of, net_frame, specimen
from support.two_domains import find_lattices

rehearse()
before = count_kernel_variants()
follower = LatticeFollower()
frames = [image_of(specimen(crystal, seed=5)[0]) for crystal in CRYSTALS]
frames += [frames[0][:400, :300].copy(), frames[1], frames[1]]
frames += [np.where(np.arange(512) < 300, frame, np.float32(100.0)) for frame in frames[:3]]
frames += [np.zeros((16, 16), np.float32), np.zeros((512, 512), np.float32)]
frames += [net_frame([[7.0, 0.0], [0.0, 7.0]], sigma_px=1.2)]
frames += [np.random.default_rng(0).normal(size=(64, 700)).astype(np.float32)]
for frame in frames:
    follower.look(frame)
    find_lattices(frame)
find_lattice(frames[0][100:300, 100:300])
print(before, count_kernel_variants())
"""


@pytest.mark.slow
def test_nothing_is_compiled_after_the_rehearsal() -> None:
    """In a process of its own: here, other tests have compiled everything already."""
    paths = [path for path in sys.path if path]
    program = f"import sys; sys.path[:0] = {paths!r}\n{PROGRAM}"

    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )

    before, after = map(float, answer.stdout.split())
    assert after == before > 10
