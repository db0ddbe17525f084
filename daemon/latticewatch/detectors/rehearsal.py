"""Search, lock and follow once on small drawn frames, so that nothing is compiled later."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.follow_domains import DomainFollower

_SIDE_PX = 256
_WIDE_PX = 480


def rehearse() -> None:
    """Compile every kernel between a frame and its lattice, or take it from numba's cache.

    About 0.4 s with a full cache. Call it before the first frame: it takes every branch that asks
    for a kernel of its own, on writable frames. What is found does not matter.
    """
    y, x = np.indices((_SIDE_PX, _SIDE_PX)).astype(np.float64)
    half = x < _SIDE_PX / 2
    follower = DomainFollower()
    for period_px in (8.0, 16.0):
        crystal = _waves(y, x, period_px)
        other = _waves(0.8 * y + 0.6 * x, 0.8 * x - 0.6 * y, period_px)
        # A line round which the phase turns once cannot be unwrapped in the quick way.
        bent = _waves(y + period_px * np.arctan2(y - 100.3, x - 130.7) / (2 * np.pi), x, period_px)
        frames = (crystal, np.where(half, crystal, 0.0), np.where(half, crystal, other), bent)
        for frame in frames:
            follower.forget()
            follower.look(frame.astype(np.float32))
            follower.look(frame.astype(np.float32))
    # Frames of many blocks are thinned before they are demodulated.
    y, x = np.indices((_WIDE_PX, _WIDE_PX)).astype(np.float64)
    wide = _waves(y, x, 8.0).astype(np.float32)
    follower.forget()
    follower.look(wide)
    follower.look(wide)


def _waves(y: NDArray[np.float64], x: NDArray[np.float64], period_px: float) -> NDArray[np.float64]:
    """Columns of a square net, and a little noise, as frames have it."""
    net = np.cos(2 * np.pi * y / period_px) + np.cos(2 * np.pi * x / period_px)
    noise = np.random.default_rng(0).normal(0.0, 0.3, net.shape)
    drawn: NDArray[np.float64] = np.exp(net) + noise
    return drawn
