"""What latticewatch.kernels.shadows computes, spelled out."""

import numpy as np
from numpy.typing import NDArray


def mark_shadows(
    scores: NDArray[np.float64],
    places: NDArray[np.float64],
    strong: NDArray[np.int64],
    reach_px: float,
    share: float,
) -> NDArray[np.bool_]:
    """Tell which sites are near a strong one, and weaker than a share of it."""
    shadow = np.zeros(len(scores), bool)
    for site in strong:
        away = np.square(places - places[site]).sum(axis=1)
        shadow |= (away < reach_px**2) & (scores < share * scores[site])
    return shadow
