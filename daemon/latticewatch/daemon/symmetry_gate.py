"""What a network that knows clean tiles of the material says of lines and patches.

It is asked about few tiles: those that a segment touches, and of these only the ones whose map has
changed since it was asked last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.outlined import PATCH, dense, inside, points_of
from latticewatch.detectors.calibration import score_of_p
from latticewatch.detectors.protocols import Finding

PART = "symmetry_gate"
# Of the limit of the map. From frame to frame of one place the mean of a tile's 256 cells moves by
# a hundredth, its twentieth largest by a tenth.
_OTHER_MEAN = 0.1
_OTHER_TOP = 0.3
_TOP_PERCENTILE = 95
# Nothing is believed for ever: at 10 frames/s each tile is asked about again every three seconds.
_MOST_FRAMES = 30


class Verdicts(Protocol):
    """Of some tiles."""

    @property
    def p_defect(self) -> NDArray[np.floating]:
        """Chance (N,) that a tile holds a defect."""
        ...

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which (N,) are of the material that the network was trained on."""
        ...


class Judge(Protocol):
    """The network."""

    def judge(self, tiles: NDArray[np.float32]) -> Verdicts:
        """Say of raw tiles (N, S, S) whether they hold a defect."""
        ...


class SeverityMap(Protocol):
    """What is read of a `SymmetryMap`."""

    @property
    def severity(self) -> NDArray[np.float32]:
        """Distance (R, C) over the model's limit; NaN where nothing is known."""
        ...

    @property
    def step_px(self) -> float:
        """Between cells."""
        ...

    @property
    def first_px_yx(self) -> tuple[float, float]:
        """Middle of the first cell."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was said of a tile, and how its map was then; `p_defect` None where it is not known."""

    mean: float
    top: float
    p_defect: float | None
    frame: int


class SegmentGate:
    """Asks the network about the tiles of lines and patches, and remembers what it said.

    Parameters
    ----------
    network
        Knows one material.
    tile_px
        Side of the tiles that it judges.
    threshold
        From this chance on a tile holds a defect.
    """

    def __init__(self, network: Judge, *, tile_px: int, threshold: float) -> None:
        self._network, self._tile_px, self._threshold = network, tile_px, threshold
        self._n_frames = 0
        self._asked: dict[tuple[int, int], _Asked] = {}
        self.n_asked = 0

    def forget(self) -> None:
        """Begin anew, as with another session."""
        self._asked = {}

    def sift(
        self, image: NDArray[np.float32], found: SeverityMap, findings: Sequence[Finding]
    ) -> tuple[list[Finding], str]:
        """Leave out what the network knows and calls clean all over.

        Parameters
        ----------
        image : (H, W)
            The raw frame.
        found
            Its map.
        findings
            With outlines.

        Returns
        -------
        list of Finding, str
            Those that stay, with what the network says, and what it does not know in words.
        """
        self._n_frames += 1
        if not findings or min(image.shape) < self._tile_px:
            return list(findings), ""
        touched = [_tiles_of(one, image.shape, self._tile_px) for one in findings]
        self._ask(image, found, sorted({tile for tiles in touched for tile in tiles}))
        kept, unknown = [], set()
        for finding, tiles in zip(findings, touched, strict=True):
            said = [self._asked[tile].p_defect for tile in tiles]
            unknown |= {tile for tile, p in zip(tiles, said, strict=True) if p is None}
            known = [p for p in said if p is not None]
            if known and len(known) == len(said) and max(known) < self._threshold:
                continue
            kept.append(_with_opinion(finding, known))
        n_tiles = len({tile for tiles in touched for tile in tiles})
        note = f"the gate does not know {len(unknown)} of {n_tiles} tiles" if unknown else ""
        return kept, note

    def _ask(
        self, image: NDArray[np.float32], found: SeverityMap, tiles: list[tuple[int, int]]
    ) -> None:
        side = self._tile_px
        fresh = {tile: _summary(found, tile, side) for tile in tiles}
        anew = [tile for tile in tiles if self._has_changed(tile, fresh[tile])]
        if not anew:
            return
        self.n_asked += len(anew)
        block = np.stack([image[y : y + side, x : x + side] for y, x in anew])
        said = self._network.judge(np.ascontiguousarray(block, np.float32))
        for tile, p_defect, known in zip(anew, said.p_defect, said.known, strict=True):
            mean, top = fresh[tile]
            sure = float(p_defect) if known and np.isfinite(p_defect) else None
            self._asked[tile] = _Asked(mean, top, sure, self._n_frames)

    def _has_changed(self, tile: tuple[int, int], now: tuple[float, float]) -> bool:
        before = self._asked.get(tile)
        if before is None or self._n_frames - before.frame >= _MOST_FRAMES:
            return True
        mean, top = now
        # Written so that NaN is a change.
        same = abs(mean - before.mean) <= _OTHER_MEAN * max(1.0, before.mean)
        return not (same and abs(top - before.top) <= _OTHER_TOP * max(1.0, before.top))


def _with_opinion(finding: Finding, known: Sequence[float]) -> Finding:
    if not known:
        return finding
    p_value = min(max(1.0 - max(known), 1e-300), 1.0)
    part = (PART, score_of_p(p_value), p_value)
    return replace(finding, parts=(*finding.parts, part))


def _tiles_of(finding: Finding, shape: tuple[int, ...], side_px: int) -> list[tuple[int, int]]:
    """Corners of the tiles that a line or patch touches; those at the far edges end there."""
    line = points_of(finding)
    if line is None:
        line = np.array([finding.pixel_yx])
    points = dense(line, side_px / 4)
    if finding.kind == PATCH:
        y, x = (side_px * (np.arange(size // side_px) + 0.5) for size in shape)
        within = np.argwhere(inside(line, y, x))
        points = np.concatenate([points, within * side_px + side_px / 2])
    last = np.array(shape) - side_px
    corners = np.minimum(np.clip(points // side_px, 0, None) * side_px, last).astype(int)
    return [(int(y), int(x)) for y, x in np.unique(corners, axis=0)]


def _summary(found: SeverityMap, tile: tuple[int, int], side_px: int) -> tuple[float, float]:
    """Mean and nearly largest severity of a tile; NaN where nothing of it is known."""
    part = []
    for corner, first in zip(tile, found.first_px_yx, strict=True):
        begin = int(np.ceil((corner - first) / found.step_px))
        end = int(np.floor((corner + side_px - 1 - first) / found.step_px)) + 1
        part.append(slice(max(begin, 0), max(end, 0)))
    cells = found.severity[part[0], part[1]]
    cells = cells[np.isfinite(cells)]
    if not len(cells):
        return float("nan"), float("nan")
    return float(cells.mean()), float(np.percentile(cells, _TOP_PERCENTILE))
