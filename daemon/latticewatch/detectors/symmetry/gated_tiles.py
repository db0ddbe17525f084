"""Which tiles of the reference a gate calls clean."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.typicality import tiles_of

Image = NDArray[np.float32]
Tiles = NDArray[np.bool_]
_DEFECTIVE = 0.5


class Verdicts(Protocol):
    """What a gate says of some tiles."""

    @property
    def p_defect(self) -> NDArray[np.floating]:
        """Chance (N,) that a tile holds a defect."""
        ...

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether (N,) it is of a kind that the gate learned."""
        ...


class TileGate(Protocol):
    """Judges tiles of raw pixels."""

    @property
    def network(self) -> bytes:
        """Its ONNX file, which the model keeps."""
        ...

    @property
    def tile_px(self) -> int:
        """Side of the tiles that it judges."""
        ...

    def judge(self, tiles: Image) -> Verdicts:
        """Judge tiles (N, S, S), S = `tile_px`."""
        ...


def side_of_whole(tile_px: int, gate_px: int) -> int:
    """Side of a tile that so many of the gate's fill as fit into one; at least one.

    Examples
    --------
    >>> side_of_whole(128, 64), side_of_whole(128, 96), side_of_whole(64, 128)
    (128, 96, 128)
    """
    return max(1, tile_px // gate_px) * gate_px


def gated(gate: TileGate, frame: Image, side_px: int, typical: Tiles) -> Tiles:
    """Tell which tiles are clean by the gate, or typical where it does not know.

    Parameters
    ----------
    gate
        Sees the raw pixels, each of its own tiles by itself.
    frame : (H, W)
        Raw.
    side_px
        Of a tile: a multiple of the gate's.
    typical : (R, C)
        What typicality says.

    Returns
    -------
    (R, C)
        A tile is clean if the gate calls none of its tiles inside a defect; one of which it does
        not know a part must be typical, too.
    """
    (rows, columns), parts = typical.shape, side_px // gate.tile_px
    whole = frame[: rows * side_px, : columns * side_px]
    small = tiles_of(whole, gate.tile_px)
    verdicts = gate.judge(np.ascontiguousarray(small.reshape(-1, gate.tile_px, gate.tile_px)))
    known = np.asarray(verdicts.known, bool)
    # NaN is no defect, and not known either.
    defective = known & (verdicts.p_defect >= _DEFECTIVE)
    sound, sure = (
        part.reshape(rows, parts, columns, parts).all(axis=(1, 3)) for part in (~defective, known)
    )
    clean: Tiles = sound & (sure | typical)
    return clean
