"""What `latticewatch bench` measures of the autoencoder: its network, and its linear twin."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.look_vae import LoadedVae
from latticewatch.daemon.models import load_vae
from latticewatch.detectors.lock import LatticeLock, own_lock
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.vae.linear_model import LinearDetector
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.score import VaeDetector
from latticewatch.detectors.vae.twin_fit import fit_linear
from latticewatch.detectors.vae.windows import matching_lock
from latticewatch.detectors.view import View

SHIPPED = "pretrained:mos2-vae"
NETWORK, TWIN = "autoencoder: network on every site", "autoencoder: linear twin"
# The twin is fitted to so much of the frame: 0.7 s, and what it takes does not depend on it.
_FIT_SIDE_PX = 512

Cases = list[tuple[str, Callable[[], object]]]


def autoencoder_cases(
    pixels: NDArray[np.generic], name: str = SHIPPED
) -> tuple[Cases, tuple[str, ...]]:
    """Name and call of both, on one frame of a crystal whose sites are known.

    Parameters
    ----------
    pixels : (H, W)
        In a type of the wire.
    name
        Of a model with a network, by path or as `pretrained:NAME`.

    Returns
    -------
    tuple of (name, call) and str
        What can be measured, and why the rest cannot. Each call scores the sites of the frame.
    """
    image = np.ascontiguousarray(pixels, np.float32)
    lock = own_lock(image)
    cases, missing = [], []
    for row, make in ((NETWORK, _network(name)), (TWIN, _twin)):
        try:
            cases.append((row, make(image, lock)))
        except (FitError, ModelError) as error:
            missing.append(f"no row {row!r}: {error}")
    return cases, tuple(missing)


def _network(
    name: str,
) -> Callable[[NDArray[np.float32], LatticeLock | None], Callable[[], object]]:
    def make(image: NDArray[np.float32], lock: LatticeLock | None) -> Callable[[], object]:
        loaded: LoadedVae = load_vae(name)
        if not isinstance(loaded.model, VaeModel):
            raise ModelError(f"{name}: has no network that looks at sites")
        detector = VaeDetector(replace(loaded.model, pca=None), name)
        view = _view(SiteFinder(detector.model.rule), image, lock, name)
        return lambda: detector.score(view)

    return make


def _twin(image: NDArray[np.float32], lock: LatticeLock | None) -> Callable[[], object]:
    corner = np.ascontiguousarray(image[:_FIT_SIDE_PX, :_FIT_SIDE_PX])
    detector = LinearDetector(fit_linear([corner], VaeParameters())[0])
    view = _view(SiteFinder(detector.model.rule), image, lock, "the twin fitted to the frame")
    return lambda: detector.score(view)


def _view(
    finder: SiteFinder, image: NDArray[np.float32], lock: LatticeLock | None, name: str
) -> View:
    view = finder.prepare(image, matching_lock(finder.rule, lock))
    if not view.is_periodic:
        raise ModelError(f"{name}: this frame does not show its crystal")
    return view
