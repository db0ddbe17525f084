"""What the page of motifs asks of a model and of the named sites of a frame."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ShownClass(Protocol):
    """One class of sites that look alike."""

    @property
    def class_id(self) -> int: ...  # noqa: D102 - as in the model
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def automatic_name(self) -> str: ...  # noqa: D102
    @property
    def named_by_user(self) -> bool: ...  # noqa: D102
    @property
    def role(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def sublattice(self) -> int: ...  # noqa: D102
    @property
    def n_members(self) -> int: ...  # noqa: D102
    @property
    def stands_beside(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def intensity_ratio(self) -> float | None: ...  # noqa: D102


class ShownColumns(Protocol):
    """The columns of the mean cell."""

    @property
    def height(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def sigma_px(self) -> float: ...  # noqa: D102
    @property
    def nearest_px(self) -> float: ...  # noqa: D102


class ShownModel(Protocol):
    """Classes, their mean patches, and a sample of the sites they were found in."""

    @property
    def classes(self) -> "tuple[ShownClass, ...]": ...  # noqa: D102
    @property
    def columns(self) -> ShownColumns: ...  # noqa: D102
    @property
    def side(self) -> int: ...  # noqa: D102
    @property
    def radius_px(self) -> float: ...  # noqa: D102
    @property
    def patches(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def patch_errors(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def pca_matrix(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def reject_chi2(self) -> float: ...  # noqa: D102
    @property
    def sample_class(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def layout_yx(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def n_sites(self) -> int: ...  # noqa: D102
    @property
    def n_frames(self) -> int: ...  # noqa: D102


class ShownSites(Protocol):
    """Every lattice site of a frame with its class; rows of all domains."""

    @property
    def places_yx(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def class_id(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def address(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def model(self) -> ShownModel: ...  # noqa: D102
