"""Numbers of the reference-cell detector; all chosen and measured on simulated frames.

Lengths are in lattice periods (square root of the cell's area), in distances between nearest
columns, or in widths of a column, as each name says.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReferenceCellParameters:
    """Settings of the detector.

    Attributes
    ----------
    cell_blur_px
        Blur of the mean cell: half a pixel, so that a bin borrows from its neighbours.
    local_periods
        Standard deviation of the window in which gain and offset are fitted. At 2.5 a smooth bright
        patch of 60 px made dopants of its columns; at 1.5 nothing is lost on 35 images.
    mask_sigmas, mask_widths
        A place stranger than this is left out of the mean cell, with so many column widths.
    least_column
        Least height of a column of the mean cell, as a share of the cell's range.
    share_intensity, share_place, share_extra
        How the false alarms are shared between columns of other intensity, displaced columns,
        and columns where none belongs.
    """

    cell_blur_px: float = 0.5
    local_periods: float = 1.5
    mask_sigmas: float = 5.0
    mask_widths: float = 3.5
    least_column: float = 0.08
    share_intensity: float = 0.6
    share_place: float = 0.25
    share_extra: float = 0.15
