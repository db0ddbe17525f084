"""A model of an autoencoder that was not trained: its network draws the usual window."""

from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.vae.crossing import statistics_of
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.detectors.vae.null import fit_null
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.provenance import Provenance
from latticewatch.detectors.vae.reference import ReferenceSet, look_at
from latticewatch.detectors.vae.shape import NetworkShape
from latticewatch.detectors.vae.windows import matching_lock
from latticewatch.detectors.view import SiteRule, View
from support.crystals import net_frame

PERIOD_PX = 20.0
Image = NDArray[np.float32]


@lru_cache(maxsize=16)
def square_frame(seed: int = 0, size: int = 320, scale: float = 1.0, turn: float = 0.0) -> Image:
    """Columns on a square net under noise; read-only."""
    a, angle = PERIOD_PX * scale, np.radians(5.0 + turn)
    along = [a * np.cos(angle), a * np.sin(angle)]
    frame = net_frame(
        [along, [-along[1], along[0]]], shape_yx=(size, size), sigma_px=3.0 * scale, seed=seed
    )
    frame.flags.writeable = False
    return frame


@lru_cache(maxsize=1)
def reference() -> ReferenceSet:
    """What two such frames hold."""
    return look_at([square_frame(0), square_frame(1)], VaeParameters(), [], None)


def flat_network(window_px: int = 33, drawn_px: int = 23) -> bytes:
    """ONNX of a network whose last layer is zero."""
    pytest.importorskip("onnx")
    from latticewatch.detectors.vae.export import to_onnx

    shape = NetworkShape(window_px, (2, 2), 2, (), drawn_px, "plain")
    rng = np.random.default_rng(0)
    sides = {
        "encoder.0": (2, 1, 3, 3),
        "encoder.2": (2, 2, 3, 3),
        "mean": (2, shape.n_encoded),
        "log_variance": (2, shape.n_encoded),
        "seed": (drawn_px**2, 2),
    }
    weights = {f"{k}.weight": rng.normal(0, 0.3, v).astype(np.float32) for k, v in sides.items()}
    weights |= {f"{k}.bias": np.zeros(v[0], np.float32) for k, v in sides.items()}
    weights["seed.weight"] *= 0
    return to_onnx(shape, weights)


@lru_cache(maxsize=1)
def flat_model() -> VaeModel:
    """The model of the reference with that network: residuals are differences from the usual."""
    known = reference()
    middle = known.windows.middle
    residuals = known.compared[:, middle, middle]
    statistics = statistics_of(known, residuals)
    laws = [
        fit_null([statistics[known.frame == frame, column] for frame in (0, 1)])
        for column in (0, 1)
    ]
    folds = tuple(
        (one.digest, one.first, one.last, other.first, other.last)
        for halves in known.halves
        for one, other in (halves, halves[::-1])
    )
    return VaeModel(
        rule=known.rule,
        windows=known.windows,
        network=flat_network(),
        nulls=(laws[0], laws[1]),
        n_tests=1.5,
        score_median=float(np.log(np.median(statistics[:, 1]))),
        score_spread=0.15,
        usual_flagged=0.0,
        probe_window=known.compared[0].copy(),
        probe_residual=residuals[0].copy(),
        provenance=Provenance({"kl": 0.0}, tuple(one.digest for one, _ in known.halves), folds),
    )


def with_network(network: bytes) -> VaeModel:
    """The same model with another network."""
    return replace(flat_model(), network=network)


class HasRule(Protocol):
    """A model of sites."""

    @property
    def rule(self) -> SiteRule:
        """How sites are found."""
        ...


def view_of(model: HasRule, frame: Image) -> View:
    """Sites of a frame as the model wants them."""
    pixels = np.ascontiguousarray(frame, np.float32)
    return SiteFinder(model.rule).prepare(pixels, matching_lock(model.rule, own_lock(pixels)))


def nearest_site(view: View, place_yx: tuple[float, float]) -> int:
    """Row of the site nearest to a place."""
    return int(np.argmin(np.square(view.places_yx - place_yx).sum(axis=1)))


def without_column(frame: Image, place_yx: NDArray[np.float64], share: float = 1.0) -> Image:
    """Dim the column at a place down to the background of `net_frame`."""
    y, x = np.indices(frame.shape)
    square = (y - place_yx[0]) ** 2 + (x - place_yx[1]) ** 2
    weight = np.exp(-square / (2 * 3.5**2))
    dimmed: Image = (frame - share * weight * np.maximum(frame - 5.0, 0)).astype(np.float32)
    return dimmed
