"""Size of a frame's pixels where a known material has told it, as an event may carry it."""

from typing import Annotated

from msgspec import Meta, Struct

_Positive = Annotated[float, Meta(gt=0)]
_NotNegative = Annotated[float, Meta(ge=0)]


class PixelSizeState(Struct, frozen=True, kw_only=True):
    """Where the nanometres of an event come from, if not from the header.

    Attributes
    ----------
    source
        ``material``: from the lattice of the frame and that of the material in the settings. An
        open set.
    size_pm
        Side of a pixel of the frame; of pixels that are not square, of the square of equal area.
    error_pm
        Half the difference between the directions of largest and smallest scale.
    """

    source: str
    size_pm: _Positive
    error_pm: _NotNegative
