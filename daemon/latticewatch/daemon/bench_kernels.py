"""Every kernel of scheme one on one frame, beside the straightforward version of the same."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.kernels.extrema import strict_extrema
from latticewatch.kernels.levels import normalise, robust_range
from latticewatch.kernels.machine import decision, project, robust_distance
from latticewatch.kernels.patches import gather_patches, thinned_size
from latticewatch.kernels.pixels import count_pixels, native_float32
from latticewatch.kernels.power import (
    Analysis,
    n_features,
    power_scratch,
    truncated_waves,
    window_power,
)
from latticewatch.kernels.refine import refine_quadratic
from latticewatch.kernels.smooth import gaussian, gaussian_scratch, gaussian_weights

N_HISTOGRAM_BINS = 2048  # as the site finder takes it


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the bench.

    Attributes
    ----------
    name
        Of the kernel.
    compiled
        Runs it; what it returns is its result.
    plain
        Runs the straightforward version, given the module that holds those.
    """

    name: str
    compiled: Callable[[], Any]  # Any: each kernel has a result of its own type
    plain: Callable[[ModuleType], Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Inputs of every stage for one frame, each made by the stage before it."""

    pixels: NDArray[Any]
    image: NDArray[np.float32]
    blurred: NDArray[np.float32]
    range_levels: tuple[float, float]
    levelled: NDArray[np.float32]
    extrema: NDArray[np.int32]
    places: NDArray[np.float64]
    patches: NDArray[np.float32]
    power: NDArray[np.float32]
    z: NDArray[np.float32]

    @property
    def n_sites(self) -> int:
        """Extrema of the frame."""
        return len(self.places)


def prepare(pixels: NDArray[Any], model: PattersonModel) -> Prepared:
    """Run every stage once, keeping what each gives to the next."""
    rule, size = model.rule, model.patch_size_px
    shape_yx = (pixels.shape[0], pixels.shape[1])
    image, blurred, levelled = (np.empty(shape_yx, np.float32) for _ in range(3))
    native_float32(pixels, image)
    weights = gaussian_weights(rule.smooth_sigma_px)
    gaussian(image, weights, gaussian_scratch(shape_yx[1], weights), blurred)
    low, high = robust_range(blurred, 0.02, 0.98, np.zeros(N_HISTOGRAM_BINS, np.int64))
    normalise(blurred, low, high, levelled)
    extrema = np.empty((image.size // 4, 2), np.int32)
    n_found = strict_extrema(levelled, rule.floor, rule.min_distance_px, rule.polarity, 1, extrema)
    extrema = extrema[:n_found].copy()
    places = np.empty((n_found, 2), np.float64)
    refine_quadratic(levelled, extrema, places)
    patches = np.empty((n_found, size, size), np.float32)
    gather_patches(levelled, places, size, patches, np.empty(n_found, np.bool_))
    power = np.empty((n_found, n_features(model.cutoff)), np.float32)
    cut, waves = (size, 1), truncated_waves(size, model.cutoff)
    analysis = Analysis(waves, model.scale, power_scratch(size, model.cutoff))
    window_power(levelled, places, cut, analysis, power, np.empty(n_found, np.bool_))
    z = np.empty((n_found, len(model.components)), np.float32)
    project(power, model.mean, model.components, z)
    return Prepared(
        pixels, image, blurred, (low, high), levelled, extrema, places, patches, power, z
    )


def kernel_cases(ready: Prepared, model: PattersonModel) -> list[Case]:
    """One case per kernel, in the order of a frame; buffers are made here, as in the daemon."""
    return [*_frame_cases(ready, model), *_site_cases(ready, model)]


def _frame_cases(ready: Prepared, model: PattersonModel) -> list[Case]:
    rule = model.rule
    out = np.empty_like(ready.image)
    counts = np.zeros(4, np.int64)
    weights = gaussian_weights(rule.smooth_sigma_px)
    scratch = gaussian_scratch(ready.image.shape[1], weights)
    histogram = np.zeros(N_HISTOGRAM_BINS, np.int64)
    found = np.empty((ready.image.size // 4, 2), np.int32)
    return [
        Case(
            "pixels.native_float32",
            lambda: native_float32(ready.pixels, out),
            lambda plain: plain.to_float32(ready.pixels),
        ),
        Case(
            "pixels.count_pixels",
            lambda: count_pixels(ready.image, 0.0, counts),
            lambda plain: plain.count_pixels(ready.image),
        ),
        Case(
            "smooth.gaussian",
            lambda: gaussian(ready.image, weights, scratch, out),
            lambda plain: plain.smooth(ready.image, rule.smooth_sigma_px),
        ),
        Case(
            "levels.robust_range",
            lambda: robust_range(ready.blurred, 0.02, 0.98, histogram),
            lambda plain: plain.levels(ready.blurred),
        ),
        Case(
            "levels.normalise",
            lambda: normalise(ready.blurred, *ready.range_levels, out),
            lambda plain: plain.normalise(ready.blurred, *ready.range_levels),
        ),
        Case(
            "extrema.strict_extrema",
            lambda: strict_extrema(
                ready.levelled, rule.floor, rule.min_distance_px, rule.polarity, 1, found
            ),
            lambda plain: plain.find_extrema(
                ready.levelled, rule.floor, rule.min_distance_px, rule.polarity
            ),
        ),
    ]


def _site_cases(ready: Prepared, model: PattersonModel) -> list[Case]:
    size, cutoff = model.patch_size_px, model.cutoff
    places = np.empty_like(ready.places)
    patches, power, z = (np.empty_like(array) for array in (ready.patches, ready.power, ready.z))
    inside = np.empty(ready.n_sites, np.bool_)
    result = np.empty(ready.n_sites, np.float32)
    side = thinned_size(size, model.step_px)
    analysis = Analysis(truncated_waves(side, cutoff), model.scale, power_scratch(side, cutoff))
    return [
        Case(
            "refine.refine_quadratic",
            lambda: refine_quadratic(ready.levelled, ready.extrema, places),
            lambda plain: plain.refine(ready.levelled, ready.extrema),
        ),
        Case(
            "patches.gather_patches",
            lambda: gather_patches(ready.levelled, ready.places, size, patches, inside),
            lambda plain: plain.gather_patches(ready.levelled, ready.places, size),
        ),
        Case(
            "power.window_power",
            lambda: window_power(
                ready.levelled, ready.places, (size, model.step_px), analysis, power, inside
            ),
            lambda plain: plain.patterson_power(
                plain.gather_patches(ready.levelled, ready.places, size), cutoff, model.scale
            ),
        ),
        Case(
            "machine.project",
            lambda: project(ready.power, model.mean, model.components, z),
            lambda plain: plain.project(ready.power, model.mean, model.components),
        ),
        Case(
            "machine.decision",
            lambda: decision(ready.z, model.support, model.dual, model.gamma, model.offset, result),
            lambda plain: plain.decide(ready.z, model),
        ),
        Case(
            "machine.robust_distance",
            lambda: robust_distance(ready.z, model.z_median, model.z_mad, result),
            lambda plain: plain.robust_distance(ready.z, model),
        ),
    ]
