"""Whether a frame as a whole still is what a symmetry model was fitted on."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.staleness import STALE_ANGLE_RAD, STALE_PERIOD
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.turned import net_change

# Of the distances of the nearest cells, over those of the reference.
STALE_SPREAD = 1.6
# Nearest cells of frames of the model's crystal scatter 0.97 to 1.05 times as usual, drawn; those
# of other crystals 1.7 times and more, of turned ones from 1.06, but then none stands out.
_FITS_SPREAD = 1.2
_MIXED_SHARE = 0.05
_STANDS_OUT_P = 0.001


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a frame is from the reference of a model.

    Attributes
    ----------
    spread
        Distance within which the nearest cells lie, over that of the reference; NaN: not known.
    period_ratio, turn_rad
        Lattice of the frame against the model's; 1 and 0 where either is unknown.
    other_net
        The lattice of the frame is none that a turn or a magnification makes of the model's.
    """

    spread: float
    period_ratio: float = 1.0
    turn_rad: float = 0.0
    other_net: bool = False

    @property
    def told(self) -> tuple[str, ...]:
        """What speaks against the model, each with its value and its limit."""
        stretched = self.period_ratio - 1.0
        turned, most = math.degrees(self.turn_rad), math.degrees(STALE_ANGLE_RAD)
        measures = (
            (
                not np.isnan(self.spread) and self.spread > STALE_SPREAD,
                f"cells scatter {self.spread:.1f} times as usual (limit {STALE_SPREAD:.1f})",
            ),
            (
                abs(stretched) > STALE_PERIOD,
                f"period {stretched:+.1%} (limit {STALE_PERIOD:.1%})",
            ),
            (
                abs(turned) > most,
                f"turned by {turned:.1f} degrees (limit {most:.1f})",
            ),
            (self.other_net, "another lattice than the model's"),
        )
        return tuple(text for holds, text in measures if holds)

    @property
    def is_stale(self) -> bool:
        """Anything speaks against the model."""
        return bool(self.told)


def freshness_of(model: SymmetryModel, lock: LatticeLock | None) -> Freshness:
    """Compare the lattice of a frame with that of a model; how its cells scatter is left open."""
    if lock is None or model.basis_px_yx is None:
        return Freshness(float("nan"))
    change = net_change(model.basis_px_yx, lock.basis_px_yx)
    if change is None:
        return Freshness(float("nan"), other_net=True)
    return Freshness(float("nan"), *change)


def judged(lattice: Freshness, spread: float, p_value: NDArray[np.float64]) -> Freshness:
    """Say how cells scatter, and let them overrule a lattice that is no one's.

    Of two grains or twins a lattice may be found that both have in common, or that of the other
    one. Where a part of a frame is as usual and a part stands out, the boundary is what is wanted.

    Parameters
    ----------
    lattice
        From `freshness_of`.
    spread
        As in `Freshness`.
    p_value : (R, C)
        Of the cells.
    """
    known = p_value[~np.isnan(p_value)]
    mixed = len(known) > 0 and bool((known < _STANDS_OUT_P).mean() >= _MIXED_SHARE)
    if lattice.is_stale and mixed and spread <= _FITS_SPREAD:
        return Freshness(spread)
    return replace(lattice, spread=spread)
