"""Labelled tiles, drawn and published, and gates fitted on them."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.gate_fit import GateFit, GateFitSettings, fit_gate
from support.shared_data import DATA
from support.twins import twin

Tiles = NDArray[np.float32]
Labels = NDArray[np.bool_]
# Mean counts of a pixel: a boundary is plain to see.
_COUNTS = 40.0


def clean_tiles(crystal: str, n: int, *, side_px: int = 128, **scene: Any) -> Tiles:  # noqa: ANN401 - of a scene
    """Tiles of one perfect crystal, cut from frames of several seeds and angles."""
    tiles: list[Tiles] = []
    seed = int(scene.pop("seed", 0))
    while len(tiles) < n:
        frame = twin(crystal, share=0.0, seed=seed, **{"counts": _COUNTS, **scene}).frame
        tiles += [
            frame[y : y + side_px, x : x + side_px]
            for y in range(0, len(frame) - side_px + 1, side_px)
            for x in range(0, len(frame) - side_px + 1, side_px)
        ]
        seed += 1
    return np.stack(tiles[:n])


def boundary_tiles(crystal: str, n: int, *, side_px: int = 128, **scene: Any) -> Tiles:  # noqa: ANN401 - as above
    """Tiles through which a boundary between two crystals goes, at different places."""
    seed = int(scene.pop("seed", 100))
    rng = np.random.default_rng(seed)
    scene = {"counts": _COUNTS, "shape_yx": (side_px, side_px), **scene}
    return np.stack(
        [
            twin(crystal, seed=seed + k, share=rng.uniform(0.25, 0.5), **scene).frame
            for k in range(n)
        ]
    )


def labelled(crystal: str, n: int, **scene: Any) -> tuple[Tiles, Labels]:  # noqa: ANN401 - as above
    """So many tiles of each class."""
    tiles = [clean_tiles(crystal, n, **scene), boundary_tiles(crystal, n, **scene)]
    return np.concatenate(tiles), np.repeat([False, True], n)


@lru_cache
def drawn_fit(crystal: str = "hexagonal", n: int = 12) -> GateFit:
    """A gate of a drawn crystal with few copies and splits, fitted once."""
    tiles, labels = labelled(crystal, n)
    return fit_gate(tiles, labels, GateFitSettings(n_jittered=2, n_splits=2, n_folds=3))


def published_tiles(name: str) -> tuple[NDArray[np.uint8], Labels]:
    """Labelled tiles of "cdte" or "sto", and which are not Bulk; skips where they are absent."""
    path = DATA / f"tiles_{name}" / "tiles.npz"
    if not path.exists():
        pytest.skip(f"tiles_{name} is not beside this checkout")
    with np.load(path, allow_pickle=False) as stored:
        return stored["images"], stored["labels"] != "Bulk"


def drawn_lots(is_defect: Labels, n: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of n tiles of each class to learn from, and of all the others."""
    rng = np.random.default_rng(seed)
    taught = np.concatenate(
        [rng.permutation(np.flatnonzero(is_defect == kind))[:n] for kind in (False, True)]
    )
    return taught, np.setdiff1d(np.arange(len(is_defect)), taught)
