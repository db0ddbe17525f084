"""The fitted symmetry model: a fixed reference state, and its file."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.model_files import (
    read_arrays,
    read_numbers,
    refuse_broken,
    refuse_sizes,
)
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.symmetry.gate import Gate
from latticewatch.detectors.symmetry.law import N_KNOTS, DistanceLaw
from latticewatch.detectors.symmetry.parameters import BLOCK_PX, KERNEL_PX
from latticewatch.detectors.symmetry.preprocess import Preprocess
from latticewatch.detectors.symmetry.reference import Reference

DETECTOR = "symmetry"
MODE = "second_moment"
_WHOLE = ("binning", "patch_frame", "n_cells")
_NUMBERS = (
    *_WHOLE,
    *("inner_sigma_px", "outer_sigma_px", "low", "high", "usual_trace", "least_variance"),
    *("usual_nearest", "limit", "limit_p", "tail_scale", "tail_shape"),
)
_AXES = {
    **{"bank": 2, "mean": 1, "covariance": 2, "whitening": 2, "knots": 1, "shares": 1},
    **{"patch": 2, "patch_corner_px_yx": 1},
}
_LONGEST_PERIOD_PX = 4096.0  # half of the largest frame: no lattice repeats less than twice


@dataclass(frozen=True, slots=True)
class SymmetryModel:
    """Everything that the map of a frame needs; immutable.

    Attributes
    ----------
    preprocess
        How frames are made ready.
    bank : (K, 49) float32
        Filters.
    reference
        Mean and spread of the second moments of clean cells.
    law
        Distances of clean cells, out of fold.
    usual_trace, usual_nearest
        Median trace of the moments of a frame, and distance within which its nearest cells lie.
    least_variance
        Below it a cell is disordered, at the gain of the reference.
    limit, limit_p
        Distance that a clean cell exceeds with chance `limit_p`.
    patch : (T, T) float32
        The filtered model patch, in levels.
    patch_corner_px_yx : (2,)
        Where it begins, in pixels of reference frame number `patch_frame`.
    basis_px_yx : (2, 2) or None
        Lattice of the reference, in pixels of the frame; None where none was found.
    gate
        ONNX bytes of the gate that chose the patch; empty: none.
    """

    preprocess: Preprocess
    bank: NDArray[np.float32]
    reference: Reference
    law: DistanceLaw
    usual_trace: float
    usual_nearest: float
    least_variance: float
    limit: float
    limit_p: float
    patch: NDArray[np.float32]
    patch_corner_px_yx: NDArray[np.int64]
    patch_frame: int = 0
    basis_px_yx: NDArray[np.float64] | None = None
    gate: bytes = field(default=b"", repr=False)

    @property
    def step_px(self) -> int:
        """Distance of two cells, in pixels of the frame."""
        return BLOCK_PX * self.preprocess.binning

    @property
    def period_px(self) -> float | None:
        """Square root of the area of a cell of the lattice; None where it is unknown."""
        if self.basis_px_yx is None:
            return None
        return float(np.sqrt(abs(np.linalg.det(self.basis_px_yx))))

    def header(self) -> dict[str, Any]:  # Any: JSON
        """Numbers of the model as they stand in `model.json`."""
        rule, law = self.preprocess, self.law
        return {
            "mode": MODE,
            "binning": rule.binning,
            "inner_sigma_px": rule.inner_sigma_px,
            "outer_sigma_px": rule.outer_sigma_px,
            "low": rule.low,
            "high": rule.high,
            "usual_trace": self.usual_trace,
            "usual_nearest": self.usual_nearest,
            "least_variance": self.least_variance,
            "limit": self.limit,
            "limit_p": self.limit_p,
            "tail_scale": law.tail_scale,
            "tail_shape": law.tail_shape,
            "n_cells": law.n_cells,
            "patch_frame": self.patch_frame,
            "patch_sha256": hashlib.sha256(self.patch.tobytes()).hexdigest(),
            "gate_sha256": hashlib.sha256(self.gate).hexdigest() if self.gate else None,
            "period_px": self.period_px,
            "units": {"lengths": "binned px", "patch_corner_px_yx": "px", "basis_px_yx": "px"},
        }

    def arrays(self) -> dict[str, NDArray[Any]]:  # Any: both float widths
        """Arrays of the model as they stand in `arrays.npz`."""
        arrays: dict[str, NDArray[Any]] = {  # Any: as above
            "bank": self.bank,
            "mean": self.reference.mean,
            "covariance": self.reference.covariance,
            "whitening": self.reference.whitening,
            "knots": self.law.knots,
            "shares": self.law.shares,
            "patch": self.patch,
            "patch_corner_px_yx": self.patch_corner_px_yx,
        }
        if self.basis_px_yx is not None:
            arrays["basis_px_yx"] = self.basis_px_yx
        if self.gate:
            arrays["gate"] = np.frombuffer(self.gate, np.uint8)
        return arrays

    @classmethod
    def from_artifact(cls, artifact: Artifact, where: str) -> Self:
        """Build a model from a file's content.

        Raises
        ------
        ModelError
            A number or array is missing, sizes disagree, or what should be the gate is none; the
            message opens with `where`.
        """
        if artifact.detector != DETECTOR:
            raise ModelError(f"{where}: a {artifact.detector} model, expected {DETECTOR}")
        mode = artifact.header.get("mode")
        if mode != MODE:
            raise ModelError(f"{where}: mode = {mode!r:.40}, expected {MODE!r}")
        numbers = read_numbers(artifact, where, _NUMBERS, _WHOLE)
        axes = _AXES | {name: n for name, n in _OPTIONAL.items() if name in artifact.arrays}
        arrays: dict[str, NDArray[Any]] = read_arrays(artifact, where, axes)  # Any: as above
        _refuse(arrays, numbers, where)
        return cls(
            preprocess=Preprocess(
                int(numbers["binning"]),
                *(numbers[name] for name in ("inner_sigma_px", "outer_sigma_px", "low", "high")),
            ),
            bank=arrays["bank"].astype(np.float32),
            reference=Reference(
                *(arrays[name].astype(np.float64) for name in ("mean", "covariance", "whitening"))
            ),
            law=DistanceLaw(
                arrays["knots"].astype(np.float64),
                arrays["shares"].astype(np.float64),
                numbers["tail_scale"],
                numbers["tail_shape"],
                int(numbers["n_cells"]),
            ),
            patch=arrays["patch"].astype(np.float32),
            patch_corner_px_yx=arrays["patch_corner_px_yx"].astype(np.int64),
            patch_frame=int(numbers["patch_frame"]),
            basis_px_yx=arrays.get("basis_px_yx"),
            gate=_gate_in(arrays, where),
            **{name: numbers[name] for name in _PLAIN},
        )


_OPTIONAL = {"basis_px_yx": 2, "gate": 1}
_PLAIN = (*("usual_trace", "usual_nearest", "least_variance", "limit", "limit_p"),)


def _gate_in(arrays: dict[str, NDArray[Any]], where: str) -> bytes:  # Any: as above
    if "gate" not in arrays:
        return b""
    network = arrays["gate"].astype(np.uint8).tobytes()
    Gate(network, f"{where}: gate")
    return network


def _refuse(arrays: dict[str, NDArray[Any]], numbers: dict[str, float], where: str) -> None:
    """Refuse a file whose sizes disagree, or of which a claim does not hold."""
    n_filters = len(arrays["bank"])
    n_moments = n_filters * (n_filters + 1) // 2
    side = len(arrays["patch"])
    wanted = {
        "bank": (n_filters, KERNEL_PX**2),
        "mean": (n_moments,),
        "covariance": (n_moments, n_moments),
        "whitening": (n_moments, n_moments),
        "knots": (N_KNOTS,),
        "shares": (N_KNOTS,),
        "patch": (side, side),
        "patch_corner_px_yx": (2,),
    }
    if "basis_px_yx" in arrays:
        wanted["basis_px_yx"] = (2, 2)
    refuse_sizes(arrays, wanted, where)
    claims = {
        "4 <= filters <= 14": 4 <= n_filters <= 14,
        "1 <= binning <= 64": 1 <= numbers["binning"] <= 64,
        "0 < inner_sigma_px < outer_sigma_px <= 50": 0
        < numbers["inner_sigma_px"]
        < numbers["outer_sigma_px"]
        <= 50,
        "low < high": numbers["low"] < numbers["high"],
        "usual_trace > 0": numbers["usual_trace"] > 0,
        "usual_nearest > 0": numbers["usual_nearest"] > 0,
        "least_variance > 0": numbers["least_variance"] > 0,
        "limit > 0": numbers["limit"] > 0,
        "0 < limit_p < 1": 0 < numbers["limit_p"] < 1,
        "tail_scale > 0": numbers["tail_scale"] > 0,
        "0 <= tail_shape <= 1": 0 <= numbers["tail_shape"] <= 1,
        "knots rise from above 0": bool(
            arrays["knots"][0] > 0 and np.all(np.diff(arrays["knots"]) > 0)
        ),
        "shares fall from 1": bool(
            arrays["shares"][-1] > 0
            and arrays["shares"][0] <= 1
            and np.all(np.diff(arrays["shares"]) < 0)
        ),
    }
    if "basis_px_yx" in arrays:
        basis = arrays["basis_px_yx"].astype(np.float64)
        claims["basis_px_yx spans a cell"] = abs(float(np.linalg.det(basis))) > 1.0
        claims["basis_px_yx within 4096 px"] = bool(np.abs(basis).max() <= _LONGEST_PERIOD_PX)
    refuse_broken(claims, where)
