"""The gate says whether a tile holds a defect, and whether it knows such tiles at all.

Optional, and of one material and one microscope run: asked about another it does not know
(methods/symmetry.md 3.5). Where the defect is, is the map's to say.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.symmetry.gate_features import TileNetwork
from latticewatch.detectors.symmetry.gate_input import LEAST_SIDE_PX, SIDE_PX

LOGITS, NOVELTY = "defect_logit", "novelty"
# As in the published program: index 0 of two classes is the defect.
CLASSES: Final = ("defect", "clean")
FORMAT_VERSION = 1
_HEADER = "gate"
# A frozen VGG16 and its head are 98 MB.
MOST_BYTES = 128 * 2**20
OUTPUTS: Final = {LOGITS: 1, NOVELTY: 1}


@dataclass(frozen=True, slots=True)
class GateHeader:
    """What a gate says of itself; it travels in its ONNX file.

    Attributes
    ----------
    tile_px
        Side of the tiles that it has learned and that it judges.
    network
        "efficientnet-lite0" or "vgg16".
    threshold
        A tile holds a defect from this `p_defect` on.
    novelty_quantile
        Share of tiles of its own material, held out of the fit, that it calls known.
    n_clean, n_defect, n_dropped
        Tiles that were learned, and that the label rule left out.
    provenance
        Seed, strength of the regularisation, digest of the frozen network and of the tiles.
    metrics
        Mean and standard deviation over random splits, by name.
    """

    tile_px: int
    network: str
    threshold: float
    novelty_quantile: float
    n_clean: int
    n_defect: int
    n_dropped: int
    provenance: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def notes(self) -> dict[str, str]:
        """Text for the ONNX file."""
        full = {"format_version": FORMAT_VERSION, "classes": CLASSES, **asdict(self)}
        return {_HEADER: json.dumps(full, sort_keys=True, allow_nan=False)}

    @classmethod
    def from_notes(cls, notes: Mapping[str, str], where: str) -> Self:
        """Read it back.

        Raises
        ------
        ModelError
            Something is missing or makes no sense.
        """
        try:
            told = json.loads(notes[_HEADER])
            header = cls(
                tile_px=int(told["tile_px"]),
                network=str(told["network"]),
                threshold=float(told["threshold"]),
                novelty_quantile=float(told["novelty_quantile"]),
                n_clean=int(told["n_clean"]),
                n_defect=int(told["n_defect"]),
                n_dropped=int(told["n_dropped"]),
                provenance=dict(told["provenance"]),
                metrics={name: (float(m), float(s)) for name, (m, s) in told["metrics"].items()},
            )
            version = told["format_version"]
        except (
            LookupError,
            TypeError,
            ArithmeticError,
            ValueError,
            AttributeError,
            RecursionError,
        ) as error:
            told_error = " ".join(f"{type(error).__name__} {error}".split())[:100]
            raise ModelError(f"{where}: no header of a gate ({told_error})") from error
        if version != FORMAT_VERSION:
            raise ModelError(
                f"{where}: a gate of format {version!r:.20}, this program reads {FORMAT_VERSION}"
            )
        if not LEAST_SIDE_PX <= header.tile_px <= SIDE_PX or not 0 < header.threshold < 1:
            raise ModelError(
                f"{where}: tile_px = {header.tile_px}, threshold = {header.threshold:g}, expected "
                f"{LEAST_SIDE_PX} to {SIDE_PX} and between 0 and 1"
            )
        return header


@dataclass(frozen=True, slots=True)
class GateVerdicts:
    """What the gate says of tiles.

    Attributes
    ----------
    p_defect : (N,)
        0 to 1; NaN where a tile shows nothing (NaN among its pixels, or all the same).
    known : (N,) bool
        False: not like the tiles that the gate has learned, and `p_defect` means nothing.
    novelty : (N,)
        Distance to what was learned, over the limit: up to 1 is known. NaN as above.
    """

    p_defect: NDArray[np.float32]
    known: NDArray[np.bool_]
    novelty: NDArray[np.float32]


class Gate:
    """Judges tiles, in buffers that it keeps: one at a time, from one thread.

    Parameters
    ----------
    network
        ONNX file: `prepared` (n, 1, 128, 128) to `defect_logit` and `novelty` (n, 1), with its
        header inside.
    where
        Name of the model, for messages.

    Attributes
    ----------
    network, sha256
        That file, and its digest.
    header
        What it says of itself.

    Raises
    ------
    ModelError
        The file is too large, damaged, holds what our networks do not, or no header.
    """

    def __init__(self, network: bytes, where: str = "gate") -> None:
        self.network = network
        self.sha256 = hashlib.sha256(network).hexdigest()
        self._tiles = TileNetwork(network, OUTPUTS, where, most_bytes=MOST_BYTES)
        self.header = GateHeader.from_notes(self._tiles.notes, where)
        self._prove(where)

    def _prove(self, where: str) -> None:
        """Ask about tiles of noise: what fails only there would end the daemon."""
        side, n_tiles = self.tile_px, 3
        noise = np.random.default_rng(0).uniform(1.0, 2.0, (n_tiles, side, side))
        try:
            said = self.judge(noise.astype(np.float32))
        except Exception as error:  # of the foreign network, whatever it is
            told = " ".join(f"{type(error).__name__} {error}".split())[:200]
            raise ModelError(f"{where}: the gate does not answer ({told})") from error
        answers = (said.p_defect, said.novelty)
        if any(one.shape != (n_tiles,) or not np.isfinite(one).all() for one in answers):
            raise ModelError(f"{where}: the gate does not give a finite number for each tile")

    @property
    def tile_px(self) -> int:
        """Side of the tiles that it judges."""
        return self.header.tile_px

    def judge(self, tiles: NDArray[np.generic]) -> GateVerdicts:
        """Judge tiles.

        Parameters
        ----------
        tiles : (N, S, S)
            Raw pixels of any scale, S = `tile_px`. About 0.8 ms each on two threads.

        Raises
        ------
        ValueError
            They have another side.
        """
        side = self.tile_px
        if tiles.ndim != 3 or tiles.shape[1:] != (side, side):
            raise ValueError(f"tiles of shape {tiles.shape}, expected (N, {side}, {side})")
        logits, novelty = (answer[:, 0] for answer in self._tiles.run(tiles))
        # Without an overflow, however sure it is.
        p_defect = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
        # NaN is not known.
        return GateVerdicts(p_defect, novelty <= 1.0, novelty)
