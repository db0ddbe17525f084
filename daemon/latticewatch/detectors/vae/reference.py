"""The reference of a fit: windows of every site of a few frames, in two halves that share no pixel.

Each half judges the other's sites: a network is never asked about what it learned from.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.reference_rule import (
    FitError,
    label_of,
    reference_rule,
    refuse_other_crystals,
)
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.turned import refuse_turned
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.windows import (
    Stack,
    WindowRule,
    compared,
    cut_windows,
    judgeable_sites,
    level_weights,
    matching_lock,
    window_places,
)
from latticewatch.detectors.view import SiteRule

FEWEST_SITES = 60
_MOST_SITES = 20_000  # of all frames together: 87 MB
_BLUR_RADII = 4.0  # of the blur between the halves, which carries noise from one to the other
_LEAST_SPREAD = 1e-5  # levels; rounding in single precision leaves 1e-6
LOWER, UPPER, BETWEEN = 0, 1, -1


@dataclass(frozen=True, slots=True)
class Half:
    """Rows of one frame, first and last, that the windows of one half lie in."""

    digest: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """What the reference frames hold.

    Attributes
    ----------
    rule, windows
        How sites are found and windows cut.
    compared : (N, S, S) float32
        Of all whole windows, as the network is shown them.
    places_yx : (N, 2)
        Their middles, pixels.
    frame : (N,)
        Which frame, among those used.
    half : (N,)
        0 or 1; -1: it holds pixels of both.
    halves
        Of each frame used: rows of half 0, rows of half 1.
    """

    rule: SiteRule
    windows: WindowRule
    compared: Stack
    places_yx: NDArray[np.float64]
    frame: NDArray[np.intp]
    half: NDArray[np.intp]
    halves: tuple[tuple[Half, Half], ...]

    @property
    def n_frames(self) -> int:
        """Frames used."""
        return len(self.halves)


@dataclass(frozen=True, slots=True)
class _Collected:
    windows: list[Stack]
    places: list[NDArray[np.float64]]
    half: list[NDArray[np.intp]]
    halves: list[tuple[Half, Half]]


def look_at(
    frames: Sequence[NDArray[np.float32]],
    parameters: VaeParameters,
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
    windows = _first_rule(rule, parameters)
    found = _collect(frames, rule, windows, notes, labels)
    n_sites = sum(len(one) for one in found.windows)
    if n_sites < FEWEST_SITES:
        raise FitError(
            f"{n_sites} sites in {len(frames)} frame(s) have a window of {windows.span_px} pixels "
            f"that lies on the crystal as a whole, at least {FEWEST_SITES} needed: give more or "
            "larger reference frames"
        )
    raw = np.concatenate(found.windows)
    windows = _fitted_rule(raw, windows)
    return ReferenceSet(
        rule=rule,
        windows=windows,
        compared=compared(raw, windows),
        places_yx=np.concatenate(found.places),
        frame=np.repeat(np.arange(len(found.windows)), [len(one) for one in found.windows]),
        half=np.concatenate(found.half),
        halves=tuple(found.halves),
    )


def _first_rule(rule: SiteRule, parameters: VaeParameters) -> WindowRule:
    """How windows are cut, before anything is known of what they show."""
    size = parameters.window_px
    step_px = parameters.window * rule.period_px / (size - 1)
    try:
        weights = level_weights(rule.basis_px_yx, step_px, size)
    except ValueError as error:
        raise FitError(f"window = {parameters.window}: {error}") from error
    usual = np.zeros((size, size), np.float32)
    return WindowRule(step_px, usual, weights, 1.0, parameters.drawn_px)


def _fitted_rule(raw: Stack, windows: WindowRule) -> WindowRule:
    """Add the usual window, which a few defects do not move, and the spread about it."""
    usual = np.median(raw, axis=0).astype(np.float32)
    plain = WindowRule(windows.step_px, usual, windows.weights, 1.0, windows.drawn_px)
    off = compared(raw.copy(), plain)[:, plain.middle, plain.middle]
    scale = MAD_TO_SIGMA * float(np.median(np.abs(off)))
    if not scale > _LEAST_SPREAD:
        raise FitError("all windows are alike: a crowd without spread cannot say what is strange")
    return WindowRule(windows.step_px, usual, windows.weights, scale, windows.drawn_px)


def _collect(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    windows: WindowRule,
    notes: list[str],
    labels: Sequence[str] | None,
) -> _Collected:
    """Raw windows of every frame with the crystal; the last frames are left out of many."""
    finder = SiteFinder(rule)
    found = _Collected([], [], [], [])
    for number, frame in enumerate(frames):
        view = finder.prepare(frame, matching_lock(rule, own_lock(frame)))
        if not view.is_periodic:
            name = label_of(number, labels)
            notes.append(
                f"{name}: left out: another crystal or none, {view.linked:.0%} of sites in place"
            )
            continue
        sites = np.flatnonzero(judgeable_sites(view, rule, windows))
        places = window_places(view, sites)
        cut, whole = cut_windows(view.image, places, windows.step_px, windows.size)
        half, rows = _halves(frame, places[whole], rule, windows)
        found.windows.append(cut[whole])
        found.places.append(places[whole])
        found.half.append(half)
        found.halves.append(rows)
        if sum(len(one) for one in found.windows) >= _MOST_SITES:
            break
    return found


def _halves(
    frame: NDArray[np.float32],
    places: NDArray[np.float64],
    rule: SiteRule,
    windows: WindowRule,
) -> tuple[NDArray[np.intp], tuple[Half, Half]]:
    """Which half each window belongs to, by rows; half the sites above, half below the gap."""
    reach = windows.span_px / 2.0
    gap = _BLUR_RADII * rule.smooth_sigma_px
    y = places[:, 0]
    middle = float(np.median(y)) if len(y) else 0.0
    half = np.full(len(y), BETWEEN, np.intp)
    half[y + reach <= middle - gap / 2] = LOWER
    half[y - reach >= middle + gap / 2] = UPPER
    digest = hashlib.sha256(np.ascontiguousarray(frame).tobytes()).hexdigest()[:16]
    upper_end, lower_end = int(np.floor(middle - gap / 2)), int(np.ceil(middle + gap / 2))
    return half, (Half(digest, 0, upper_end), Half(digest, lower_end, len(frame) - 1))
