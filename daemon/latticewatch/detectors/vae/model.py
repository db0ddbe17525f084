"""A fitted autoencoder: what scoring needs, and its way to and from a file."""

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.model_files import (
    read_arrays,
    read_numbers,
    refuse_broken,
    refuse_sizes,
    rule_of,
)
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.graph import refuse_foreign
from latticewatch.detectors.vae.null import NullLaw
from latticewatch.detectors.vae.pca import DensePca
from latticewatch.detectors.vae.provenance import Provenance, read_provenance
from latticewatch.detectors.vae.site_model import (
    INTEGERS,
    SITE_AXES,
    SITE_NUMBERS,
    site_arrays,
    site_claims,
    site_header,
    windows_of,
)
from latticewatch.detectors.vae.twin import read_twin, twin_arrays, twin_header
from latticewatch.detectors.vae.windows import WindowRule
from latticewatch.detectors.view import SiteRule

DETECTOR = "vae"
MODE = "default"
STATISTICS = ("largest", "energy")  # the second as its root
_AXES = {"probe_window": 2, "probe_residual": 2, "network_onnx": 1}
_NULL = ("width", "counted", "n_values")
_FRESH = ("n_tests", "score_median", "score_spread", "usual_flagged")
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
    usual_flagged
        Share of the reference sites with p below 0.002, their defects included.
    probe_window : (S, S), probe_residual : (C, C)
        A stored input, compared, and the residual that it must give.
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
    usual_flagged: float
    probe_window: NDArray[np.float32]
    probe_residual: NDArray[np.float32]
    provenance: Provenance = field(default_factory=Provenance)
    pca: DensePca | None = None

    def header(self) -> dict[str, Any]:  # Any: JSON
        """Numbers of the model as they stand in `model.json`."""
        known = self.provenance
        return {
            **site_header(self.rule, self.windows),
            "mode": MODE,
            "n_tests": self.n_tests,
            "score_median": self.score_median,
            "score_spread": self.score_spread,
            "usual_flagged": self.usual_flagged,
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
        }

    def arrays(self) -> dict[str, NDArray[Any]]:  # Any: floats and bytes
        """Arrays of the model as they stand in `arrays.npz`."""
        return {
            **site_arrays(self.rule, self.windows),
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
        if artifact.header.get("mode") != MODE:
            mode = artifact.header.get("mode")
            raise ModelError(f"{where}: mode = {mode!r:.40}, expected {MODE}")
        numbers = read_numbers(artifact, where, (*SITE_NUMBERS, *_FRESH), INTEGERS)
        arrays = read_arrays(artifact, where, SITE_AXES | _AXES)
        kind = arrays["network_onnx"].dtype
        if kind != np.uint8:
            raise ModelError(f"{where}: array network_onnx is {kind.str}, expected bytes (|u1)")
        network = arrays["network_onnx"].astype(np.uint8).tobytes()
        refuse_foreign(network, where)
        found = hashlib.sha256(network).hexdigest()
        if found != artifact.header.get("network_sha256"):
            told = str(artifact.header.get("network_sha256"))[:64]
            raise ModelError(f"{where}: the network has SHA-256 {found}, the header says {told}")
        known = read_provenance(artifact, where)
        model = cls(
            rule=rule_of(numbers, arrays),
            windows=windows_of(numbers, arrays),
            network=network,
            nulls=(_null(artifact, where, "largest"), _null(artifact, where, "energy")),
            n_tests=numbers["n_tests"],
            score_median=numbers["score_median"],
            score_spread=numbers["score_spread"],
            usual_flagged=numbers["usual_flagged"],
            probe_window=arrays["probe_window"].astype(np.float32),
            probe_residual=arrays["probe_residual"].astype(np.float32),
            provenance=known,
            pca=read_twin(artifact, where),
        )
        _check(model, where)
        if known.in_sample:
            raise ModelError(f"{where}: calibrated on rows that it was fitted on: fit it again")
        return model


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


def _check(model: VaeModel, where: str) -> None:
    """Refuse numbers out of range and sizes that disagree."""
    size, drawn = model.windows.size, model.windows.drawn_px
    wanted = {
        "basis_px_yx": (2, 2),
        "usual": (size, size),
        "level_weights": (size, size),
        "probe_window": (size, size),
        "probe_residual": (drawn, drawn),
    }
    refuse_sizes(model.arrays(), wanted, where)
    claims = site_claims(model.rule, model.windows) | {
        "1 <= n_tests <= 2": 1 <= model.n_tests <= 2,
        "score_spread > 0": model.score_spread > 0,
        "0 <= usual_flagged <= 1": 0 <= model.usual_flagged <= 1,
        "width of the nulls, 0.1 to 10": all(0.1 <= law.width <= 10 for law in model.nulls),
    }
    refuse_broken(claims, where)
