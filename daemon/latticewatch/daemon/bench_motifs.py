"""What `latticewatch bench` measures of the motifs: all sites of a frame, or its defects."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.model_reading import read_model
from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.motifs.columns import MotifSites, sites_of
from latticewatch.detectors.motifs.follow import SiteFollower
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.score import UNSCORED, Level, MotifDetector
from latticewatch.detectors.motifs.stale import Mismatch
from latticewatch.detectors.protocols import ModelError

SHIPPED: Final = "pretrained:mos2-motifs"
N_DEFECTS: Final = 30

Cases = list[tuple[str, Callable[[], object]]]


def motif_cases(pixels: NDArray[np.generic], name: str = SHIPPED) -> tuple[Cases, tuple[str, ...]]:
    """Name and call of each, on one frame of the crystal that a model knows.

    Parameters
    ----------
    pixels : (H, W)
        In a type of the wire.
    name
        Of a model, by path or as `pretrained:NAME`.

    Returns
    -------
    tuple of (name, call) and str
        What can be measured, and why the rest cannot.
    """
    image = np.ascontiguousarray(pixels, np.float32)
    try:
        model = MotifModel.from_artifact(read_model(name), name)
    except ModelError as error:
        return [], (f"no rows of the motifs: {error}",)
    lock = own_lock(image)
    if lock is None:
        return [], ("no rows of the motifs: the frame shows no lattice",)
    detector = MotifDetector(model)
    columns = detector.begin(image, lock, model.columns.contrast)
    if isinstance(columns, Mismatch):
        return [], (f"no rows of the motifs: {columns}",)
    level = detector.level(image, lock, columns)
    if isinstance(level, Mismatch):
        return [], (f"no rows of the motifs: {level}",)
    sites = sites_of(lock, columns, (image.shape[0], image.shape[1]))
    cases: Cases = [("motifs: unit of a frame", lambda: detector.level(image, lock, columns))]
    return cases + _of_sites(detector, level, sites), ()


def _of_sites(detector: MotifDetector, level: Level, sites: MotifSites) -> Cases:
    named = detector.name(level, sites.places_yx, sites.sublattice)
    address = np.column_stack([sites.address, sites.sublattice])
    follower = SiteFollower(detector.model.noise_covariance)
    some = slice(0, N_DEFECTS)

    def follow() -> object:
        return follower.see(address, named.z, named.class_index != UNSCORED, detector)

    n_sites = len(sites.places_yx)
    return [
        (
            f"motifs: class of {n_sites} sites",
            lambda: detector.name(level, sites.places_yx, sites.sublattice),
        ),
        (
            f"motifs: class of {N_DEFECTS} defects",
            lambda: detector.name(level, sites.places_yx[some], sites.sublattice[some]),
        ),
        (f"motifs: following {n_sites} sites", follow),
    ]
