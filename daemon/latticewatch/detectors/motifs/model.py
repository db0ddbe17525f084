"""The fitted model of motifs: what patches are measured by, and which kinds of sites there are."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.model_files import read_arrays, read_numbers
from latticewatch.detectors.motifs.columns import CellColumns
from latticewatch.detectors.motifs.features import PatchShape
from latticewatch.detectors.motifs.level import Pristine
from latticewatch.detectors.motifs.model_checks import refuse_model
from latticewatch.detectors.motifs.motif_class import MOST_NAME as MOST_NAME
from latticewatch.detectors.motifs.motif_class import MotifClass as MotifClass
from latticewatch.detectors.motifs.motif_class import classes_in, plain_name, twin_of
from latticewatch.detectors.protocols import ModelError

DETECTOR = "motifs"

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MotifModel:
    """Everything that naming a site needs.

    Attributes
    ----------
    basis_px_yx : (2, 2)
        Lattice vectors of the reference frame, pixels.
    columns
        Of its cell.
    shape
        Disc round a site.
    pristine
        Ordinary sites, in the unit of the model: the ground 0, the highest column 1.
    pca_mean, pca_matrix : (F,), (F, C)
        z = (features - mean) @ matrix.
    classes
        The most populous first.
    means, covariances : (K, C), (K, C, C)
        Of z, rows of `classes`.
    noise_covariance : (C, C)
        Of z of ordinary sites.
    feature_means : (K, F)
        Of the features.
    patches, patch_errors : (K, side, side) float32
        Class averages and their standard errors, zero beyond the disc; pixels of the binned frame.
    reject_chi2
        Squared distance from all classes beyond which a site is of none.
    sample_z, sample_class, layout_yx : (M, C), (M,), (M, 2)
        Some sites of the fit, row of their class or -1, and where they lie in the relaxed layout.
    next_id
        First id that was never used.
    n_sites, n_frames
        Of the fit.
    """

    basis_px_yx: Values
    columns: CellColumns
    shape: PatchShape
    pristine: Pristine
    pca_mean: Values
    pca_matrix: Values
    classes: tuple[MotifClass, ...]
    means: Values
    covariances: Values
    noise_covariance: Values
    feature_means: Values
    patches: NDArray[np.float32]
    patch_errors: NDArray[np.float32]
    reject_chi2: float
    sample_z: NDArray[np.float32]
    sample_class: NDArray[np.int64]
    layout_yx: NDArray[np.float32]
    next_id: int
    n_sites: int
    n_frames: int

    @property
    def period_px(self) -> float:
        """Square root of the area of the cell."""
        return float(np.sqrt(abs(np.linalg.det(self.basis_px_yx))))

    @property
    def disc(self) -> NDArray[np.bool_]:
        """Pixels (side, side) of a patch that are looked at."""
        half = self.shape.side // 2
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        inside: NDArray[np.bool_] = np.hypot(y, x) <= self.shape.radius_px
        return inside

    def row_of(self, class_id: int) -> int | None:
        """Row of a class, None where there is none of this id."""
        return next((k for k, one in enumerate(self.classes) if one.class_id == class_id), None)

    def renamed(self, class_id: int, name: str) -> "MotifModel":
        """Return the same model with another name for one class.

        Raises
        ------
        ValueError
            No such class, a name that `plain_name` refuses, or one that is taken, in whatever case.
        """
        row = self.row_of(class_id)
        if row is None:
            known = ", ".join(str(one.class_id) for one in self.classes)
            raise ValueError(f"class {class_id}: there is none, the classes are {known}")
        plain = plain_name(name)
        twin = twin_of(plain, (one for one in self.classes if one.class_id != class_id))
        if twin is not None:
            raise ValueError(f"{plain!r} is the name of class {twin.class_id} already")
        classes = list(self.classes)
        classes[row] = replace(classes[row], name=plain, named_by_user=True)
        return replace(self, classes=tuple(classes))

    def header(self) -> dict[str, Any]:  # Any: JSON
        """Everything but the arrays, as it stands in `model.json`."""
        return {
            "sigma_px": self.columns.sigma_px,
            "nearest_px": self.columns.nearest_px,
            "second_px": self.columns.second_px,
            "contrast": self.columns.contrast,
            **asdict(self.shape),
            "reject_chi2": self.reject_chi2,
            "next_id": self.next_id,
            "n_sites": self.n_sites,
            "n_frames": self.n_frames,
            "classes": [
                asdict(one) | {"stands_beside": list(one.stands_beside)} for one in self.classes
            ],
        }

    def arrays(self) -> dict[str, NDArray[Any]]:  # Any: of several types
        """All arrays by name."""
        plain = {name: getattr(self, name) for name in _AXES if name not in _NESTED}
        return plain | {
            "fraction": self.columns.fraction,
            "height": self.columns.height,
            "pristine_moments": self.pristine.moments,
            "pristine_features": self.pristine.features,
        }

    @classmethod
    def from_artifact(cls, artifact: Artifact, where: str) -> Self:
        """Read a model out of its file.

        Raises
        ------
        ModelError
            It is of another detector, or something in it is missing, odd or contradicts the rest.
        """
        if artifact.detector != DETECTOR:
            raise ModelError(f"{where}: is a model of {artifact.detector}, expected {DETECTOR}")
        numbers = read_numbers(artifact, where, _NUMBERS, _WHOLE)
        arrays: dict[str, NDArray[Any]] = dict(read_arrays(artifact, where, _AXES))
        classes = classes_in(artifact.header, where)
        refuse_model(arrays, numbers, classes, where)
        plain: dict[str, Any] = {  # Any: by name
            **{name: arrays[name].astype(np.float64) for name in _DOUBLE},
            **{name: arrays[name].astype(np.float32) for name in _SINGLE},
        }
        return cls(
            columns=CellColumns(
                fraction=arrays["fraction"].astype(np.float64),
                height=arrays["height"].astype(np.float64),
                sigma_px=numbers["sigma_px"],
                nearest_px=numbers["nearest_px"],
                second_px=numbers["second_px"],
                contrast=int(numbers["contrast"]),
            ),
            shape=PatchShape(int(numbers["stride"]), numbers["radius_px"], int(numbers["n_max"])),
            pristine=Pristine(
                arrays["pristine_moments"].astype(np.float64),
                arrays["pristine_features"].astype(np.float64),
            ),
            classes=classes,
            reject_chi2=numbers["reject_chi2"],
            sample_class=arrays["sample_class"].astype(np.int64),
            next_id=int(numbers["next_id"]),
            n_sites=int(numbers["n_sites"]),
            n_frames=int(numbers["n_frames"]),
            **plain,
        )


_DOUBLE = (
    *("basis_px_yx", "pca_mean", "pca_matrix", "means", "covariances", "noise_covariance"),
    "feature_means",
)
_SINGLE = ("patches", "patch_errors", "sample_z", "layout_yx")
_NESTED = ("fraction", "height", "pristine_moments", "pristine_features")
_AXES = {
    "basis_px_yx": 2,
    "pca_mean": 1,
    "pca_matrix": 2,
    "means": 2,
    "covariances": 3,
    "noise_covariance": 2,
    "feature_means": 2,
    "patches": 3,
    "patch_errors": 3,
    "sample_z": 2,
    "sample_class": 1,
    "layout_yx": 2,
    "fraction": 2,
    "height": 1,
    "pristine_moments": 2,
    "pristine_features": 2,
}
_WHOLE = ("contrast", "stride", "n_max", "next_id", "n_sites", "n_frames")
_NUMBERS = (*_WHOLE, "sigma_px", "nearest_px", "second_px", "radius_px", "reject_chi2")
