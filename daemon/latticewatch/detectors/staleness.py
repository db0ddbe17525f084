"""When a fitted model no longer belongs to what the microscope shows; the same for all of them."""

import numpy as np
from numpy.typing import NDArray

# Lattice against the model's: outliers of scheme one double at 2 to 3 per cent of magnification and
# at 1 to 2 degrees of rotation (tests/accuracy/stale.py).
STALE_PERIOD = 0.02
STALE_ANGLE_RAD = 0.026
# So many frames running, one way or the other, where a model was judged before: two to three
# (patterson.md 7.4).
STALE_FRAMES = 2


class Staleness:
    """Whether a model is stale, over the frames of a stream; of a single frame, by that frame.

    One frame may be torn, or caught while the stage moved: once a model is known to fit, it is
    stale when frame after frame speaks against it, and back when as many fit. A lattice that was
    found anew, instead of followed, shows that something changed: then one frame that fits is
    enough. What a single frame says still decides whether that frame is judged by the model.
    """

    def __init__(self, n_frames: int = STALE_FRAMES) -> None:
        self._n_frames = n_frames
        self._is_stale: bool | None = None
        self._n_other = 0

    @property
    def is_stale(self) -> bool:
        """What the frames so far say; false before the first."""
        return bool(self._is_stale)

    def note(self, *, against: bool, anew: bool = False) -> bool:
        """Take in what one frame says, and tell whether the model is stale.

        Parameters
        ----------
        against
            It speaks against the model.
        anew
            Its lattice was not followed from the frame before.

        Examples
        --------
        >>> model = Staleness()
        >>> [model.note(against=each == "x") for each in "..x..xxx.xx..."]
        ... # doctest: +NORMALIZE_WHITESPACE
        [False, False, False, False, False, False, True, True, True, True, True, True,
         False, False]
        """
        if self._is_stale is None or against == self._is_stale:
            self._is_stale, self._n_other = against, 0
            return against
        self._n_other += 1
        if self._n_other >= self._n_frames or (anew and not against):
            self._is_stale, self._n_other = against, 0
        return self._is_stale


def turn_rad(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Mean angle by which two lattice vectors turned, +x towards +y, radians.

    Examples
    --------
    >>> round(turn_rad(np.eye(2), np.array([[0.995, -0.0998], [0.0998, 0.995]])), 4)
    0.1
    """
    cross = before[:, 1] * after[:, 0] - before[:, 0] * after[:, 1]
    dot = (before * after).sum(axis=1)
    return float(np.arctan2(cross.sum(), dot.sum()))
