"""What a simulated frame really shows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A header may have 16384 bytes, of which other keys take up to 1000; a defect takes 19 bytes for
# its place and at most 10 for its kind.
MAX_DEFECTS_IN_HEADER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Defects inside one frame, drift included.

    Parameters
    ----------
    pixel_yx : (N, 2)
        Where the harmed column is, or was before it vanished. Row jitter averages to nothing
        and is left out.
    kind, sublattice : N words each
        Kinds are words of the wire protocol.
    magnitude : (N,)
        Fraction of the scattering lost or gained; for a displaced column its shift in periods.
    crystal
        Name.
    period_px
        Shortest lattice vector.
    n_columns
        Lattice sites inside the frame, empty ones included.
    drift_px_yx : (2,)
        How far the specimen has moved since frame 0.
    gain
        Detector gain of this frame against its mean.
    """

    pixel_yx: NDArray[np.float64]
    kind: tuple[str, ...]
    sublattice: tuple[str, ...]
    magnitude: NDArray[np.float64]
    crystal: str
    period_px: float
    n_columns: int
    drift_px_yx: NDArray[np.float64]
    gain: float

    def attrs(self) -> dict[str, Any]:  # values of a MessagePack map are of any type
        """Map for the header's `attrs`; beyond `MAX_DEFECTS_IN_HEADER` it is cut and says so."""
        n_listed = min(len(self.kind), MAX_DEFECTS_IN_HEADER)
        truth: dict[str, Any] = {
            "v": 1,
            "pixel_yx": self.pixel_yx[:n_listed].tolist(),
            "kind": list(self.kind[:n_listed]),
            "crystal": self.crystal,
            "period_px": self.period_px,
            "n_columns": self.n_columns,
        }
        if n_listed < len(self.kind):
            truth |= {"truncated": True, "n_defects": len(self.kind)}
        return {"truth": truth}

    def record(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "pixel_yx": self.pixel_yx.tolist(),
            "kind": list(self.kind),
            "sublattice": list(self.sublattice),
            "magnitude": self.magnitude.tolist(),
            "crystal": self.crystal,
            "period_px": self.period_px,
            "n_columns": self.n_columns,
            "drift_px_yx": self.drift_px_yx.tolist(),
            "gain": self.gain,
        }
