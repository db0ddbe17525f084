"""Limits of the points of a boundary or round a patch; section 4.2 of the protocol."""

from collections.abc import Sequence
from typing import Final

from latticewatch.client.errors import BadMessage

_FEWEST_POINTS: Final = 2
_MOST_POINTS: Final = 512
_BEYOND_PX: Final = 1.0  # how far outside the frame a point may lie


def check_outline(outline: Sequence[tuple[float, float]], shape_yx: tuple[int, int]) -> None:
    """Refuse too few or too many points [y, x], and points outside the frame.

    Raises
    ------
    BadMessage
    """
    path = "defects.defects.outline_px_yx"
    if not _FEWEST_POINTS <= len(outline) <= _MOST_POINTS:
        raise BadMessage(
            f"{path}: {len(outline)} points, expected {_FEWEST_POINTS} to {_MOST_POINTS}"
        )
    for point in outline:
        for place, side in zip(point, shape_yx, strict=True):
            if not -_BEYOND_PX <= place <= side - 1 + _BEYOND_PX:
                raise BadMessage(f"{path}: {point} is outside the frame of {shape_yx}")
