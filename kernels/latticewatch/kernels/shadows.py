"""Which sites are no stranger than what a stranger one leaves around it."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.kernels.jit import kernel


@kernel
def mark_shadows(
    scores: NDArray[np.float64],
    places: NDArray[np.float64],
    strong: NDArray[np.int64],
    reach_px: float,
    share: float,
    shadow: NDArray[np.bool_],
) -> None:
    """Mark the sites near some strong ones whose scores are below a share of theirs.

    Parameters
    ----------
    scores : (N,)
        A NaN is in no shadow, and casts none.
    places : (N, 2)
        [y, x] in pixels; a NaN is near to nothing.
    strong : (M,)
        Rows of those that may cast a shadow.
    reach_px
        Nearer than this is near.
    share
        Of the strong one's score.
    shadow : (N,)
        Receives True; what was marked before stays so.
    """
    reach_squared = reach_px * reach_px
    y, x = places[:, 0], places[:, 1]
    for caster in strong:
        limit = share * scores[caster]
        y_px, x_px = y[caster], x[caster]
        for site in range(len(scores)):
            down, right = y[site] - y_px, x[site] - x_px
            near = down * down + right * right < reach_squared
            # No branch, so that sites are looked at side by side.
            shadow[site] |= near & (scores[site] < limit)
