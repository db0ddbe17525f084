"""The view that a model of scheme one wants of a frame, and the columns where it redraws them."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lock import LatticeLock, own_lock
from latticewatch.detectors.patterson.dopants import ColumnFinder, Columns
from latticewatch.detectors.patterson.features import Picture
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.view import SiteRule, View


class PattersonFinder:
    """Prepares frames for a model, in buffers that it keeps.

    Parameters
    ----------
    rule
        How sites are found.
    image
        What windows are cut from: the "frame", or its "columns" redrawn.
    """

    def __init__(self, rule: SiteRule, image: Picture = "frame") -> None:
        self._sites = SiteFinder(rule)
        self._columns = ColumnFinder(rule) if image == "columns" else None

    def prepare(
        self, pixels: NDArray[np.float32], lock: LatticeLock | None = None
    ) -> tuple[View, Columns | None]:
        """Find the sites of a frame, and the columns if they are redrawn.

        Parameters
        ----------
        pixels : (H, W)
            Finite, native, C order.
        lock
            Of this frame. Columns cannot be redrawn without: it is made here, if it is not given.

        Returns
        -------
        View, Columns or None
            Where the frame has no lattice, the view of its extrema.
        """
        if self._columns is None:
            return self._sites.prepare(pixels, lock), None
        lock = lock if lock is not None else own_lock(pixels)
        if lock is None:
            return self._sites.prepare(pixels), None
        return self._columns.prepare(pixels, lock)
