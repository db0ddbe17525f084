"""A fitted Patterson model: what scoring needs, and its way to and from a file."""

from dataclasses import dataclass
from typing import Any, Self, cast, get_args

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.model_files import (
    read_arrays,
    refuse_broken,
    refuse_sizes,
    rule_of,
)
from latticewatch.detectors.patterson.features import Kind, Picture, count_features
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.sites import SiteRule
from latticewatch.kernels.patches import thinned_size

DETECTOR = "patterson"
# Arrays and their number of axes; the sizes must agree with each other.
_AXES = {
    "basis_px_yx": 2,
    "mean": 1,
    "components": 2,
    "support": 2,
    "dual": 1,
    "z_median": 1,
    "z_mad": 1,
    "reference_decisions": 1,
    "mean_patch": 2,
    "probe_patch": 2,
}
_NUMBERS = (
    "smooth_sigma_px",
    "floor",
    "scale",
    "gamma",
    "offset",
    "nu",
    "outlier_share",
    "distance_centre",
    "distance_scale",
    "probe_decision",
)
_LARGEST = float(np.finfo(np.float32).max)
_INTEGERS = ("polarity", "min_distance_px", "patch_size_px", "cutoff")
# Of later versions, with what a file without them means: residuals of MAD 0 are not looked at.
_LATER_INTEGERS = {"step_px": 1, "contrast": 1}
_LATER_NUMBERS = {
    "level_low": 0.02,
    "level_high": 0.98,
    "residual_median": 0.0,
    "residual_mad": 0.0,
    "tail_width": 1.0,
}


@dataclass(frozen=True, slots=True)
class PattersonModel:
    """Everything that scoring a frame needs; immutable.

    Attributes
    ----------
    rule
        How sites are found.
    patch_size_px, step_px, cutoff
        Side of the window (odd), which of its pixels are looked at (every so many), highest wave
        number per axis.
    features
        "patterson" or "pixels": what is looked at.
    image
        "frame" or "columns": what windows are cut from.
    scale
        Divides the features; keeps float32 in range.
    mean : (F,), components : (k, F)
        Principal components of the scaled features.
    support : (M, k), dual : (M,), gamma, offset, nu
        The one-class SVM: decision = sum dual exp(-gamma |z - s|^2) - offset.
    outlier_share
        Share of the reference sites, left out of the fit, that the SVM calls outliers: their
        defects included.
    z_median : (k,), z_mad : (k,)
        Of each component over the trimmed reference.
    reference_decisions : (R,)
        Decisions at defect-free reference sites that were left out of the fit, ascending.
    distance_centre, distance_scale
        Centre and scale of the cube root of the robust distance at those sites.
    residual_median, residual_mad
        Of the length of what the components leave of the features of a reference site, a
        coordinate of the robust distance like each of the components; MAD 0: it is none.
    tail_width
        Standard deviations of the distance's upper tail, over that of its middle, at a clean
        reference; 1: not known.
    mean_patch : (S, S)
        Mean window of the reference, in levels, mean removed.
    probe_patch : (S, S), probe_decision
        A stored input and the decision it must give.
    """

    rule: SiteRule
    patch_size_px: int
    cutoff: int
    scale: float
    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    support: NDArray[np.float32]
    dual: NDArray[np.float32]
    gamma: float
    offset: float
    nu: float
    outlier_share: float
    z_median: NDArray[np.float32]
    z_mad: NDArray[np.float32]
    reference_decisions: NDArray[np.float64]
    distance_centre: float
    distance_scale: float
    mean_patch: NDArray[np.float32]
    probe_patch: NDArray[np.float32]
    probe_decision: float
    step_px: int = 1
    features: Kind = "patterson"
    image: Picture = "frame"
    residual_median: float = 0.0
    residual_mad: float = 0.0
    tail_width: float = 1.0

    @property
    def background(self) -> float:
        """Level of the mean window where it holds no column: its 5th percentile."""
        rank = self.mean_patch.size // 20
        return float(np.partition(self.mean_patch.ravel(), rank)[rank])

    def header(self) -> dict[str, Any]:  # Any: JSON
        """Numbers of the model as they stand in `model.json`."""
        rule = self.rule
        numbers = {name: float(getattr(self, name)) for name in _NUMBERS if hasattr(self, name)}
        return {
            **numbers,
            "smooth_sigma_px": rule.smooth_sigma_px,
            "floor": rule.floor,
            "polarity": rule.polarity,
            "min_distance_px": rule.min_distance_px,
            "patch_size_px": self.patch_size_px,
            "cutoff": self.cutoff,
            "step_px": self.step_px,
            "features": self.features,
            "image": self.image,
            "contrast": rule.contrast,
            "level_low": rule.levels[0],
            "level_high": rule.levels[1],
            "residual_median": self.residual_median,
            "residual_mad": self.residual_mad,
            "tail_width": self.tail_width,
            "units": {"lengths": "px", "levels": "2nd to 98th percentile of the blurred frame"},
        }

    def arrays(self) -> dict[str, NDArray[Any]]:  # Any: both float widths
        """Arrays of the model as they stand in `arrays.npz`."""
        own = {name: getattr(self, name) for name in _AXES if name != "basis_px_yx"}
        return {**own, "basis_px_yx": self.rule.basis_px_yx}

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
            A number or array is missing, or sizes disagree.
        """
        if artifact.detector != DETECTOR:
            raise ModelError(f"{where}: a {artifact.detector} model, expected {DETECTOR}")
        numbers = _numbers(artifact, where)
        arrays = read_arrays(artifact, where, _AXES)
        fields: dict[str, Any] = {name: numbers[name] for name in _NUMBERS[2:]}  # Any: by name
        fields |= {name: arrays[name].astype(np.float32) for name in _AXES}
        del fields["basis_px_yx"]
        fields["reference_decisions"] = arrays["reference_decisions"].astype(np.float64)
        model = cls(
            rule=rule_of(numbers, arrays),
            patch_size_px=int(numbers["patch_size_px"]),
            cutoff=int(numbers["cutoff"]),
            step_px=int(numbers["step_px"]),
            features=cast(Kind, _word(artifact, where, "features", get_args(Kind))),
            image=cast(Picture, _word(artifact, where, "image", get_args(Picture))),
            residual_median=numbers["residual_median"],
            residual_mad=numbers["residual_mad"],
            tail_width=numbers["tail_width"],
            **fields,
        )
        _check(model, where)
        return model


def _word(artifact: Artifact, where: str, name: str, known: tuple[str, ...]) -> str:
    """One of the known words; the first of them in files of versions without this field."""
    value = artifact.header.get(name, known[0])
    if not isinstance(value, str) or value not in known:
        raise ModelError(f"{where}: {name} = {value!r:.40}, expected one of {list(known)}")
    return value


def _numbers(artifact: Artifact, where: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name in (*_INTEGERS, *_LATER_INTEGERS):
        value = artifact.header.get(name, _LATER_INTEGERS.get(name))
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 2**31:
            raise ModelError(f"{where}: {name} = {value!r:.40}, expected a whole number")
        numbers[name] = value
    for name in (*_NUMBERS, *_LATER_NUMBERS):
        value = artifact.header.get(name, _LATER_NUMBERS.get(name))
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or not plain or not abs(value) <= _LARGEST:
            raise ModelError(f"{where}: {name} = {value!r:.40}, expected a finite number")
        numbers[name] = float(value)
    return numbers


def _n_features(model: PattersonModel) -> int:
    if not (0 < model.cutoff < 64 and 1 <= model.step_px <= 8 and 0 < model.patch_size_px <= 4097):
        return 0
    return count_features(model.features, model.patch_size_px, model.step_px, model.cutoff)


def _check(model: PattersonModel, where: str) -> None:
    """Refuse numbers out of range and sizes that disagree."""
    n_components = len(model.components)
    wanted = {
        "basis_px_yx": (2, 2),
        "mean": (_n_features(model),),
        "components": (n_components, len(model.mean)),
        "support": (len(model.dual), n_components),
        "z_median": (n_components,),
        "z_mad": (n_components,),
        "mean_patch": (model.patch_size_px, model.patch_size_px),
        "probe_patch": (model.patch_size_px, model.patch_size_px),
    }
    refuse_sizes(model.arrays(), wanted, where)
    claims = {
        "smooth_sigma_px > 0": 0 < model.rule.smooth_sigma_px < 1000,
        "polarity is 1 or -1": model.rule.polarity in (1, -1),
        "min_distance_px >= 1": 1 <= model.rule.min_distance_px <= 4096,
        "patch_size_px odd, twice the cutoff at least": model.patch_size_px % 2 == 1
        and 2 * model.cutoff <= thinned_size(model.patch_size_px, model.step_px) <= 4097,
        "contrast is 1 or -1": model.rule.contrast in (1, -1),
        "0 <= level_low < level_high <= 1": 0 <= model.rule.levels[0] < model.rule.levels[1] <= 1,
        "1 <= tail_width <= 10": 1 <= model.tail_width <= 10,
        "residual_median, residual_mad >= 0": min(model.residual_median, model.residual_mad) >= 0,
        "scale > 0": model.scale > 0,
        "gamma > 0": model.gamma > 0,
        "0 < nu <= 1": 0 < model.nu <= 1,
        "0 <= outlier_share <= 1": 0 <= model.outlier_share <= 1,
        "distance_scale > 0": model.distance_scale > 0,
        "z_mad > 0": bool((model.z_mad > 0).all()),
        "reference_decisions ascending": bool((np.diff(model.reference_decisions) >= 0).all()),
        "basis_px_yx spans a cell": abs(float(np.linalg.det(model.rule.basis_px_yx))) > 1.0,
    }
    refuse_broken(claims, where)
