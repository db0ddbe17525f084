"""The reference as a whole: frames that belong together, and enough of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.reference import collect, features_for
from latticewatch.detectors.reference_rule import (
    FitError,
    reference_rule,
    refuse_other_crystals,
)
from latticewatch.detectors.turned import refuse_turned
from latticewatch.detectors.view import SiteRule

_FEWEST_SITES = 60
_LEAST_SPREAD = 1e-5  # of the largest feature; rounding in single precision leaves 1e-6
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """What the reference frames hold.

    Attributes
    ----------
    rule
        How sites are found.
    size_px, step_px
        Side of the windows, and which of their pixels were looked at.
    scale
        By which features were divided.
    features : (N, F)
        Of all whole windows, scaled.
    patches : (M, S, S)
        The windows of the first few thousand.
    n_frames
        Frames used.
    """

    rule: SiteRule
    size_px: int
    step_px: int
    scale: float
    features: NDArray[np.float64]
    patches: NDArray[np.float32]
    n_frames: int


def look_at(
    frames: Sequence[NDArray[np.float32]],
    parameters: PattersonParameters,
    notes: list[str],
    labels: Sequence[str] | None,
) -> ReferenceSet:
    """Look at the frames of a reference.

    Raises
    ------
    FitError
        No frame shows a lattice, they do not belong together, or they hold too little.
    """
    rule = reference_rule(frames, parameters, notes, labels)
    refuse_other_crystals(frames, rule, parameters, labels)
    refuse_turned(frames, rule, labels)
    looked_at = features_for(rule, parameters)
    features, patches, n_used = collect(frames, rule, looked_at, parameters, notes, labels)
    if len(features) < _FEWEST_SITES:
        raise FitError(
            f"{len(features)} sites in {len(frames)} frame(s) have a window of "
            f"{looked_at.size_px} pixels that lies on the crystal as a whole, at least "
            f"{_FEWEST_SITES} needed: give more or larger reference frames"
        )
    if not features.std(axis=0).max() > _LEAST_SPREAD * features.max():
        raise FitError("all windows are alike: a crowd without spread cannot say what is strange")
    scale = max(float(features.std()), _TINY)
    return ReferenceSet(
        rule, looked_at.size_px, looked_at.step_px, scale, features / scale, patches, n_used
    )
