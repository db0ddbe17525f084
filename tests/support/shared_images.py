"""Images that lie beside the checkout, ../shared/data; a user's clone has none of them."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.adapters.recorded.registry import open_recording

DATA = Path(__file__).parents[3] / "shared" / "data"


def real_image(name: str) -> NDArray[np.float32]:
    """First frame of a real image; skips the test where it is absent."""
    return _image(DATA / "real" / name)


def simulated_series() -> tuple[list[NDArray[np.float32]], NDArray[np.float64]]:
    """Frames of the simulated series, and the drift (N, 2) of each in pixels since the first."""
    path = DATA / "simulated" / "ts_A.tif"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    recording = open_recording(path)
    truth = json.loads((path.parent / "ts_A_truth.json").read_text(encoding="utf-8"))
    drift = np.array([(frame["drift_y"], frame["drift_x"]) for frame in truth["frames"]])
    frames = [np.ascontiguousarray(recording.frame(k), np.float32) for k in range(len(drift))]
    return frames, drift


def simulated_images() -> dict[str, NDArray[np.float32]]:
    """Every noisy image of the multislice simulation; skips the test where there is none."""
    paths = sorted((DATA / "simulated").glob("*_d*.tif"))
    if not paths:
        pytest.skip("the simulated images are not beside this checkout")
    return {path.stem: _image(path) for path in paths}


@lru_cache(maxsize=64)
def _image(path: Path) -> NDArray[np.float32]:
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this checkout")
    recording = open_recording(path)
    frame: NDArray[np.float32] = np.ascontiguousarray(recording.frame(0), np.float32)
    return frame
