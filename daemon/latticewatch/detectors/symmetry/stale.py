"""Whether a frame as a whole still is what a symmetry model was fitted on."""

import math
from dataclasses import dataclass

import numpy as np

from latticewatch.detectors.lock import LatticeLock
from latticewatch.detectors.staleness import STALE_ANGLE_RAD, STALE_PERIOD
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.turned import net_change

# Of the distances of the lower half of the cells, over those of the reference.
STALE_SPREAD = 1.6


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far a frame is from the reference of a model.

    Attributes
    ----------
    spread
        Distance within which three tenths of the cells lie, over that of the reference.
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


def freshness_of(model: SymmetryModel, spread: float, lock: LatticeLock | None) -> Freshness:
    """Compare a frame with the reference of a model; `spread` as in `Freshness`."""
    if lock is None or model.basis_px_yx is None:
        return Freshness(spread)
    change = net_change(model.basis_px_yx, lock.basis_px_yx)
    if change is None:
        return Freshness(spread, other_net=True)
    return Freshness(spread, *change)
