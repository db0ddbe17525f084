"""What `latticewatch bench` measures of the motifs: all sites of a frame, or its defects."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.model_reading import read_model
from latticewatch.daemon.motif_namer import MotifNamer
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.sights import Scene
from latticewatch.detectors.follow import LatticeFollower, Refusal
from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.motifs.columns import MotifSites, sites_of
from latticewatch.detectors.motifs.follow import SiteFollower
from latticewatch.detectors.motifs.model import DETECTOR, MotifModel
from latticewatch.detectors.motifs.score import UNSCORED, Level, MotifDetector
from latticewatch.detectors.motifs.stale import Mismatch
from latticewatch.detectors.protocols import Finding, ModelError

SHIPPED: Final = "pretrained:mos2-motifs"
N_DEFECTS: Final = 30
_CHANNEL: Final = {1: "HAADF", -1: "BF"}

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
    cases += _of_sites(detector, level, sites)
    return cases + _of_frames(model, image, sites), ()


def _of_frames(model: MotifModel, image: NDArray[np.float32], sites: MotifSites) -> Cases:
    """All that is done for a frame of a chain: its defects named, or every site looked at, too."""
    found = LatticeFollower().look(image)
    if isinstance(found, Refusal):
        return []
    # By its name the contrast is known, as it is from the second frame of a chain on.
    scene = Scene(image, np.empty((0, 2), np.intp), found, channel=_CHANNEL[model.columns.contrast])
    rows = np.linspace(0, len(sites.places_yx) - 1, N_DEFECTS).astype(np.intp)
    findings = tuple(_finding(place) for place in sites.places_yx[rows].tolist())
    cases: Cases = []
    for follows, told in (
        (False, f"{N_DEFECTS} defects"),
        (True, f"{N_DEFECTS} defects, {len(sites.places_yx)} sites followed"),
    ):
        namer = MotifNamer(MotifDetector(model), (DETECTOR, "", ""), SystemClock(), follows=follows)
        cases.append((f"motifs: frame of {told}", partial(namer.look, scene, 0, findings)))
    return cases


def _finding(place_yx: list[float]) -> Finding:
    return Finding(
        pixel_yx=(place_yx[0], place_yx[1]),
        cov_px=(0.1, 0.0, 0.1),
        kind="vacancy",
        intensity_ratio=None,
        extent_px=5.0,
        p_value=1e-6,
        parts=(),
        tail=False,
    )


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
