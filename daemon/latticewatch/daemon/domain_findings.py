"""Boundaries between domains in the terms of an event."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.boundaries import Boundary, middle_of
from latticewatch.detectors.protocols import Finding

NAME = "patterson_domains"
_MOST_POINTS = 512  # protocol 4.2
_FEWEST_POINTS = 2


def domain_findings(boundaries: Sequence[Boundary], limit_p: float = 1e-3) -> list[Finding]:
    """One finding of kind `boundary` for each line, strongest first.

    Parameters
    ----------
    boundaries
        Of `find_boundaries`; a closed one runs round an inclusion.
    limit_p
        Lines at least this likely without a boundary are left out.

    Returns
    -------
    list of Finding
        At the middle of an open line, with half its length as extent; at the centre of a closed
        one, with the root mean square radius. The covariance is that of the points of the line
        about the place: where along the line the place lies means nothing.
    """
    believed = [boundary for boundary in boundaries if boundary.p_value <= limit_p]
    return [_finding(boundary) for boundary in sorted(believed, key=lambda one: one.p_value)]


def thinned(line_px_yx: NDArray[np.float64], n_most: int = _MOST_POINTS) -> NDArray[np.float64]:
    """Keep at most so many points of a line, both ends among them, evenly chosen."""
    if len(line_px_yx) <= n_most:
        return line_px_yx
    kept = np.round(np.linspace(0, len(line_px_yx) - 1, n_most)).astype(int)
    points: NDArray[np.float64] = line_px_yx[kept]
    return points


def _finding(boundary: Boundary) -> Finding:
    line = thinned(boundary.line_px_yx)
    place = middle_of(boundary.line_px_yx, boundary.closed)
    off = line - place
    cov = off.T @ off / len(off)
    extent_px = 0.5 * boundary.length_px
    if boundary.closed:
        extent_px = float(np.sqrt(np.trace(cov)))
    return Finding(
        pixel_yx=(float(place[0]), float(place[1])),
        cov_px=(float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1])),
        kind="boundary",
        intensity_ratio=None,
        extent_px=extent_px,
        p_value=boundary.p_value,
        parts=((NAME, boundary.z, boundary.p_value),),
        # A normal law's, far beyond what a frame can count.
        tail=True,
        outline_px_yx=tuple((float(y), float(x)) for y, x in line),
    )
