"""The frozen feature network that ships: what it is called, and how it is run."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Final

import numpy as np
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
        "MaxPool",
        "Mul",
        "ReduceMean",
        "ReduceSumSquare",
        "Relu",
        "Sqrt",
        "Sub",
    ]
)
N_THREADS = 2
# What a block leaves behind stays in the cache. One thread took 92 to 98 ms for the 64 tiles of a
# frame in blocks of 1, 2 or 4, and 104 to 125 in blocks of 8 or more.
BLOCK = 2
_INPUT: dict[str, Sides | None] = {PREPARED: (1, SIDE_PX, SIDE_PX)}


def shipped_network() -> bytes:
    """Read the ONNX file of the feature network out of the package."""
    folder = resources.files("latticewatch.detectors.pretrained")
    return folder.joinpath(NETWORK).read_bytes()


class TileNetwork:
    """Prepares tiles and runs a network on them, on two threads: one call at a time.

    Parameters
    ----------
    network
        ONNX file with the input `prepared` (n, 1, 128, 128).
    outputs
        Names and widths F of its outputs (n, F).
    where
        Name of the model, for messages.
    most_bytes
        That the file may have.

    Raises
    ------
    ModelError
        The file is too large, damaged, holds what our networks do not, or has other outputs.
    """

    def __init__(
        self, network: bytes, outputs: Mapping[str, int], where: str, *, most_bytes: int
    ) -> None:
        refuse_foreign(network, where, OPERATORS, most_bytes=most_bytes)
        sides: dict[str, Sides | None] = {name: (width,) for name, width in outputs.items()}
        # Each thread runs whole blocks. Where both share each operator, one waits for the other
        # sixty times a block: 64 to 110 ms for a frame, this way 52 to 64 in the same minutes.
        self._session = open_session(network, _INPUT, sides, where, n_threads=1)
        self._outputs = dict(outputs)
        self.notes: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._preparers: list[TilePreparer] = []
        self._prepared = np.zeros((N_THREADS, BLOCK, 1, SIDE_PX, SIDE_PX), np.float32)

    def run(self, tiles: NDArray[np.generic]) -> list[NDArray[np.float32]]:
        """Run the network on tiles (N, S, S), S 32 to 128.

        Returns
        -------
        list
            Of each output (N, F); NaN where a tile shows nothing.
        """
        results = [
            np.full((len(tiles), width), np.nan, np.float32) for width in self._outputs.values()
        ]
        if not self._preparers or self._preparers[0].side_px != tiles.shape[-1]:
            self._preparers = [TilePreparer(tiles.shape[-1]) for _ in range(N_THREADS)]
        # Each thread takes the next block when it is done with one, so that a thread whose core has
        # other work holds nobody up.
        starts = iter(range(0, len(tiles), BLOCK))
        if len(tiles) <= BLOCK:
            self._run_some(0, starts, tiles, results)
            return results
        with ThreadPoolExecutor(N_THREADS - 1) as others:
            work = [
                others.submit(self._run_some, thread, starts, tiles, results)
                for thread in range(1, N_THREADS)
            ]
            self._run_some(0, starts, tiles, results)
            for one in work:
                one.result()
        return results

    def _run_some(
        self,
        thread: int,
        starts: Iterator[int],
        tiles: NDArray[np.generic],
        results: list[NDArray[np.float32]],
    ) -> None:
        """Run the blocks that begin there."""
        for start in starts:
            some = tiles[start : start + BLOCK]
            prepared = self._prepared[thread, : len(some)]
            shown = self._preparers[thread].prepare(some, prepared)
            answers = self._session.run(list(self._outputs), {PREPARED: prepared})
            for result, answer in zip(results, answers, strict=True):
                result[start : start + len(some)][shown] = answer[shown]


class FeatureNetwork:
    """Turns tiles into features, for fits."""

    def __init__(self) -> None:
        self._network = TileNetwork(
            shipped_network(), {FEATURES: N_FEATURES}, NETWORK, most_bytes=2**20
        )

    def features_of(self, tiles: NDArray[np.generic]) -> NDArray[np.float32]:
        """Features (N, 80) of tiles (N, S, S), S 32 to 128; NaN where a tile shows nothing."""
        return self._network.run(tiles)[0]
