"""Sites followed by their lattice address: what each has been so far, and which ones change.

A single frame is too noisy to say it. A site has changed where the mean of its last frames is
farther from all it showed before than the noise between frames explains, and of another class.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri

from latticewatch.detectors.motifs.site_memory import SiteMemory


class Classes(Protocol):
    """What is asked of the classes of a model; the answers may change from frame to frame."""

    def classify(self, z: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Row of the class of components (N, C), negative where none fits, and its p."""
        ...

    def mean_of(self, row: int) -> NDArray[np.float64]:
        """Components (C,) of a class."""
        ...


NEW = -1  # as in `score.py`, which takes components from frames, and this one does not
# One frame alone may lie: a change is told with the second that shows it, at the latest the third.
_FRAMES_SURE = 2
_FRAMES_SURE_OF_NEW = 3  # a mean of both classes is of neither
_FRAMES_OF_A_DOUBT = 8  # that never became a change: then it is what the site is like
_HISTORY = 2  # frames before a change that there must be
_FORGOTTEN_AFTER = 32  # frames out of view
# Chance that a site is looked at more closely, and of a false change in a frame of any size, both
# of a normal law. The second demand, another class, comes on top.
_P_DOUBT = 1e-2
_P_FALSE = 1e-4
_ENOUGH_FOR_SCALE = 500  # of more, every second, third, ...
_FEWEST_FOR_SCALE = 12  # sites of a sublattice that can say how noisy this frame is
_MOST_WAYS = 30  # from a class to others: each is a chance of a false one
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Transition:
    """A site that is of another class than before.

    Attributes
    ----------
    address
        Cell along a, cell along b, sublattice.
    before, after
        Rows of the classes, -1 for new.
    p
        Probability of the class after.
    row
        Of the site in what was given.
    """

    address: tuple[int, int, int]
    before: int
    after: int
    p: float
    row: int


class SiteFollower:
    """Follows the sites of one lattice; a lattice that is found anew needs a new follower.

    Parameters
    ----------
    noise_covariance : (C, C)
        Of the components of one site from frame to frame, up to a factor: each frame tells how
        noisy it is.
    """

    def __init__(self, noise_covariance: NDArray[np.float64]) -> None:
        values, axes = np.linalg.eigh(np.asarray(noise_covariance, np.float64))
        floor = max(float(values.max()), 1e-300) * 1e-9
        root = np.sqrt(np.maximum(values, floor))
        self._to_noise, self._from_noise = axes / root, (axes * root).T
        n_components = len(values)
        self._sites = SiteMemory.none(n_components)
        self._limit_doubt = float(chdtri(n_components, _P_DOUBT))
        self._clock = 0

    @property
    def n_sites(self) -> int:
        """Sites that are remembered."""
        return len(self._sites.key)

    def see(
        self,
        addresses: NDArray[np.int64],
        z: NDArray[np.float64],
        scored: NDArray[np.bool_],
        classes: Classes,
        *,
        found: NDArray[np.bool_] | None = None,
        plain: frozenset[int] = frozenset(),
    ) -> list[Transition]:
        """Take up a frame and tell which sites have changed, each once.

        Parameters
        ----------
        addresses : (N, 3)
            Cell along a, cell along b, sublattice; none twice.
        z : (N, C)
            Components of each site; those that were not scored are not looked at.
        scored : (N,)
            Sites that the frame shows.
        classes
            Say of mean components which class they are; others may have come since the last frame.
        found : (N,)
            Sites that a detector lists. A site that no class fits any more is told only if it is
            one: the neighbours of an unknown defect change, too.
        plain
            Rows of classes that are no defects. A site that goes from one to another is not told.
        """
        self._clock += 1
        rows = np.flatnonzero(scored)
        if not len(rows):
            return []
        values = np.ascontiguousarray(z[rows], np.float64)
        listed = np.zeros(len(rows), bool) if found is None else found[rows]
        at, known = self._sites.enter(address_keys(addresses[rows]), values, self._clock)
        sites = self._sites
        widened = np.sqrt(1 + 1 / sites.n[at])[:, None]
        moved = (values - sites.mean[at]) @ self._to_noise
        shift, scale = _of_the_frame(moved, widened, addresses[rows, 2], known)
        # What a whole sublattice shares is the microscope's doing, not the site's.
        own = values - shift @ self._from_noise
        off = np.square((moved - shift) / scale).sum(axis=1)
        doubt = off / np.square(widened[:, 0]) > self._limit_doubt
        # Once in doubt, a site stays so while it is nearer to what was new than to what it was.
        to_doubt = np.square((own - sites.doubt[at]) @ self._to_noise / scale).sum(axis=1)
        in_doubt = sites.n_doubt[at] > 0
        doubt = known & (doubt | (in_doubt & (to_doubt < off)))
        # Two frames that agree neither with the past nor with each other: the second begins anew.
        apart = to_doubt > self._limit_doubt * (1 + 1 / np.maximum(sites.n_doubt[at], 1))
        sites.drop_doubt(at[in_doubt & apart])
        calm = known & ~doubt
        sites.absorb(at[calm], values[calm], listed[calm])
        sites.note_doubt(at[doubt], own[doubt], listed[doubt])
        law = _Law(classes, plain, _P_FALSE / len(rows))
        told = self._changes(at[doubt], scale[doubt], law)
        self._sites.forget_before(self._clock - _FORGOTTEN_AFTER)
        given = dict(zip(at[doubt].tolist(), rows[doubt].tolist(), strict=True))
        return [_transition(addresses, given[site], change) for site, change in told.items()]

    def _changes(
        self,
        at: NDArray[np.intp],
        scale: NDArray[np.float64],
        law: "_Law",
    ) -> dict[int, tuple[int, int, float]]:
        """Classes before and after, and p, of the doubted sites that have changed; by row."""
        sites = self._sites
        ready = (sites.n_doubt[at] >= _FRAMES_SURE) & (sites.n[at] >= _HISTORY)
        at, scale = at[ready], scale[ready]
        if not len(at):
            return {}
        moved = (sites.doubt[at] - sites.mean[at]) @ self._to_noise / scale
        moved /= np.sqrt(1 / sites.n_doubt[at] + 1 / sites.n[at])[:, None]
        before, _ = law.classes.classify(sites.mean[at])
        after, p_after = law.classes.classify(sites.doubt[at])
        sure = law.is_sure(moved, self._to_noise / scale[:, None], before, after)
        # 1. New, and no detector lists it, or too few frames to tell it from the way to a class:
        #    waits, but not for ever.
        # 2. Sure, and of another class: told, unless it only stands beside what changed.
        # 3. Sure, and of the same class, or both plain: the site is like that now.
        changed: dict[int, tuple[int, int, float]] = {}
        for k, site in enumerate(at.tolist()):
            old, new = int(before[k]), int(after[k])
            waits = new < 0 and (
                not sites.listed[site] or sites.n_doubt[site] < _FRAMES_SURE_OF_NEW
            )
            if sure[k] and not waits:
                if law.is_told(old, new, was_listed=bool(sites.was_listed[site])):
                    changed[site] = (old, new, float(p_after[k]))
                sites.settle(site)
            elif sites.n_doubt[site] >= _FRAMES_OF_A_DOUBT:
                sites.settle(site)
        return changed


@dataclass(frozen=True, slots=True)
class _Law:
    """What a change is judged by: classes, those that are no defects, chance of a false one."""

    classes: Classes
    plain: frozenset[int]
    p_false: float

    def is_told(self, before: int, after: int, *, was_listed: bool) -> bool:
        """Whether a change is one of the site: from a defect, or to one."""
        was_plain = before in self.plain or (before < 0 and not was_listed)
        return before != after and not (was_plain and after in self.plain)

    def is_sure(
        self,
        moved: NDArray[np.float64],
        to_sigma: NDArray[np.float64],
        before: NDArray[np.intp],
        after: NDArray[np.intp],
    ) -> NDArray[np.bool_]:
        """Whether changes (N, C), in sigma, are more than noise; `to_sigma` is (N, C, C).

        Between two classes only the way from one to the other counts: five components in which
        noise may go astray cost a fifth of the evidence.
        """
        limit = float(chdtri(moved.shape[1], self.p_false))
        sure: NDArray[np.bool_] = np.square(moved).sum(axis=1) > limit
        along_limit = float(-ndtri(self.p_false / _MOST_WAYS))
        for k in np.flatnonzero((before >= 0) & (after >= 0) & (before != after)).tolist():
            way = self.classes.mean_of(int(after[k])) - self.classes.mean_of(int(before[k]))
            way = way @ to_sigma[k]
            sure[k] = moved[k] @ way > along_limit * np.linalg.norm(way)
        return sure


def address_keys(addresses: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn each address (N, 3) into one number; 24 bits for a cell along either vector."""
    cells = (addresses[:, :2] + (1 << 23)) & 0xFFFFFF
    keys: NDArray[np.int64] = (addresses[:, 2] << 48) | (cells[:, 0] << 24) | cells[:, 1]
    return keys


def _of_the_frame(
    moved: NDArray[np.float64],
    widened: NDArray[np.float64],
    sublattice: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure what all sites of a sublattice do in this frame, and how far they scatter, (N, C)."""
    shift, scale = np.zeros_like(moved), np.ones_like(moved)
    groups = [sublattice == label for label in np.unique(sublattice)]
    spoken = [own for own in groups if np.count_nonzero(own & known) >= _FEWEST_FOR_SCALE]
    # Sublattices too small to speak for themselves: all sites speak for them.
    left = np.ones(len(moved), bool)
    for own in spoken:
        left &= ~own
    for members, sample in (*((own, own & known) for own in spoken), (left, known)):
        rows = np.flatnonzero(sample)
        if len(rows) < _FEWEST_FOR_SCALE or not members.any():
            continue
        rows = rows[:: 1 + len(rows) // _ENOUGH_FOR_SCALE]
        middle = np.median(moved[rows], axis=0)
        off = np.abs(moved[rows] - middle) / widened[rows]
        shift[members] = middle
        scale[members] = np.maximum(_MAD_TO_SIGMA * np.median(off, axis=0), 1e-12)
    return shift, scale


def _transition(
    addresses: NDArray[np.int64], row: int, change: tuple[int, int, float]
) -> Transition:
    i, j, label = addresses[row].tolist()
    return Transition((i, j, label), *change, row)
