"""What a file of a motif model must hold, so that naming sites by it neither fails nor runs on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.model_files import refuse_broken, refuse_sizes
from latticewatch.detectors.motifs.features import PatchShape
from latticewatch.detectors.motifs.motif_class import LARGEST_ID, MotifClass
from latticewatch.kernels.zernike import n_invariants

_LARGEST_RADIUS_PX = 512
_LARGEST_ORDER = 30
_LONGEST_PX = 4096
_SHORTEST_PX = 2
_MOST_VALUES = 2**25  # of a stack of squares: 128 MB in single precision
_ASYMMETRY = 1e-6  # of the largest element
_LARGEST_CONDITION = 1e12  # inverted in double precision, four digits are left

Arrays = Mapping[str, NDArray[Any]]  # Any: of several types


def refuse_model(
    arrays: Arrays, numbers: Mapping[str, float], classes: Sequence[MotifClass], where: str
) -> None:
    """Refuse sizes that disagree, and claims that do not hold.

    Raises
    ------
    ModelError
        With all that is wrong, in one line that opens with `where`.
    """
    _refuse_numbers(numbers, len(classes), where)
    refuse_sizes(arrays, _sizes(arrays, numbers, len(classes)), where)
    _refuse_arrays(arrays, where)
    ids = [one.class_id for one in classes]
    refuse_broken(
        {
            "ids are different": len(set(ids)) == len(ids),
            "next_id is above all ids": numbers["next_id"] > max(ids),
            f"next_id is at most {LARGEST_ID}": numbers["next_id"] <= LARGEST_ID,
            "sample_class holds rows of classes": bool(
                (arrays["sample_class"] >= -1).all() and (arrays["sample_class"] < len(ids)).all()
            ),
        },
        where,
    )


def _refuse_numbers(numbers: Mapping[str, float], n_classes: int, where: str) -> None:
    n_max, radius, stride = int(numbers["n_max"]), numbers["radius_px"], numbers["stride"]
    refuse_broken(
        {
            "n_max is 1 to 30": 1 <= n_max <= _LARGEST_ORDER,
            "radius_px is 1 to 512": 1 <= radius <= _LARGEST_RADIUS_PX,
            "stride is 1 to 64": 1 <= stride <= 64,
            "contrast is 1 or -1": numbers["contrast"] in (1, -1),
            "reject_chi2 is above zero": numbers["reject_chi2"] > 0,
            **{
                f"{name} is above 0 and at most {_LONGEST_PX}": 0 < numbers[name] <= _LONGEST_PX
                for name in ("sigma_px", "nearest_px", "second_px")
            },
        },
        where,
    )
    # One square for each term of the basis, and for each class.
    squares = max(_n_terms(n_max), n_classes)
    side = PatchShape(int(stride), radius, n_max).side
    refuse_broken(
        {f"{squares} squares of {side} px fit in memory": squares * side**2 <= _MOST_VALUES}, where
    )


def _n_terms(n_max: int) -> int:
    return (n_max + 1) * (n_max + 2) // 2


def _sizes(
    arrays: Arrays, numbers: Mapping[str, float], n_classes: int
) -> dict[str, tuple[int, ...]]:
    n_terms = _n_terms(int(numbers["n_max"]))
    shape = PatchShape(int(numbers["stride"]), numbers["radius_px"], int(numbers["n_max"]))
    n_features, side = n_invariants(n_terms), shape.side
    n_components, n_sublattices = arrays["pca_matrix"].shape[1], len(arrays["height"])
    n_sample = len(arrays["sample_z"])
    return {
        "basis_px_yx": (2, 2),
        "pca_mean": (n_features,),
        "pca_matrix": (n_features, n_components),
        "means": (n_classes, n_components),
        "covariances": (n_classes, n_components, n_components),
        "noise_covariance": (n_components, n_components),
        "feature_means": (n_classes, n_features),
        "patches": (n_classes, side, side),
        "patch_errors": (n_classes, side, side),
        "sample_z": (n_sample, n_components),
        "sample_class": (n_sample,),
        "layout_yx": (n_sample, 2),
        "fraction": (n_sublattices, 2),
        "pristine_moments": (n_sublattices, n_terms),
        "pristine_features": (n_sublattices, n_features),
    }


def _refuse_arrays(arrays: Arrays, where: str) -> None:
    basis = arrays["basis_px_yx"].astype(np.float64)
    length = np.linalg.norm(basis, axis=1)
    matrices = [*arrays["covariances"], arrays["noise_covariance"]]
    refuse_broken(
        {
            f"lattice vectors are {_SHORTEST_PX} to {_LONGEST_PX} px long": bool(
                (length >= _SHORTEST_PX).all() and (length <= _LONGEST_PX).all()
            ),
            "the lattice vectors span a cell": abs(np.linalg.det(basis)) > 1.0,
            "heights are above 0": bool((arrays["height"] > 0).all()),
            "covariances are symmetric and positive, of a condition below 1e12": all(
                _is_covariance(one.astype(np.float64)) for one in matrices
            ),
        },
        where,
    )


def _is_covariance(matrix: NDArray[np.float64]) -> bool:
    # Eigenvalues are those of one triangle: the other one is looked at first.
    off = np.abs(matrix - matrix.T).max()
    if not off <= _ASYMMETRY * np.abs(matrix).max():
        return False
    values = np.linalg.eigvalsh(matrix)
    return bool(values[0] > 0 and values[-1] < _LARGEST_CONDITION * values[0])
