"""Boundaries, faults and amorphous patches in the terms of an event."""

from collections.abc import Sequence

import numpy as np

from latticewatch.daemon.outlined import Drawn
from latticewatch.daemon.outlined import thinned as thinned
from latticewatch.detectors.patterson.boundaries import Boundary, middle_of
from latticewatch.detectors.patterson.faults import Fault
from latticewatch.detectors.patterson.patches import Patch
from latticewatch.detectors.protocols import Finding

BOUNDARY = "patterson_domains"
FAULT = "patterson_faults"
PATCH = "patterson_patches"
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


def _of_boundary(boundary: Boundary) -> Finding:
    place = middle_of(boundary.line_px_yx, boundary.closed)
    extent_px = None if boundary.closed else 0.5 * boundary.length_px
    part = (BOUNDARY, boundary.z, boundary.p_value)
    line = boundary.line_px_yx
    return Drawn("boundary", line, place, extent_px, boundary.p_value, (part,)).finding()


def _of_fault(fault: Fault) -> Finding:
    place = middle_of(fault.line_px_yx, closed=False)
    part, half_px = (FAULT, fault.z, fault.p_value), 0.5 * fault.length_px
    return Drawn("boundary", fault.line_px_yx, place, half_px, fault.p_value, (part,)).finding()


def _of_patch(patch: Patch) -> Finding:
    place = np.array(patch.center_px_yx)
    part = (PATCH, 1.0 - patch.presence, _PATCH_P)
    line = patch.outline_px_yx
    return Drawn("amorphous", line, place, patch.radius_px, _PATCH_P, (part,)).finding()
