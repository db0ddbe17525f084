"""Fit scheme one on reference frames without labels: the crowd is normal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.svm import OneClassSVM

from latticewatch.detectors.calibration import MAD_TO_SIGMA, robust_scale
from latticewatch.detectors.patterson.held_out import boundary_at, calibration_of
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.nu import knee_nu
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.reference_set import look_at
from latticewatch.detectors.patterson.residual import middle_and_mad, squared_excess
from latticewatch.detectors.reference_rule import FitError as FitError

_FOLDS = 4
_TRIM_ROUNDS = 3
_TRIM_Z = 2.5  # one normal site in 160
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit found out, for people.

    Attributes
    ----------
    n_frames, n_sites
        Reference frames and sites used; frames that were left out do not count.
    n_components, nu, n_support
        Of the model.
    warnings
        One line each.
    """

    n_frames: int
    n_sites: int
    n_components: int
    nu: float
    n_support: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Machine:
    """Principal components and SVM of one training set, in double precision."""

    mean: NDArray[np.float64]
    components: NDArray[np.float64]
    svm: OneClassSVM
    z_median: NDArray[np.float64]
    z_mad: NDArray[np.float64]
    residual_median: float
    residual_mad: float  # 0: residuals are no part of the distance

    @property
    def offset(self) -> float:
        """The SVM's rho: decision = sum dual exp(-gamma |z - s|^2) - rho."""
        return float(self.svm.offset_[0])

    def as_arrays(self, boundary: float = 0.0) -> dict[str, Any]:  # Any: by name
        """Return what scoring needs, in single precision; decision 0 moved to this decision."""
        return {
            "mean": self.mean.astype(np.float32),
            "components": self.components.astype(np.float32),
            "support": self.svm.support_vectors_.astype(np.float32),
            "dual": self.svm.dual_coef_[0].astype(np.float32),
            # The SVM was given its gamma as a number.
            "gamma": float(self.svm.gamma),
            "offset": self.offset + boundary * abs(self.offset),
            "z_median": self.z_median.astype(np.float32),
            "z_mad": self.z_mad.astype(np.float32),
            "residual_median": self.residual_median,
            "residual_mad": self.residual_mad,
        }

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision per site in units of the offset, which makes training sizes comparable."""
        z = (features - self.mean) @ self.components.T
        decisions: NDArray[np.float64] = self.svm.decision_function(z) / abs(self.offset)
        return decisions

    def distance_root(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cube root of the robust distance, which is close to normal (Wilson and Hilferty)."""
        z = (features - self.mean) @ self.components.T
        distance = _distance(z, self.z_median, self.z_mad)
        if self.residual_mad > 0:
            left = self.residual(features)
            distance += squared_excess(left, self.residual_median, self.residual_mad)
        root: NDArray[np.float64] = np.cbrt(distance)
        return root

    def residual(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Length of what the components leave of each site's features."""
        return _residual(features, self.mean, self.components)

    def look(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decisions and distance roots, (2, N)."""
        return np.stack([self.decide(features), self.distance_root(features)])


def fit(
    frames: Sequence[NDArray[np.float32]],
    parameters: PattersonParameters,
    labels: Sequence[str] | None = None,
) -> tuple[PattersonModel, FitReport]:
    """Fit scheme one.

    Parameters
    ----------
    frames
        One or more reference frames (H, W) of the same crystal at the same scan settings; finite.
        A few per cent of defects do no harm.
    parameters
        Settings of the fit.
    labels
        What messages call each frame; None for its number.

    Raises
    ------
    FitError
        No frame shows a lattice, they show different ones, or they hold too few sites.
    """
    notes: list[str] = []
    known = look_at(frames, parameters, notes, labels)
    features = known.features
    rng = np.random.default_rng(parameters.seed)
    chosen = rng.permutation(len(features))[: parameters.most_fit_sites]
    kept = _trimmed(features[chosen], parameters)
    nu = parameters.nu or _best_nu(features[chosen][kept], parameters, notes)
    machine = _train(features[chosen][kept], parameters, nu)
    decisions, root = _held_out(features, chosen, machine, parameters, nu)
    boundary = boundary_at(decisions, root, nu) if parameters.boundary == "held_out" else 0.0
    patches = known.patches
    model = PattersonModel(
        rule=known.rule,
        patch_size_px=known.size_px,
        cutoff=parameters.cutoff,
        scale=known.scale,
        nu=nu,
        mean_patch=_mean_patch(patches, machine.distance_root(features[: len(patches)])),
        probe_patch=patches[0],
        probe_decision=(float(machine.decide(features[:1])[0]) - boundary) * abs(machine.offset),
        step_px=known.step_px,
        features=parameters.features,
        image=parameters.image,
        **machine.as_arrays(boundary),
        **calibration_of(decisions - boundary, root, machine.offset),
    )
    report = FitReport(
        n_frames=known.n_frames,
        n_sites=len(features),
        n_components=len(model.components),
        nu=nu,
        n_support=len(model.dual),
        warnings=tuple(notes),
    )
    return model, report


def _distance(
    z: NDArray[np.float64], middle: NDArray[np.float64], mad: NDArray[np.float64]
) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.square((z - middle) / (MAD_TO_SIGMA * mad)).sum(axis=1)
    return total


def _residual(
    features: NDArray[np.float64], mean: NDArray[np.float64], components: NDArray[np.float64]
) -> NDArray[np.float64]:
    gap = features - mean
    left: NDArray[np.float64] = np.linalg.norm(gap - gap @ components.T @ components, axis=1)
    return left


def _centre_and_mad(z: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    middle = np.median(z, axis=0)
    mad = np.maximum(np.median(np.abs(z - middle), axis=0), _TINY)
    return middle, mad


def _components(features: NDArray[np.float64], parameters: PattersonParameters) -> PCA:
    return PCA(parameters.variance_kept, svd_solver="full").fit(features)


def _trimmed(features: NDArray[np.float64], parameters: PattersonParameters) -> NDArray[np.bool_]:
    """All but the strangest sites by robust distance: a fixed share, then what still stands out.

    A frame with many defects holds more strange sites than any fixed share; they would widen the
    components that are to tell them apart.
    """
    kept = np.ones(len(features), bool)
    for _ in range(_TRIM_ROUNDS):
        pca = _components(features[kept], parameters)
        middle, mad = _centre_and_mad(pca.transform(features[kept]))
        distance = _distance(pca.transform(features), middle, mad)
        root = np.cbrt(distance)
        centre, scale = robust_scale(root)
        kept = (distance <= np.quantile(distance, 1 - parameters.trim)) & (
            root < centre + _TRIM_Z * scale
        )
    return kept


def _machine_of(z: NDArray[np.float64], nu: float) -> OneClassSVM:
    """One-class SVM with gamma = 1 / (components x variance of all entries)."""
    gamma = 1.0 / (z.shape[1] * max(float(z.var()), _TINY))
    return OneClassSVM(kernel="rbf", gamma=gamma, nu=nu).fit(z)


def _train(features: NDArray[np.float64], parameters: PattersonParameters, nu: float) -> _Machine:
    pca = _components(features, parameters)
    z = pca.transform(features)
    left = _residual(features, pca.mean_, pca.components_)
    middle, mad = middle_and_mad(left)
    return _Machine(
        pca.mean_,
        pca.components_,
        _machine_of(z, nu),
        *_centre_and_mad(z),
        residual_median=middle,
        residual_mad=mad if parameters.counts_residual else 0.0,
    )


def _best_nu(
    features: NDArray[np.float64], parameters: PattersonParameters, notes: list[str]
) -> float:
    z = _components(features, parameters).transform(features)
    return knee_nu(lambda nu: _machine_of(z, nu).decision_function(z), notes)


def _held_out(
    features: NDArray[np.float64],
    chosen: NDArray[np.int64],
    machine: _Machine,
    parameters: PattersonParameters,
    nu: float,
) -> NDArray[np.float64]:
    """Decisions (in offsets) and distance roots (2, N) of sites that took no part in their fit.

    Training decisions are tied to nu, so they cannot calibrate. Where there are more sites than
    the fit takes, the rest serves; else each fold is judged by the fit on the others.
    """
    rest = np.setdiff1d(np.arange(len(features)), chosen)
    if len(rest) >= len(chosen):
        return machine.look(features[rest])
    seen = np.empty((2, len(chosen)))
    fold = np.arange(len(chosen)) % _FOLDS  # `chosen` is in random order
    for number in range(_FOLDS):
        own = fold == number
        training = features[chosen[~own]]
        training = training[_trimmed(training, parameters)]
        other = _train(training, parameters, nu)
        seen[:, own] = other.look(features[chosen[own]])
    return seen


def _mean_patch(patches: NDArray[np.float32], root: NDArray[np.float64]) -> NDArray[np.float32]:
    """Mean window of the less strange half of the sites."""
    ordinary = root <= np.median(root)
    mean: NDArray[np.float32] = patches[ordinary].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean
