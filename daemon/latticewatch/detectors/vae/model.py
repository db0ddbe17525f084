"""A fitted autoencoder: what scoring needs, and its way to and from a file."""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.graph import refuse_foreign
from latticewatch.detectors.vae.null import NullLaw
from latticewatch.detectors.vae.parameters import MODES, Mode
from latticewatch.detectors.vae.pca import DensePca
from latticewatch.detectors.vae.provenance import Provenance, read_provenance
from latticewatch.detectors.vae.twin import read_twin, twin_arrays, twin_header
from latticewatch.detectors.vae.windows import WindowRule
from latticewatch.detectors.view import SiteRule

DETECTOR = "vae"
STATISTICS = ("largest", "energy")  # the second as its root
_AXES = {
    "basis_px_yx": 2,
    "usual": 2,
    "level_weights": 2,
    "probe_window": 2,
    "probe_residual": 2,
    "network_onnx": 1,
}
_NUMBERS = ("smooth_sigma_px", "floor", "level_low", "level_high", "step_px", "scale")
_INTEGERS = ("polarity", "min_distance_px", "contrast", "drawn_px")
_NULL = ("width", "counted", "n_values")
_FRESH = ("n_tests", "score_median", "score_spread")
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class VaeModel:
    """Everything that scoring a frame needs; immutable.

    Attributes
    ----------
    rule
        How sites are found.
    windows
        How windows are cut and compared.
    network
        ONNX file.
    nulls
        How both statistics scatter at reference sites that were not learned from: largest residual,
        local energy.
    n_tests
        As many independent tests the two statistics of a site are worth, 1 to 2.
    score_median, score_spread
        Median logarithm of the root of the local energy at the reference, and how it differs from
        frame to frame.
    probe_window : (S, S), probe_residual : (C, C)
        A stored input, compared, and the residual that it must give.
    mode
        How frames are scored.
    provenance
        Where it comes from.
    pca
        The linear twin, fitted on the same frames; None where the file holds none.
    """

    rule: SiteRule
    windows: WindowRule
    network: bytes
    nulls: tuple[NullLaw, NullLaw]
    n_tests: float
    score_median: float
    score_spread: float
    probe_window: NDArray[np.float32]
    probe_residual: NDArray[np.float32]
    mode: Mode = "default"
    provenance: Provenance = field(default_factory=Provenance)
    pca: DensePca | None = None

    def header(self) -> dict[str, Any]:  # Any: JSON
        """Numbers of the model as they stand in `model.json`."""
        rule, windows, known = self.rule, self.windows, self.provenance
        return {
            "mode": self.mode,
            "smooth_sigma_px": rule.smooth_sigma_px,
            "floor": rule.floor,
            "polarity": rule.polarity,
            "min_distance_px": rule.min_distance_px,
            "contrast": rule.contrast,
            "level_low": rule.levels[0],
            "level_high": rule.levels[1],
            "period_px": rule.period_px,
            "step_px": windows.step_px,
            "scale": windows.scale,
            "drawn_px": windows.drawn_px,
            "n_tests": self.n_tests,
            "score_median": self.score_median,
            "score_spread": self.score_spread,
            "normalisation": "levels of the frame, less the usual window and their level around it",
            "scored_region": "cell",
            "tiling": "lattice",
            "latent": "mean",
            "statistics": list(STATISTICS),
            "nulls": {name: asdict(law) for name, law in zip(STATISTICS, self.nulls, strict=True)},
            "network_sha256": hashlib.sha256(self.network).hexdigest(),
            "training": dict(known.training),
            "frames": list(known.frames),
            "folds": [list(one) for one in known.folds],
            "in_sample": known.in_sample,
            **twin_header(self.pca),
            "units": {"lengths": "px", "levels": "2nd to 98th percentile of the blurred frame"},
        }

    def arrays(self) -> dict[str, NDArray[Any]]:  # Any: floats and bytes
        """Arrays of the model as they stand in `arrays.npz`."""
        return {
            "basis_px_yx": self.rule.basis_px_yx,
            "usual": self.windows.usual,
            "level_weights": self.windows.weights,
            "probe_window": self.probe_window,
            "probe_residual": self.probe_residual,
            "network_onnx": np.frombuffer(self.network, np.uint8),
            **twin_arrays(self.pca),
        }

    @classmethod
    def from_artifact(cls, artifact: Artifact, where: str) -> Self:
        """Build a model from a file's content.

        Parameters
        ----------
        artifact
            As read.
        where
            Name of the file, for messages.

        Raises
        ------
        ModelError
            A number or array is missing, sizes disagree, or the network is not one of ours.
        """
        if artifact.detector != DETECTOR:
            raise ModelError(f"{where}: a {artifact.detector} model, expected {DETECTOR}")
        numbers, arrays = _numbers(artifact, where), _arrays(artifact, where)
        network = arrays["network_onnx"].astype(np.uint8).tobytes()
        refuse_foreign(network, where)
        found = hashlib.sha256(network).hexdigest()
        if found != artifact.header.get("network_sha256"):
            told = str(artifact.header.get("network_sha256"))[:64]
            raise ModelError(f"{where}: the network has SHA-256 {found}, the header says {told}")
        known = read_provenance(artifact, where)
        model = cls(
            rule=SiteRule(
                smooth_sigma_px=numbers["smooth_sigma_px"],
                polarity=int(numbers["polarity"]),
                floor=numbers["floor"],
                min_distance_px=int(numbers["min_distance_px"]),
                basis_px_yx=arrays["basis_px_yx"].astype(np.float64),
                levels=(numbers["level_low"], numbers["level_high"]),
                contrast=int(numbers["contrast"]),
            ),
            windows=WindowRule(
                step_px=numbers["step_px"],
                usual=arrays["usual"].astype(np.float32),
                weights=arrays["level_weights"].astype(np.float32),
                scale=numbers["scale"],
                drawn_px=int(numbers["drawn_px"]),
            ),
            network=network,
            nulls=(_null(artifact, where, "largest"), _null(artifact, where, "energy")),
            n_tests=numbers["n_tests"],
            score_median=numbers["score_median"],
            score_spread=numbers["score_spread"],
            probe_window=arrays["probe_window"].astype(np.float32),
            probe_residual=arrays["probe_residual"].astype(np.float32),
            mode=cast(Mode, _mode(artifact, where)),
            provenance=known,
            pca=read_twin(artifact, where),
        )
        _check(model, where)
        if known.in_sample:
            raise ModelError(f"{where}: calibrated on rows that it was fitted on: fit it again")
        return model


def _mode(artifact: Artifact, where: str) -> str:
    mode = artifact.header.get("mode")
    if mode not in MODES:
        raise ModelError(f"{where}: mode = {mode!r:.40}, expected one of {list(MODES)}")
    return str(mode)


def _null(artifact: Artifact, where: str, name: str) -> NullLaw:
    nulls = artifact.header.get("nulls")
    given = nulls.get(name) if isinstance(nulls, dict) else None
    values = [given.get(key) for key in _NULL] if isinstance(given, dict) else []
    numbers = [
        float(one)
        for one in values
        if isinstance(one, int | float) and not isinstance(one, bool) and abs(one) <= _LARGEST
    ]
    if len(numbers) != len(_NULL):
        raise ModelError(f"{where}: nulls.{name} = {given!r:.60}, expected {', '.join(_NULL)}")
    return NullLaw(numbers[0], numbers[1], int(numbers[2]))


def _numbers(artifact: Artifact, where: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name in (*_INTEGERS, *_NUMBERS, *_FRESH):
        value = artifact.header.get(name)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        whole = name not in _INTEGERS or isinstance(value, int)
        if value is None or not plain or not whole or not abs(value) <= _LARGEST:
            kind = "a whole" if name in _INTEGERS else "a finite"
            raise ModelError(f"{where}: {name} = {value!r:.40}, expected {kind} number")
        numbers[name] = float(value)
    return numbers


def _arrays(artifact: Artifact, where: str) -> dict[str, NDArray[np.generic]]:
    arrays = {}
    for name, n_axes in _AXES.items():
        array = artifact.arrays.get(name)
        if array is None or array.ndim != n_axes or array.size == 0:
            shape = None if array is None else array.shape
            raise ModelError(f"{where}: array {name} has shape {shape}, expected {n_axes} axes")
        if not np.abs(array.astype(np.float64)).max() <= _LARGEST:
            raise ModelError(f"{where}: array {name} holds a number beyond single precision")
        arrays[name] = array
    if arrays["network_onnx"].dtype != np.uint8:
        kind = arrays["network_onnx"].dtype.str
        raise ModelError(f"{where}: array network_onnx is {kind}, expected bytes (|u1)")
    return arrays


def _check(model: VaeModel, where: str) -> None:
    """Refuse numbers out of range and sizes that disagree."""
    rule, windows = model.rule, model.windows
    size, drawn = windows.size, windows.drawn_px
    wanted = {
        "basis_px_yx": (2, 2),
        "usual": (size, size),
        "level_weights": (size, size),
        "probe_window": (size, size),
        "probe_residual": (drawn, drawn),
    }
    arrays = model.arrays()
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ModelError(
                f"{where}: array {name} has shape {arrays[name].shape}, expected {shape}"
            )
    claims = {
        "smooth_sigma_px > 0": 0 < rule.smooth_sigma_px < 1000,
        "polarity is 1 or -1": rule.polarity in (1, -1),
        "contrast is 1 or -1": rule.contrast in (1, -1),
        "min_distance_px >= 1": 1 <= rule.min_distance_px <= 4096,
        "0 <= level_low < level_high <= 1": 0 <= rule.levels[0] < rule.levels[1] <= 1,
        "basis_px_yx spans a cell": abs(float(np.linalg.det(rule.basis_px_yx))) > 1.0,
        "0 < step_px < 100": 0 < windows.step_px < 100,
        "window odd, 9 to 129 points": 9 <= size <= 129 and size % 2 == 1,
        "drawn_px odd, at most the window": 3 <= drawn <= size and drawn % 2 == 1,
        "scale > 0": windows.scale > 0,
        "level_weights sum to 1": abs(float(windows.weights.sum()) - 1.0) < 1e-3,
        "1 <= n_tests <= 2": 1 <= model.n_tests <= 2,
        "score_spread > 0": model.score_spread > 0,
        "width of the nulls, 0.1 to 10": all(0.1 <= law.width <= 10 for law in model.nulls),
    }
    broken = [claim for claim, holds in claims.items() if not holds]
    if broken:
        raise ModelError(f"{where}: not so: {'; '.join(broken)}")
