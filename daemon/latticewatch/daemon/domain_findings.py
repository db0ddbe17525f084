"""Boundaries, faults and amorphous patches in the terms of an event."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.boundaries import Boundary, middle_of
from latticewatch.detectors.patterson.faults import Fault
from latticewatch.detectors.patterson.patches import Patch
from latticewatch.detectors.protocols import Finding

BOUNDARY = "patterson_domains"
FAULT = "patterson_faults"
PATCH = "patterson_patches"
_MOST_POINTS = 512  # protocol 4.2
_PATCH_P = 1e-6


def domain_findings(
    boundaries: Sequence[Boundary],
    faults: Sequence[Fault] = (),
    patches: Sequence[Patch] = (),
    limit_p: float = 1e-3,
) -> list[Finding]:
    """One finding for each line and patch, strongest first.

    Parameters
    ----------
    boundaries
        Of `find_boundaries`; a closed one runs round an inclusion. Kind `boundary`.
    faults
        Of `find_faults`. Kind `boundary`, too: the crystal is cut along a line.
    patches
        Of `find_patches`. Kind `amorphous`; their p-value is a round number, since what lies
        below a third of the usual amplitude is no tail of anything.
    limit_p
        Lines at least this likely without a boundary are left out.

    Returns
    -------
    list of Finding
        At the middle of an open line, with half its length as extent; at the centre of a closed
        one, with the root mean square radius. The covariance is that of the points of the line
        about the place: where along the line the place lies means nothing.
    """
    found = [_of_boundary(one) for one in boundaries] + [_of_fault(one) for one in faults]
    found = [finding for finding in found if finding.p_value <= limit_p]
    found += [_of_patch(one) for one in patches]
    return sorted(found, key=lambda finding: finding.p_value)


def thinned(line_px_yx: NDArray[np.float64], n_most: int = _MOST_POINTS) -> NDArray[np.float64]:
    """Keep at most so many points of a line, both ends among them, evenly chosen."""
    if len(line_px_yx) <= n_most:
        return line_px_yx
    kept = np.round(np.linspace(0, len(line_px_yx) - 1, n_most)).astype(int)
    points: NDArray[np.float64] = line_px_yx[kept]
    return points


def _of_boundary(boundary: Boundary) -> Finding:
    place = middle_of(boundary.line_px_yx, boundary.closed)
    extent_px = None if boundary.closed else 0.5 * boundary.length_px
    part = (BOUNDARY, boundary.z, boundary.p_value)
    return _finding("boundary", boundary.line_px_yx, place, extent_px, part)


def _of_fault(fault: Fault) -> Finding:
    place = middle_of(fault.line_px_yx, closed=False)
    part = (FAULT, fault.z, fault.p_value)
    return _finding("boundary", fault.line_px_yx, place, 0.5 * fault.length_px, part)


def _of_patch(patch: Patch) -> Finding:
    place = np.array(patch.center_px_yx)
    part = (PATCH, 1.0 - patch.presence, _PATCH_P)
    return _finding("amorphous", patch.outline_px_yx, place, patch.radius_px, part)


def _finding(
    kind: str,
    line_px_yx: NDArray[np.float64],
    place: NDArray[np.float64],
    extent_px: float | None,
    part: tuple[str, float, float],
) -> Finding:
    line = thinned(line_px_yx)
    name, z, p_value = part
    off = line - place
    cov = off.T @ off / len(off)
    return Finding(
        pixel_yx=(float(place[0]), float(place[1])),
        cov_px=(float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1])),
        kind=kind,
        intensity_ratio=None,
        extent_px=float(np.sqrt(np.trace(cov))) if extent_px is None else float(extent_px),
        p_value=float(p_value),
        parts=((name, float(z), float(p_value)),),
        # A normal law's, far beyond what a frame can count.
        tail=True,
        outline_px_yx=tuple((float(y), float(x)) for y, x in line),
    )
