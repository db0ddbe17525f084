"""Damage made on purpose: a network that learned from it redraws bulk where it sees some."""

from collections.abc import Callable
from typing import Any

Damage = Callable[[Any, Any], Any]  # Any: tensors of torch, which this file does without
"""Windows (B, 1, S, S) and the dice to the same windows with something wrong in each."""

# Width of the patch of damage over the side of the window: from well below a column to one.
_WIDTHS = (0.047, 0.11)
_HALF = 0.5  # of the windows get something added or taken
_THIRD = 0.35  # of the windows show something of another window in one place
_PLATEAU = 1.5  # of the foreign patch: its middle is foreign all through


def local_damage(strength: float) -> Damage:
    """Make the damage of a network's training: one soft patch anywhere in a window.

    It is brighter or darker by up to `strength`, or what another window of the batch shows there.
    No site, kind of defect or label is known to it. Without it, a network learns to copy defects
    as principal components do. Of seamless ones in held-out strips of the SrTiO3 set the largest
    residual found 88 % with it, and 75 % with 40 components (tests/accuracy/README.md).

    Parameters
    ----------
    strength
        On the scale of the windows; 0.6 of the brightest pixel was used.
    """

    def spoil(batch: Any, dice: Any) -> Any:  # noqa: ANN401 - tensors
        n, side = len(batch), batch.shape[-1]

        def draw() -> Any:  # noqa: ANN401 - a tensor
            return batch.new_empty(n, 1, 1).uniform_(generator=dice)

        along = batch.new_ones(side).cumsum(0) - 1.0
        y, x = along.view(1, -1, 1) - side * draw(), along.view(1, 1, -1) - side * draw()
        width = side * (_WIDTHS[0] + (_WIDTHS[1] - _WIDTHS[0]) * draw())
        patch = (-(y.square() + x.square()) / (2.0 * width.square())).exp()
        added = strength * (2.0 * draw() - 1.0) * (draw() < _HALF) * patch
        other = batch[batch.new_empty(n).uniform_(generator=dice).argsort(), 0] - batch[:, 0]
        foreign = (draw() < _THIRD) * (_PLATEAU * patch).clamp(max=1.0) * other
        return batch + (added + foreign)[:, None]

    return spoil
