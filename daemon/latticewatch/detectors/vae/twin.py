"""The linear twin of a network, kept in the same model file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.pca import DensePca

_LARGEST_SIDE = 513


def twin_header(pca: DensePca | None) -> dict[str, Any]:  # Any: JSON
    """Numbers of the twin, under "pca"; nothing where there is none."""
    if pca is None:
        return {}
    return {"pca": {"bias": pca.bias, "rank": pca.rank, "n_windows": pca.n_windows}}


def twin_arrays(pca: DensePca | None) -> dict[str, NDArray[Any]]:  # Any: both float widths
    """Arrays of the twin."""
    if pca is None:
        return {}
    return {"pca_weights": pca.weights, "pca_basis_px_yx": pca.basis_px_yx}


def read_twin(artifact: Artifact, where: str) -> DensePca | None:
    """Read the twin of a model; None where its file holds none.

    Raises
    ------
    ModelError
        A number or an array of it is missing or makes no sense.
    """
    given = artifact.header.get("pca")
    if given is None:
        return None
    numbers = [given.get(name) for name in ("bias", "rank", "n_windows")] if _is_map(given) else []
    plain = [one for one in numbers if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(plain) != 3 or not all(abs(one) < 1e6 for one in plain):
        raise ModelError(f"{where}: pca = {given!r:.60}, expected bias, rank and n_windows")
    weights, basis = (artifact.arrays.get(name) for name in ("pca_weights", "pca_basis_px_yx"))
    shape = None if weights is None else weights.shape
    side = shape[0] if shape else 0
    if weights is None or shape != (side, side) or side % 2 == 0 or side > _LARGEST_SIDE:
        raise ModelError(
            f"{where}: array pca_weights has shape {shape}, expected an odd square of at most "
            f"{_LARGEST_SIDE}"
        )
    if basis is None or basis.shape != (2, 2):
        told = None if basis is None else basis.shape
        raise ModelError(f"{where}: array pca_basis_px_yx has shape {told}, expected (2, 2)")
    lengths = np.linalg.norm(basis, axis=1)
    if not (lengths > 1).all() or not (lengths < side).all():
        raise ModelError(
            f"{where}: array pca_basis_px_yx has vectors of {lengths} px, expected 1 to {side}"
        )
    return DensePca(
        weights=weights.astype(np.float32),
        bias=float(plain[0]),
        basis_px_yx=basis.astype(np.float64),
        rank=int(plain[1]),
        n_windows=int(plain[2]),
    )


def _is_map(given: object) -> bool:
    return isinstance(given, dict)
