"""Where the specimen has gone since the lattice was found: an account over frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.follow import FrameLattice, Refusal
from latticewatch.detectors.follow_domains import DomainFollower
from latticewatch.detectors.rehearsal import rehearse
from latticewatch.wire.events import Drift
from latticewatch.wire.frames import FrameHeader
from latticewatch.wire.geometry import Geometry

_MOST_TURNS = 4096.0


@dataclass(slots=True)
class _Chain:
    """Frames through which one lattice was followed.

    Attributes
    ----------
    ref_seq
        Of the first.
    way_px : (2,)
        From the first to the last, [y, x].
    last_ns
        When the last was complete.
    """

    ref_seq: int
    way_px: NDArray[np.float64]
    last_ns: int


class Followed:
    """Follows the lattices while the microscope looks at the same field."""

    def __init__(self) -> None:
        self._follower = DomainFollower()
        self._view: tuple[object, ...] | None = None
        self._chain: _Chain | None = None

    def forget(self) -> None:
        """Begin anew with the next frame."""
        self._follower.forget()
        self._chain = None

    def warm_up(self) -> None:
        """Compile what ordinary frames do not run, and forget those that came before."""
        rehearse()
        self.forget()

    def look(
        self, header: FrameHeader, image: NDArray[np.float32], geometry: Geometry | None = None
    ) -> tuple[tuple[FrameLattice, ...] | Refusal, Drift | None]:
        """Lattices of the next frame, and where the specimen is since the first one.

        Parameters
        ----------
        header
            Of the frame. In another session, field or channel a chain begins.
        image : (H, W)
            Finite.
        geometry
            For nanometres; None takes the header's.

        Returns
        -------
        tuple of FrameLattice or Refusal, Drift or None
            Of one domain or two; the drift is that of the first. None at the beginning of a chain,
            and where there is no lattice.
        """
        view = (header.session, header.full_context, header.full_roi, header.channel)
        if view != self._view:
            self.forget()
            self._view = view
        found = self._follower.look(image)
        if isinstance(found, Refusal):
            self._chain = None
            return found, None
        if max(float(np.abs(one.lock.phase).max()) for one in found) > _MOST_TURNS:
            # Single precision would lose the digits of a place: addresses begin anew.
            self._follower.forget()
        lattice = found[0]
        step_px, cov_px2, chain = lattice.drift_px_yx, lattice.drift_cov_px, self._chain
        if step_px is None or cov_px2 is None or chain is None:
            self._chain = _Chain(header.seq, np.zeros(2), header.t_complete_ns)
            return found, None
        chain.way_px = chain.way_px + step_px
        elapsed_ns = header.t_complete_ns - chain.last_ns
        chain.last_ns = header.t_complete_ns
        geometry = geometry or Geometry.from_header(header)
        return found, _drift(chain, step_px, cov_px2, elapsed_ns, geometry)


def _drift(
    chain: _Chain,
    step_px: NDArray[np.float64],
    cov_px2: NDArray[np.float64],
    elapsed_ns: int,
    geometry: Geometry,
) -> Drift:
    """In the words of the protocol: fractions of the context, nanometres if calibrated."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    fraction = geometry.to_fraction(corners)
    to_fraction = (fraction[1:] - fraction[0]).T
    # The way is measured from phases that add up, so its error is that of one frame.
    cov = to_fraction @ cov_px2 @ to_fraction.T
    way_nm = rate = None
    if geometry.calibrated:
        nm = geometry.to_nm(corners)
        to_nm = (nm[1:] - nm[0]).T
        way_nm = _pair(to_nm @ chain.way_px)
        if elapsed_ns > 0:
            rate = _pair(to_nm @ step_px / (1e-9 * elapsed_ns))
    return Drift(
        ok=True,
        ref_seq=chain.ref_seq,
        offset_frac_yx=_pair(to_fraction @ chain.way_px),
        cov_frac=(float(cov[0, 0]), float(cov[1, 0]), float(cov[1, 1])),
        offset_nm_yx=way_nm,
        rate_nm_s_yx=rate,
    )


def _pair(vector: NDArray[np.float64]) -> tuple[float, float]:
    return float(vector[0]), float(vector[1])
