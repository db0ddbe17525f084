"""Sizes of a frame on the page of motifs: of marks, of a pixel in words, a bar of scale; dose."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from latticewatch.wire.events import DefectEvent

MARK_OF_NEAREST = 0.55  # radius of a mark over the distance of nearest columns: rings just meet
# Of the longer side of the frame: smaller marks are not seen, larger ones hide the lattice.
_LEAST_MARK, _MOST_MARK = 0.007, 0.03
_TEXT_SHARE = 0.018
_BAR_SHARE = 0.25  # of the width of the frame, at most


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a frame and of what is drawn over it, in its pixels.

    Attributes
    ----------
    shape_yx
        Rows and columns.
    mark_px, text_px
        Radius of a mark and height of a number.
    """

    shape_yx: tuple[int, int]
    mark_px: float
    text_px: float

    @classmethod
    def of(cls, shape_yx: tuple[int, int], nearest_px: float | None) -> "Sizes":
        """Choose them; `nearest_px` between columns, None where there is no lattice."""
        longer = max(shape_yx)
        wanted = _MOST_MARK * longer if nearest_px is None else MARK_OF_NEAREST * nearest_px
        mark_px = min(max(wanted, _LEAST_MARK * longer), _MOST_MARK * longer)
        return cls(shape_yx, mark_px, _TEXT_SHARE * longer)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of scale: its length in pixels of the frame, and in words."""

    length_px: float
    text: str


def pixel_size_of(event: DefectEvent) -> tuple[str, float | None]:
    """Side of a pixel in words, and in nm along x; None where nobody knows it."""
    if event.pixel_size is not UNSET:
        size = event.pixel_size
        told = f"{size.size_pm:.2f} ± {size.error_pm:.2f} pm (from the {size.source})"
        return told, size.size_pm / 1000
    fov_nm = event.context.fov_nm_yx
    if not event.calibrated or fov_nm is None:
        return "not known: places are in pixels only", None
    y_pm, x_pm = (
        1000 * fov * share / n
        for fov, share, n in zip(fov_nm, event.roi.size_frac_yx, event.frame.shape_yx, strict=True)
    )
    same = math.isclose(y_pm, x_pm, rel_tol=1e-3)
    return (f"{x_pm:.4g} pm" if same else f"{y_pm:.4g} x {x_pm:.4g} pm (y, x)"), x_pm / 1000


def bar_of(width_px: int, pixel_nm: float | None) -> Bar | None:
    """Make a bar of scale of a round length."""
    if pixel_nm is None:
        return None
    length_nm = round_length(_BAR_SHARE * width_px * pixel_nm)
    return Bar(length_nm / pixel_nm, f"{length_nm:g} nm")


def dose_of(attrs: Mapping[str, Any]) -> str:  # Any: the vendor's values
    """Dose, as the file says it; empty where it does not."""
    told = [f"{value} ({name})" for name, value in attrs.items() if "dose" in name.lower()]
    return ", ".join(told)


def round_length(most: float) -> float:
    """Largest of 1, 2, 5, 10, 20, ... that is not above `most`, for a bar of scale.

    Examples
    --------
    >>> round_length(2.3), round_length(0.07)
    (2.0, 0.05)
    """
    decade = 10.0 ** math.floor(math.log10(most))
    return max(step * decade for step in (1, 2, 5) if step * decade <= most * (1 + 1e-9))
