"""Lines and patches in the terms of an event, and which of two detectors mean the same one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray
from scipy.spatial import KDTree

from latticewatch.detectors.protocols import Finding

Points = NDArray[np.float64]
Findings = tuple[tuple[Finding, ...], NDArray[np.float64]]
"""Of one detector, and their q-values (F,)."""

MOST_POINTS = 512  # protocol 4.2
PATCH = "amorphous"  # the kind whose outline is closed
# Two methods draw one line within a period of each other: both blur over more than that.
_SAME_LINE_PERIODS = 1.5
_MOST_OF_A_LINE = 0.5
_SAME_PATCH = 0.3  # intersection over union
_SPACING_PERIODS = 0.25  # of points along a line, to be compared
_MOST_COMPARED = 2048
_GRID = 64  # places along either side of the box round two patches


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line or patch as a detector drew it.

    Attributes
    ----------
    kind
        Word of the protocol.
    line_px_yx : (N, 2)
        Its points [y, x]; round a patch the first is not repeated.
    place_px_yx : (2,)
        Where the event says that it is.
    extent_px
        Half the length of an open line, the radius of a patch; None for the root mean square
        distance of the points from the place.
    p_value
        Chance of as much without a line or patch.
    parts
        Name, robust z and p-value of each statistic that looked.
    """

    kind: str
    line_px_yx: Points
    place_px_yx: Points
    extent_px: float | None
    p_value: float
    parts: tuple[tuple[str, float, float], ...]

    def finding(self) -> Finding:
        """Return the finding; its covariance is that of the points of the line about the place.

        Where along the line the place lies means nothing.
        """
        line = thinned(self.line_px_yx)
        off = line - self.place_px_yx
        cov = off.T @ off / len(off)
        radius_px = float(np.sqrt(np.trace(cov)))
        return Finding(
            pixel_yx=(float(self.place_px_yx[0]), float(self.place_px_yx[1])),
            cov_px=(float(cov[0, 0]), float(cov[0, 1]), float(cov[1, 1])),
            kind=self.kind,
            intensity_ratio=None,
            extent_px=radius_px if self.extent_px is None else float(self.extent_px),
            p_value=float(self.p_value),
            parts=tuple((name, float(z), float(p)) for name, z, p in self.parts),
            # A fitted law's, far beyond what a frame can count.
            tail=True,
            outline_px_yx=tuple((float(y), float(x)) for y, x in line),
        )


def thinned(line_px_yx: Points, n_most: int = MOST_POINTS) -> Points:
    """Keep at most so many points of a line, both ends among them, evenly chosen."""
    if len(line_px_yx) <= n_most:
        return line_px_yx
    kept = np.round(np.linspace(0, len(line_px_yx) - 1, n_most)).astype(int)
    points: Points = line_px_yx[kept]
    return points


class Outlined(Protocol):
    """Whatever is a line or a patch: a finding, or a defect of an event."""

    @property
    def kind(self) -> str:
        """Word of the protocol."""
        ...

    @property
    def outline_px_yx(self) -> Sequence[tuple[float, float]] | UnsetType | None:
        """Points, none for a point defect."""
        ...


class KnownOutlines:
    """Lines and patches that one detector drew, to be told from those of another.

    Parameters
    ----------
    known
        What it drew; points among them mean nothing here.
    period_px
        Of the lattice; 0, so that no lines are the same, where nobody knows it.
    """

    def __init__(self, known: Sequence[Outlined], period_px: float) -> None:
        self._kinds = [one.kind for one in known]
        self._lines = [points_of(one) for one in known]
        self._period_px = period_px

    def find(self, other: Outlined) -> list[int]:
        """Return indices of all that the other means, too: it may draw as one what was two.

        Two lines are one where most of the shorter lies within a period and a half of the other;
        two patches where they share 0.3 of what both cover.
        """
        line = points_of(other)
        if line is None:
            return []
        same_as = self._same_patch if other.kind == PATCH else self._same_line
        return [
            k
            for k, (kind, known) in enumerate(zip(self._kinds, self._lines, strict=True))
            if known is not None and kind == other.kind and same_as(known, line)
        ]

    def _same_line(self, one: Points, other: Points) -> bool:
        if not self._period_px > 0:
            return False
        spacing_px = _SPACING_PERIODS * self._period_px
        shorter, longer = sorted((one, other), key=_length)
        near_px = _SAME_LINE_PERIODS * self._period_px
        away = _away_from(dense(longer, spacing_px), dense(shorter, spacing_px))
        return float((away <= near_px).mean()) > _MOST_OF_A_LINE

    @staticmethod
    def _same_patch(one: Points, other: Points) -> bool:
        return shared_part(one, other) > _SAME_PATCH


def points_of(one: Outlined) -> Points | None:
    """Points (N, 2) of a line or patch; None for a point defect."""
    outline = one.outline_px_yx
    if outline is None or outline is UNSET or isinstance(outline, UnsetType):
        return None
    return np.array(outline, np.float64).reshape(-1, 2)


def merge_outlined(known: Findings, other: Findings, period_px: float) -> Findings:
    """One list of lines and patches of two detectors: what both drew is listed once.

    Parameters
    ----------
    known, other
        Of the one whose lines stay as they are, and of the other. One that both drew has the
        smaller p and q, and what both said.
    period_px
        Of the lattice.
    """
    findings, q_values = list(known[0]), list(known[1])
    places = KnownOutlines(findings, period_px)
    for finding, q_value in zip(*other, strict=True):
        same = places.find(finding)
        if not same:
            findings.append(finding)
            q_values.append(q_value)
        for k in same:
            findings[k] = _seen_by_both(findings[k], finding)
            q_values[k] = min(q_values[k], q_value)
    return tuple(findings), np.array(q_values)


def _seen_by_both(one: Finding, other: Finding) -> Finding:
    stronger = min(one, other, key=lambda each: each.p_value)
    parts = {part[0]: part for part in one.parts}
    for part in other.parts:
        # Where several lines of the other run along this one: what the clearest of them says.
        if part[0] not in parts or part[2] < parts[part[0]][2]:
            parts[part[0]] = part
    return replace(one, p_value=stronger.p_value, tail=stronger.tail, parts=tuple(parts.values()))


def shared_part(one: Points, other: Points) -> float:
    """Intersection over union of two polygons (N, 2), (M, 2), counted on a grid; 0..1.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [0.0, 10.0], [10.0, 10.0], [10.0, 0.0]])
    >>> round(shared_part(square, square + [0.0, 5.0]), 1)
    0.3
    """
    low = np.minimum(one.min(axis=0), other.min(axis=0))
    high = np.maximum(one.max(axis=0), other.max(axis=0))
    if ((one.max(axis=0) < other.min(axis=0)) | (other.max(axis=0) < one.min(axis=0))).any():
        return 0.0
    steps = (np.arange(_GRID) + 0.5) / _GRID
    y, x = (low[axis] + steps * (high[axis] - low[axis]) for axis in (0, 1))
    first, second = (inside(polygon, y, x) for polygon in (one, other))
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else 0.0


def inside(polygon: Points, y: NDArray[np.floating], x: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which places of a grid (len(y), len(x)) lie inside, by the parity of crossings."""
    found = np.zeros((len(y), len(x)), bool)
    for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        rows = (y0 > y) != (y1 > y)
        if rows.any():
            crossing = x0 + (x1 - x0) * (y[rows] - y0) / (y1 - y0)
            found[rows] ^= x[None, :] < crossing[:, None]
    return found


def _length(line: Points) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def dense(line: Points, spacing_px: float) -> Points:
    """Points along a line at most this far apart, as long as they are not too many."""
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    n_points = int(min(np.ceil(way[-1] / spacing_px) + 1, _MOST_COMPARED))
    at = np.linspace(0.0, way[-1], max(n_points, 2))
    return np.stack([np.interp(at, way, axis) for axis in line.T], axis=1)


def _away_from(line: Points, places: Points) -> Points:
    """Distance of each place (N,) from the nearest point of a line."""
    away: Points = KDTree(line).query(places)[0]
    return away
