"""What the segmentation reads of a map and of its model."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.preprocess import Preprocess


class FoundMap(Protocol):
    """What is read of a `SymmetryMap`."""

    @property
    def distance(self) -> NDArray[np.float32]:
        """(R, C); NaN where masked."""

    @property
    def severity(self) -> NDArray[np.float32]:
        """(R, C); over 1 stands out."""

    @property
    def p_value(self) -> NDArray[np.float64]:
        """(R, C) of single cells."""

    @property
    def variance(self) -> NDArray[np.float32]:
        """(R, C) over the model's bound."""

    @property
    def level(self) -> NDArray[np.float32]:
        """(R, C), of the raw frame."""

    @property
    def step_px(self) -> float:
        """Between cells."""

    @property
    def first_px_yx(self) -> tuple[float, float]:
        """Centre of the first cell."""

    @property
    def gain(self) -> float:
        """Of the second moments."""

    @property
    def stale(self) -> bool:
        """The frame is not the model's."""


class Reference(Protocol):
    """What is read of a `SymmetryModel`."""

    @property
    def period_px(self) -> float | None:
        """Root of the area of a lattice cell."""

    @property
    def patch(self) -> NDArray[np.float32]:
        """Filtered model patch, in levels."""

    @property
    def preprocess(self) -> Preprocess:
        """Widths of its filter in binned pixels, binning, and levels."""
