"""Whether the frames of a reference show one net at one angle and magnification."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.reference_rule import FitError, label_of
from latticewatch.detectors.staleness import STALE_ANGLE_RAD, STALE_PERIOD
from latticewatch.detectors.view import SiteRule

_MOST_NAMED = 3
# Lattice vectors of about the same length are the same ones, turned.
_SAME_LENGTH = 0.1
_SAME_TURN_RAD = float(np.radians(6.0))  # of both vectors of a net: shear is less


def refuse_turned(
    frames: Sequence[NDArray[np.float32]],
    rule: SiteRule,
    labels: Sequence[str] | None = None,
) -> None:
    """Refuse frames of one net that are turned or magnified against that of the rule.

    The model of such a set is a mixture: it finds none of its frames strange, and knows none well.
    The limits are those beyond which a frame makes a model stale. Frames without a lattice, or with
    another net, are no business of this.

    Parameters
    ----------
    frames
        Of the reference.
    rule
        Of the frame with the clearest crystal.
    labels
        What messages call each frame; None for its number.

    Raises
    ------
    FitError
        With the names of the frames, how far they are off, and the limit.
    """
    off = []
    for number, frame in enumerate(frames):
        lattice = find_lattice(frame)
        change = None if lattice is None else net_change(rule.basis_px_yx, lattice.basis_px_yx)
        if change is None:
            continue
        ratio, turn_rad = change
        told = []
        if abs(turn_rad) > STALE_ANGLE_RAD:
            told.append(f"turned by {np.degrees(turn_rad):+.1f} degrees")
        if abs(ratio - 1.0) > STALE_PERIOD:
            told.append(f"magnified by {ratio - 1.0:+.1%}")
        if told:
            off.append(f"{label_of(number, labels)} {' and '.join(told)}")
    if not off:
        return
    more = f" and {len(off) - _MOST_NAMED} more" if len(off) > _MOST_NAMED else ""
    limits = f"{np.degrees(STALE_ANGLE_RAD):.1f} degrees, {STALE_PERIOD:.1%}"
    raise FitError(
        f"the frames show one crystal turned or magnified: against the clearest one "
        f"{', '.join(off[:_MOST_NAMED])}{more} (limits {limits}): fit a model for each"
    )


def net_change(
    basis_px_yx: NDArray[np.float64], other_px_yx: NDArray[np.float64]
) -> tuple[float, float] | None:
    """How much larger another net is, and by what angle it is turned, whatever its basis.

    Parameters
    ----------
    basis_px_yx, other_px_yx : (2, 2)
        Lattice vectors, rows, pixels, shortest ones.

    Returns
    -------
    tuple of float, or None
        Ratio of the lengths, and the smallest angle that does it, +x towards +y, radians; None if
        the nets are different ones.

    Examples
    --------
    >>> square = np.array([[10.0, 0.0], [0.0, 10.0]])
    >>> net_change(square, np.array([[0.0, -10.2], [10.2, 0.0]]))
    (1.02, 0.0)
    >>> net_change(square, np.array([[10.0, 0.0], [5.0, 8.66]])) is None
    True
    """
    steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j])
    vectors = steps @ other_px_yx
    ratios, turns = np.empty((2, len(steps))), np.empty((2, len(steps)))
    for own, ratio, turn in zip(basis_px_yx, ratios, turns, strict=True):
        ratio[:] = np.linalg.norm(vectors, axis=1) / np.linalg.norm(own)
        cross = own[1] * vectors[:, 0] - own[0] * vectors[:, 1]
        is_same = np.abs(ratio - 1) < _SAME_LENGTH
        turn[:] = np.where(is_same, np.arctan2(cross, vectors @ own), np.nan)
    # Both turn together, for half-way between two symmetric positions each by itself may go either
    # way; and they span the net, of which two diagonals of a square span half the points.
    apart = np.abs(turns[0][:, None] - turns[1])
    angle = (turns[0][:, None] + turns[1]) / 2
    spanned = steps[:, None, 0] * steps[:, 1] - steps[:, None, 1] * steps[:, 0]
    together = (apart < _SAME_TURN_RAD) & (np.abs(spanned) == 1)
    if not together.any():
        return None
    one, two = np.unravel_index(np.argmin(np.where(together, np.abs(angle), np.inf)), angle.shape)
    return round(float(ratios[0, one] + ratios[1, two]) / 2, 12), float(angle[one, two])
