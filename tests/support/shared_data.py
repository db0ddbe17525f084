"""Images that lie beside the checkout and are not part of the project."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared_image(name: str) -> NDArray[np.float32]:
    """First page and channel of an image, as the detectors take it; skips where it is not there.

    Parameters
    ----------
    name
        Path below the folder of the data.
    """
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} lies beside the checkout and is not part of the project")
    if path.suffix == ".npy":
        pixels = np.load(path)
    elif path.suffix == ".tif":
        pixels = pytest.importorskip("tifffile").imread(path)
    else:
        pixels = np.asarray(pytest.importorskip("PIL.Image").open(path).convert("L"))
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[-1] in (3, 4) else pixels[0]
    return np.ascontiguousarray(pixels, dtype=np.float32)
