"""Which crystal the reference frames of a fit show, and whether all of them show the same."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, find_lattice
from latticewatch.detectors.polarity import contrast_of_frame
from latticewatch.detectors.site_choice import choose_site_rule
from latticewatch.detectors.sites import LEAST_LINKED, SiteFinder, SiteRule

_MOST_NAMED = 3  # frames in a note

# Frames of one crystal at one magnification agree to a per cent or two. Beyond this they show
# another crystal: hexagonal and square cells are 30 degrees apart.
_CLEAR_RATIO = 1.1
_CLEAR_ANGLE_DEG = 6.0


class SiteSettings(Protocol):
    """Settings of a fit that say how sites are found; lengths are fractions of the period."""

    @property
    def smooth_sigma(self) -> float:
        """Width of the Gaussian blur."""
        ...

    @property
    def extremum_min_distance(self) -> float:
        """Half width of the window in which a site must be the strongest extremum."""
        ...

    @property
    def level_low(self) -> float:
        """Share of the pixels below level 0."""
        ...

    @property
    def level_high(self) -> float:
        """Share of the pixels below level 1."""
        ...

    @property
    def polarity(self) -> str:
        """Columns are "bright" or "dark"; "auto": as the frame itself says."""
        ...


class FitError(Exception):
    """The reference frames cannot be fitted; the message says why and what would help."""


def reference_rule(
    frames: Sequence[NDArray[np.float32]],
    parameters: SiteSettings,
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
    frame: NDArray[np.float32], lattice: Lattice, parameters: SiteSettings
) -> tuple[SiteRule, float]:
    return choose_site_rule(
        frame,
        lattice,
        smooth_sigma=parameters.smooth_sigma,
        min_distance=parameters.extremum_min_distance,
        contrast=_contrast(frame, lattice, parameters),
        levels=(parameters.level_low, parameters.level_high),
    )


def _contrast(frame: NDArray[np.float32], lattice: Lattice, parameters: SiteSettings) -> int:
    if parameters.polarity != "auto":
        return 1 if parameters.polarity == "bright" else -1
    return contrast_of_frame(frame, lattice.period_px)


def refuse_other_crystals(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    parameters: SiteSettings,
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
