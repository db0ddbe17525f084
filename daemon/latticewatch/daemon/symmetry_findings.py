"""Segments of a symmetry map in the terms of an event."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.outlined import Drawn
from latticewatch.detectors.calibration import score_of_p
from latticewatch.detectors.protocols import Finding

PART = "symmetry"


class DrawnSegment(Protocol):
    """What is read of a `Segment`."""

    @property
    def kind(self) -> str:
        """Word of the protocol."""
        ...

    @property
    def outline_px_yx(self) -> NDArray[np.float64]:
        """Points (N, 2) [y, x]; of a closed one the first is not repeated."""
        ...

    @property
    def closed(self) -> bool:
        """It runs round a patch or an inclusion."""
        ...

    @property
    def center_px_yx(self) -> tuple[float, float]:
        """Middle of an open line, centroid of what a closed one surrounds."""
        ...

    @property
    def length_px(self) -> float:
        """Along the outline."""
        ...

    @property
    def area_px2(self) -> float:
        """Of what a closed outline surrounds."""
        ...

    @property
    def mean_severity(self) -> float:
        """Distance over the model's limit; NaN where the map is masked."""
        ...

    @property
    def p_value(self) -> float:
        """Chance per frame that a clean one shows such a segment."""
        ...


def symmetry_findings(segments: Sequence[DrawnSegment]) -> list[Finding]:
    """One finding for each segment, in their order.

    Returns
    -------
    list of Finding
        At the middle of an open line, with half its length as extent; at the centroid of a closed
        one, with the radius of a disc of its area. Their part `symmetry` has the mean severity in
        the place of z: how far the texture is from the model's, over the model's limit. Where the
        map is masked, as in a hole, it is the z of the p-value.
    """
    return [_of(one) for one in segments]


def _of(segment: DrawnSegment) -> Finding:
    disc_px = float(np.sqrt(max(segment.area_px2, 0.0) / np.pi))
    # Beyond the numbers of a normal law a chance of nothing would be no chance on the wire.
    p_value = min(max(float(segment.p_value), 1e-300), 1.0)
    severity = float(segment.mean_severity)
    z = severity if np.isfinite(severity) else score_of_p(p_value)
    return Drawn(
        kind=segment.kind,
        line_px_yx=np.asarray(segment.outline_px_yx, np.float64),
        place_px_yx=np.array(segment.center_px_yx, np.float64),
        extent_px=disc_px if segment.closed else 0.5 * segment.length_px,
        p_value=p_value,
        parts=((PART, z, p_value),),
    ).finding()
