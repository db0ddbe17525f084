"""The reference of a fit: site rule, features and windows of a few frames, without labels."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.patterson.dopants import drawn_margin_px
from latticewatch.detectors.patterson.features import WindowFeatures, step_for
from latticewatch.detectors.patterson.finder import PattersonFinder, own_lock
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.windows import judgeable
from latticewatch.detectors.polarity import contrast_of_frame
from latticewatch.detectors.site_choice import choose_site_rule
from latticewatch.detectors.sites import LEAST_LINKED, SiteFinder, SiteRule, View
from latticewatch.kernels.patches import gather_patches, thinned_size

_MOST_SITES = 40_000  # of all frames together: 13 MB of features
_MOST_PATCHES = 4000  # kept for the mean window
_MOST_NAMED = 3  # frames in a note

# Frames of one crystal at one magnification agree to a per cent or two. Beyond this they show
# another crystal: hexagonal and square cells are 30 degrees apart.
_CLEAR_RATIO = 1.1
_CLEAR_ANGLE_DEG = 6.0


class FitError(Exception):
    """The reference frames cannot be fitted; the message says why and what would help."""


def reference_rule(
    frames: Sequence[NDArray[np.float32]],
    parameters: PattersonParameters,
    notes: list[str],
    labels: Sequence[str] | None = None,
) -> SiteRule:
    """Lattice and site rule of the frame with the clearest crystal.

    Notes call a frame by its label, or else by its number.

    Raises
    ------
    FitError
        No frame shows a lattice whose sites link up.
    """
    best: tuple[Lattice, NDArray[np.float32]] | None = None
    empty = []
    for number, frame in enumerate(frames):
        lattice = find_lattice(frame)
        if lattice is None:
            empty.append(label_of(number, labels))
        elif best is None or lattice.strength > best[0].strength:
            best = (lattice, frame)
    if best is None:
        raise FitError(
            f"no lattice in any of {len(frames)} frame(s): the reference must show the crystal"
        )
    if empty:
        notes.append(
            f"{len(empty)} of {len(frames)} frames show no lattice and were left out: "
            f"{_names(empty)}"
        )
    rule, linked = _choose(best[1], best[0], parameters)
    if linked < LEAST_LINKED:
        raise FitError(
            f"only {linked:.0%} of lattice neighbours are in place, {LEAST_LINKED:.0%} needed: "
            "the crystal has no unique extremum per cell, or the frame is too noisy"
        )
    return rule


def _choose(
    frame: NDArray[np.float32], lattice: Lattice, parameters: PattersonParameters
) -> tuple[SiteRule, float]:
    return choose_site_rule(
        frame,
        lattice,
        smooth_sigma=parameters.smooth_sigma,
        min_distance=parameters.extremum_min_distance,
        contrast=_contrast(frame, lattice, parameters),
        levels=(parameters.level_low, parameters.level_high),
    )


def _contrast(frame: NDArray[np.float32], lattice: Lattice, parameters: PattersonParameters) -> int:
    if parameters.polarity != "auto":
        return 1 if parameters.polarity == "bright" else -1
    return contrast_of_frame(frame, lattice.period_px)


def view_of(
    frame: NDArray[np.float32], finder: PattersonFinder, parameters: PattersonParameters
) -> View:
    """Sites of a frame as the settings of the fit want them."""
    lock = own_lock(frame) if parameters.site_source == "lattice" else None
    return finder.prepare(frame, lock)[0]


def patch_size_px(period_px: float, parameters: PattersonParameters) -> int:
    """Nearest odd number of pixels, large enough for the highest wave."""
    size = 2 * round((parameters.patch_size * period_px - 1) / 2) + 1
    return max(size, 2 * parameters.cutoff + 1)


def features_for(rule: SiteRule, parameters: PattersonParameters) -> WindowFeatures:
    """Numbers of a window that the settings want, not scaled yet."""
    size = patch_size_px(rule.period_px, parameters)
    step = step_for(rule.smooth_sigma_px)
    if thinned_size(size, step) < 2 * parameters.cutoff + 1:
        step = 1
    return WindowFeatures(
        kind=parameters.features, size_px=size, step_px=step, cutoff=parameters.cutoff, scale=1.0
    )


def refuse_other_crystals(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    parameters: PattersonParameters,
    labels: Sequence[str] | None = None,
) -> None:
    """Refuse frames of which some show the crystal of the rule and others another one.

    A frame that the rule fits is asked nothing more; of the others only those count whose own
    lattice holds them together, so that noise and vacuum are left out as ever.

    Raises
    ------
    FitError
        With the names of the frames that differ.
    """
    finder = SiteFinder(rule)
    own, other, shown = [], [], ""
    for number, frame in enumerate(frames):
        if finder.prepare(frame).is_periodic:
            own.append(label_of(number, labels))
            continue
        lattice = find_lattice(frame)
        if lattice is None or not _differs(lattice.basis_px_yx, rule.basis_px_yx):
            continue
        _, linked = _choose(frame, lattice, parameters)
        if linked >= LEAST_LINKED:
            other.append(label_of(number, labels))
            shown = shown or _describe(lattice.basis_px_yx)
    if other:
        raise FitError(
            f"the frames show different lattices: {_names(own)} {_describe(rule.basis_px_yx)}, "
            f"{_names(other)} {shown}: fit a model for each"
        )


def _differs(basis: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    (period, angle), (other_period, other_angle) = (
        _period_and_angle(basis),
        _period_and_angle(other),
    )
    ratio = max(period, other_period) / min(period, other_period)
    return ratio > _CLEAR_RATIO or abs(angle - other_angle) > _CLEAR_ANGLE_DEG


def _period_and_angle(basis: NDArray[np.float64]) -> tuple[float, float]:
    """Geometric mean of the vectors in px, and their angle in degrees, 0 to 90."""
    lengths = np.linalg.norm(basis, axis=1)
    cosine = min(1.0, float(abs(basis[0] @ basis[1]) / np.prod(lengths)))
    return float(np.sqrt(np.prod(lengths))), float(np.degrees(np.arccos(cosine)))


def _describe(basis: NDArray[np.float64]) -> str:
    period, angle = _period_and_angle(basis)
    return f"{period:.1f} px at {angle:.0f} degrees"


def label_of(number: int, labels: Sequence[str] | None) -> str:
    """Name a frame in messages."""
    return f"frame {number}" if labels is None else labels[number]


def _names(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
    return ", ".join(labels[:_MOST_NAMED]) + more


def collect(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    features: WindowFeatures,
    parameters: PattersonParameters,
    notes: list[str],
    labels: Sequence[str] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float32], int]:
    """Features of every whole window, the windows of the first few thousand, frames used.

    Frames without a crystal are left out, and the last ones where the others hold enough sites.
    """
    finder = PattersonFinder(rule, parameters.image)
    further_px = drawn_margin_px(rule) if parameters.image == "columns" else 0.0
    rows: list[NDArray[np.float64]] = []
    patches: list[NDArray[np.float32]] = []
    n_kept = n_patches = 0
    for number, frame in enumerate(frames):
        view = view_of(frame, finder, parameters)
        if not view.is_periodic:
            name = label_of(number, labels)
            notes.append(
                f"{name}: left out: another crystal or none, {view.linked:.0%} of sites in place"
            )
            continue
        whole = judgeable(view, features.size_px, rule.smooth_sigma_px, further_px)
        places_yx = view.places_yx[whole]
        rows.append(features_at(view.image, places_yx, features))
        wanted = places_yx[: max(0, _MOST_PATCHES - n_patches)]
        windows = np.empty((len(wanted), features.size_px, features.size_px), np.float32)
        gather_patches(
            view.image, wanted, features.size_px, windows, np.empty(len(wanted), np.bool_)
        )
        patches.append(windows)
        n_kept += len(places_yx)
        n_patches += len(windows)
        if n_kept >= _MOST_SITES:
            break
    if not rows:
        size = features.size_px
        return np.empty((0, features.n_features)), np.empty((0, size, size), np.float32), 0
    return np.concatenate(rows), np.concatenate(patches), len(rows)


def features_at(
    image: NDArray[np.float32], places_yx: NDArray[np.float64], features: WindowFeatures
) -> NDArray[np.float64]:
    """Features (N, F) of the windows round these places."""
    out = np.empty((len(places_yx), features.n_features), np.float32)
    whole = np.empty(len(places_yx), np.bool_)
    features.write(image, places_yx, out, whole)
    return out.astype(np.float64)
