"""Recordings that many tests of the daemon look at."""

from pathlib import Path

import numpy as np
import pytest

from latticewatch.simulator.microscope import Microscope, MicroscopeSettings


@pytest.fixture(scope="session")
def crystal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of the demo's crystal, in a file."""
    microscope = Microscope(MicroscopeSettings(shape_yx=(256, 320)))
    path = tmp_path_factory.mktemp("frames") / "crystal.npy"
    np.save(path, np.stack([microscope.frame(index)[0] for index in range(2)]))
    return path
