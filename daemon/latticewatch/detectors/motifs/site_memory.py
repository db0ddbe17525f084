"""What each site has shown so far: a mean, and apart from it the frames that are in doubt."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

MEMORY_FRAMES: Final = 64  # whose mean a site is; later ones replace the older slowly


@dataclass(slots=True)
class SiteMemory:
    """What is known of each site; rows in order of their keys.

    Attributes
    ----------
    key
        Of the address.
    mean : (S, C)
        Over `n` frames.
    doubt : (S, C)
        Over the `n_doubt` frames that show something else.
    listed, was_listed
        A detector listed the site in one of those; in one of the frames of the mean.
    seen
        Last frame, by the clock of the follower.
    """

    key: NDArray[np.int64]
    mean: NDArray[np.float64]
    n: NDArray[np.float64]
    doubt: NDArray[np.float64]
    n_doubt: NDArray[np.int64]
    listed: NDArray[np.bool_]
    was_listed: NDArray[np.bool_]
    seen: NDArray[np.int64]

    @classmethod
    def none(cls, n_components: int) -> Self:
        """Of components of this number; no site is known."""
        empty = np.empty((0, n_components))
        counts = np.empty(0, np.int64)
        no = np.empty(0, bool)
        return cls(counts, empty, np.empty(0), empty.copy(), counts.copy(), no, no.copy(), counts)

    def enter(
        self, keys: NDArray[np.int64], values: NDArray[np.float64], clock: int
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Rows of these sites, and which of them were known before."""
        at = np.searchsorted(self.key, keys)
        known = at < len(self.key)
        known[known] = self.key[at[known]] == keys[known]
        if not known.all():
            self._take_in(keys[~known], values[~known])
            at = np.searchsorted(self.key, keys)
        self.seen[at] = clock
        return at, known

    def _take_in(self, keys: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        n = len(keys)
        whole = np.concatenate([self.key, keys])
        order = np.argsort(whole, kind="stable")
        self.key = whole[order]
        self.mean = np.concatenate([self.mean, values])[order]
        self.n = np.concatenate([self.n, np.ones(n)])[order]
        self.doubt = np.concatenate([self.doubt, np.zeros_like(values)])[order]
        self.n_doubt = np.concatenate([self.n_doubt, np.zeros(n, np.int64)])[order]
        self.listed = np.concatenate([self.listed, np.zeros(n, bool)])[order]
        self.was_listed = np.concatenate([self.was_listed, np.zeros(n, bool)])[order]
        self.seen = np.concatenate([self.seen, np.zeros(n, np.int64)])[order]

    def absorb(
        self, at: NDArray[np.intp], values: NDArray[np.float64], listed: NDArray[np.bool_]
    ) -> None:
        """Count a frame in that shows these sites as they were."""
        self.n[at] = np.minimum(self.n[at] + 1, MEMORY_FRAMES)
        self.mean[at] += (values - self.mean[at]) / self.n[at][:, None]
        self.was_listed[at] |= listed
        self.drop_doubt(at)

    def drop_doubt(self, at: NDArray[np.intp]) -> None:
        """Forget the frames that were in doubt."""
        self.n_doubt[at], self.listed[at] = 0, False

    def note_doubt(
        self, at: NDArray[np.intp], values: NDArray[np.float64], listed: NDArray[np.bool_]
    ) -> None:
        """Keep apart a frame that shows these sites otherwise."""
        first = self.n_doubt[at] == 0
        self.doubt[at[first]] = 0.0
        self.n_doubt[at] += 1
        self.doubt[at] += (values - self.doubt[at]) / self.n_doubt[at][:, None]
        self.listed[at] |= listed

    def settle(self, site: int) -> None:
        """Take the doubted frames for what the site is."""
        self.mean[site], self.n[site] = self.doubt[site], self.n_doubt[site]
        self.was_listed[site] = self.listed[site]
        self.n_doubt[site], self.listed[site] = 0, False

    def forget_before(self, clock: int) -> None:
        """Forget sites that have been out of view since then."""
        kept = self.seen >= clock
        if kept.all():
            return
        self.key, self.mean, self.n = self.key[kept], self.mean[kept], self.n[kept]
        self.doubt, self.n_doubt = self.doubt[kept], self.n_doubt[kept]
        self.listed, self.was_listed = self.listed[kept], self.was_listed[kept]
        self.seen = self.seen[kept]
