"""Points of a boundary or round a patch, as a defect may carry them, and where they may lie."""

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

OUTLINE_POINTS_MIN: Final = 2
OUTLINE_POINTS_MAX: Final = 512
OUTLINE_BEYOND_PX: Final = 1.0
"""How far outside the frame a point may lie."""

Outline = Annotated[
    tuple[tuple[float, float], ...],
    Meta(min_length=OUTLINE_POINTS_MIN, max_length=OUTLINE_POINTS_MAX),
]
"""[y, x] in pixels: an open line for kind `boundary`; for `amorphous` a closed polygon, which does
not repeat its first point."""


def first_outside(
    outline: Sequence[tuple[float, float]], shape_yx: tuple[int, int]
) -> tuple[float, float] | None:
    """Return the first point that lies too far outside a frame, or None.

    >>> first_outside([(0.0, 0.0), (10.0, 16.5)], (16, 16))
    (10.0, 16.5)
    """
    height, width = shape_yx
    for y, x in outline:
        # The centre of the last pixel is at side - 1. Written so that NaN fails.
        inside = -OUTLINE_BEYOND_PX <= y <= height - 1 + OUTLINE_BEYOND_PX
        if not (inside and -OUTLINE_BEYOND_PX <= x <= width - 1 + OUTLINE_BEYOND_PX):
            return y, x
    return None
