"""The frozen feature network that ships: what it is called, and how it is run."""

from importlib import resources
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from latticewatch.detectors.onnx_checks import refuse_foreign
from latticewatch.detectors.onnx_session import Sides, open_session
from latticewatch.detectors.symmetry.gate_input import SIDE_PX, TilePreparer

NETWORK: Final = "efficientnet-lite0.onnx"
PREPARED, FEATURES = "prepared", "features"
N_FEATURES: Final = 80
OPERATORS = frozenset(
    [
        "Add",
        "Clip",
        "Concat",
        "Conv",
        "Flatten",
        "Gemm",
        "Mul",
        "ReduceMean",
        "ReduceSumSquare",
        "Sqrt",
        "Sub",
    ]
)
N_THREADS = 2
# What a block of 8 tiles leaves behind stays in the cache: 64 tiles on two threads took 44 to 50 ms
# in blocks of 4 to 16, and 66 ms at once.
BATCH = 8
_INPUT: dict[str, Sides | None] = {PREPARED: (1, SIDE_PX, SIDE_PX)}


def shipped_network() -> bytes:
    """Read the ONNX file of the feature network out of the package."""
    folder = resources.files("latticewatch.detectors.pretrained")
    return folder.joinpath(NETWORK).read_bytes()


def open_gate_session(
    network: bytes, outputs: dict[str, Sides | None], where: str, *, most_bytes: int
) -> onnxruntime.InferenceSession:
    """Open a network that is shown prepared tiles.

    Raises
    ------
    ModelError
        The file is too large, damaged, holds what our networks do not, or has other outputs.
    """
    refuse_foreign(network, where, OPERATORS, most_bytes=most_bytes)
    return open_session(network, _INPUT, outputs, where, n_threads=N_THREADS)


class FeatureNetwork:
    """Turns tiles into features, for fits."""

    def __init__(self) -> None:
        network = shipped_network()
        self._session = open_gate_session(
            network, {FEATURES: (N_FEATURES,)}, NETWORK, most_bytes=2**20
        )

    def features_of(self, tiles: NDArray[np.generic]) -> NDArray[np.float32]:
        """Features (N, 80) of tiles (N, S, S), S 32 to 128; NaN where a tile shows nothing."""
        preparer = TilePreparer(tiles.shape[-1])
        features = np.empty((len(tiles), N_FEATURES), np.float32)
        prepared = np.empty((BATCH, 1, SIDE_PX, SIDE_PX), np.float32)
        for start in range(0, len(tiles), BATCH):
            some = tiles[start : start + BATCH]
            shown = preparer.prepare(some, prepared[: len(some)])
            part = slice(start, start + len(some))
            features[part] = self._session.run(None, {PREPARED: prepared[: len(some)]})[0]
            features[part][~shown] = np.nan
        return features
