"""A model made by hand, for the segments of symmetry maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.preprocess import Preprocess

RULE = Preprocess(1, 2.0, 3.0, -10.0, 10.0)


@dataclass(frozen=True)
class HandMade:
    """What `find_segments` reads of a model: bright columns on a dark ground, a period of 12 px."""

    period_px: float | None = 12.0
    preprocess: Preprocess = RULE

    @property
    def patch(self) -> NDArray[np.float32]:
        """Waves with narrow tops."""
        y, x = np.indices((128, 128)) * 2 * np.pi / 12
        wave: NDArray[np.float32] = (np.exp(np.cos(y) + np.cos(x)) / 20).astype(np.float32)
        return wave
