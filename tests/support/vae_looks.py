"""The autoencoder's lookers on simulated frames: scenes, and models that need no training."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.look_vae import SiteLooker, site_detector
from latticewatch.daemon.sights import Budget, Scene
from latticewatch.detectors.follow import FrameLattice
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from latticewatch.detectors.vae.linear_model import LinearModel
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.twin_fit import fit_linear
from support.crystals import TickingClock, image_of, specimen
from support.vae_models import flat_model, square_frame

Image = NDArray[np.float32]
BUDGET = Budget(0.05, None)
NAMED = ("vae", "my.model", "0" * 64)


@lru_cache(maxsize=4)
def linear_model(crystal: str = "mos2") -> LinearModel:
    """Fit the linear twin on one frame without defects."""
    clean = image_of(specimen(crystal, seed=100, perfect=True)[0])
    return fit_linear([clean], VaeParameters())[0]


@lru_cache(maxsize=1)
def square_linear() -> LinearModel:
    """Fit the linear twin on the frames of `vae_models.reference`."""
    frames = [square_frame(seed).copy() for seed in (0, 1)]
    return fit_linear(frames, VaeParameters())[0]


@lru_cache(maxsize=1)
def both_model() -> VaeModel:
    """The flat model with that twin beside its network."""
    return replace(flat_model(), pca=square_linear().pca)


def scene_of(image: Image, *, channel: str | None = None, pictures: bool = False) -> Scene:
    """Scene of a frame whose lattice was followed."""
    pixels = np.ascontiguousarray(image, np.float32)
    lattice = find_lattice(pixels)
    lock = None if lattice is None else lock_lattice(pixels, lattice)
    nothing = np.empty((0, 2), np.intp)
    if lattice is None or lock is None:
        return Scene(pixels, nothing, None, channel, pictures=pictures)
    followed = FrameLattice(lattice, lock, True, None, None)
    return Scene(pixels, nothing, followed, channel, pictures=pictures)


def site_looker(model: VaeModel | LinearModel) -> SiteLooker:
    """Looker of a model that was not read from a file."""
    return SiteLooker(site_detector(model, "my.model"), NAMED, TickingClock())
