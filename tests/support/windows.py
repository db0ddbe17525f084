"""Powers of windows that are given by themselves, one below the other as a picture."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.power import (
    Analysis,
    n_features,
    power_scratch,
    truncated_waves,
    window_power,
)


def powers(patches: NDArray[np.float32], cutoff: int, scale: float = 1.0) -> NDArray[np.float32]:
    """What the kernel gives of windows (N, S, S): (N, F)."""
    n, size, _ = patches.shape
    scratch = power_scratch(size, cutoff)
    scratch[:] = np.nan
    out, inside = np.full((n, n_features(cutoff)), np.nan, np.float32), np.zeros(n, np.bool_)
    centre = np.stack([np.arange(n) * size + size // 2, np.full(n, size // 2)], axis=1)
    analysis = Analysis(truncated_waves(size, cutoff), scale, scratch)
    picture = np.ascontiguousarray(patches).reshape(n * size, size)
    window_power(picture, centre.astype(np.float64), (size, 1), analysis, out, inside)
    assert inside.all()
    return out
