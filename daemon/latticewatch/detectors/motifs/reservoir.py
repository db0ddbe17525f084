"""Defects that no class of a model fits, and the classes that groups of them propose.

A group is proposed where enough of them, at different sites, agree within what sites of one class
differ by. A lone defect, seen however often, is none: addresses mean nothing from one chain of
frames to the next, so that sites are counted within one chain.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from latticewatch.detectors.motifs.site_keys import SiteKey, most_sites

FIRST_PROPOSED_ID: Final = 1_000_000
"""Ids of proposed classes: none that a fit gives to a lasting one."""
MOST_PROPOSED: Final = 16

# Entries kept, and bytes of their patches: 33 x 33 pixels are 8.7 MB in a thousand.
MOST_ENTRIES: Final = 1000
_MOST_BYTES: Final = 16_000_000
# Of the entries nearest to one, those within this chance belong to its group, as in `reject_chi2`.
_P_MEMBER = 1e-3
_MOST_ROUNDS = 20  # of mean and members; the groups of the tests settle within 4
# The mean of a group must be farther from all classes than what they reject by so many sigma: just
# beyond the limit lie the tails of the classes themselves.
_CLEAR_SIGMAS = 1.0
_PRIOR = 7.0  # sites that the covariance of the known classes counts for beside that of the group


@dataclass(frozen=True, slots=True)
class Reject:
    """A defect that no class fits, or that belongs to a proposed one.

    Attributes
    ----------
    key
        Of its site.
    z : (C,)
        Components.
    kind
        Word of the protocol.
    intensity_ratio
        None where nobody knows it.
    patch : (side, side)
        In the unit of the model.
    """

    key: SiteKey
    z: NDArray[np.float64]
    kind: str
    intensity_ratio: float | None
    patch: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ProposedClass:
    """A class that a stream proposes.

    Attributes
    ----------
    class_id
        From `FIRST_PROPOSED_ID` on; stays from proposal to proposal.
    name, kind, intensity_ratio, sublattice
        As most of its members have them; the sublattice is -1 where they are on several.
    mean : (C,)
        Of the sites.
    covariance : (C, C)
        Of a site.
    n_sites
        Members in the chain of frames that has most of them.
    patch : (side, side)
        Mean over all their looks.
    nearest
        Row of the known class that is nearest.
    distance
        To it, Mahalanobis.
    """

    class_id: int
    name: str
    kind: str
    intensity_ratio: float | None
    sublattice: int
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    n_sites: int
    patch: NDArray[np.float32]
    nearest: int
    distance: float


class KnownClasses(Protocol):
    """What is read of a model."""

    @property
    def means(self) -> NDArray[np.floating]:
        """(K, C)."""
        ...

    @property
    def covariances(self) -> NDArray[np.floating]:
        """(K, C, C)."""
        ...

    @property
    def reject_chi2(self) -> float:
        """Squared distance beyond which no class fits."""
        ...


@dataclass(slots=True)
class _Entry:
    """One site: sums over its looks."""

    z: NDArray[np.float64]
    patch: NDArray[np.float64]
    n: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ratios: list[float] = field(default_factory=list)

    def add(self, reject: Reject) -> None:
        self.z += reject.z
        self.patch += reject.patch
        self.n += 1
        self.kinds[reject.kind] += 1
        if reject.intensity_ratio is not None and len(self.ratios) < 16:
            self.ratios.append(reject.intensity_ratio)


class Reservoir:
    """Collects rejects and proposes classes; belongs to one thread.

    Parameters
    ----------
    model
        Whose classes do not fit.
    propose_after
        Sites that must agree.
    """

    def __init__(self, model: KnownClasses, *, propose_after: int = 5) -> None:
        self._means = np.asarray(model.means, np.float64)
        covariances = np.asarray(model.covariances, np.float64)
        self._covariance = covariances.mean(axis=0)
        self._to_white = _whitening(self._covariance)
        self._inverses = np.linalg.inv(covariances)
        self._reject = float(model.reject_chi2)
        self._next_id = FIRST_PROPOSED_ID
        self._propose_after = propose_after
        self._entries: dict[SiteKey, _Entry] = {}
        self._proposed: list[ProposedClass] = []
        # Two of a class differ by twice its covariance.
        self._same = 2.0 * float(chdtri(self._means.shape[1], _P_MEMBER))
        self._member = float(chdtri(self._means.shape[1], _P_MEMBER))

    @property
    def n_sites(self) -> int:
        """Sites in it."""
        return len(self._entries)

    def add(self, rejects: Sequence[Reject]) -> None:
        """Take in what a frame shows; of too many, the sites not seen longest go."""
        for reject in rejects:
            # Taken out and put in again, so that the order is that of the last look.
            entry = self._entries.pop(reject.key, None)
            if entry is None:
                entry = _Entry(np.zeros_like(reject.z), np.zeros(reject.patch.shape))
            entry.add(reject)
            self._entries[reject.key] = entry
        while len(self._entries) > self._most():
            del self._entries[next(iter(self._entries))]

    def propose(self) -> tuple[ProposedClass, ...]:
        """Tell the classes that are proposed, in order of id; those of before keep theirs.

        One that lost all its members is none any more, and its id is never given again.
        """
        keys = sorted(self._entries)
        if not keys:
            return ()
        entries = [self._entries[key] for key in keys]
        z = np.array([entry.z / entry.n for entry in entries])
        white = z @ self._to_white
        free = np.ones(len(keys), bool)
        kept = []
        for known in self._proposed:
            members = self._around(white, known.mean @ self._to_white, free)
            if not len(members):
                continue
            free[members] = False
            told = None
            if self._n_sites(keys, members) >= self._propose_after:
                told = self._told(known.class_id, keys, entries, members)
            kept.append(told or known)
        self._proposed = kept
        groups = self._groups(white, free, keys)
        while len(kept) < MOST_PROPOSED and (found := next(groups, None)) is not None:
            told = self._told(self._next_id, keys, entries, found)
            if told is not None:
                kept.append(told)
                self._next_id += 1
        return tuple(kept)

    def _most(self) -> int:
        """How many sites there is room for."""
        first = next(iter(self._entries.values()))
        return min(MOST_ENTRIES, max(1, _MOST_BYTES // max(first.patch.nbytes, 1)))

    @staticmethod
    def _n_sites(keys: list[SiteKey], members: NDArray[np.intp]) -> int:
        return most_sites([keys[row] for row in members.tolist()])

    def _groups(
        self, white: NDArray[np.float64], free: NDArray[np.bool_], keys: list[SiteKey]
    ) -> Iterator[NDArray[np.intp]]:
        """Members of each group among the free entries that is large enough, the densest first."""
        rows = np.flatnonzero(free)
        squared = np.square(white[rows]).sum(axis=1)
        near = squared[:, None] + squared - 2.0 * (white[rows] @ white[rows].T) < self._same
        free, left = free.copy(), np.ones(len(rows), bool)
        while True:
            company = np.where(left, (near & left).sum(axis=1), 0)
            if not len(rows) or company.max() < self._propose_after:
                return
            seed = int(company.argmax())
            middle = np.median(white[rows[near[seed] & left]], axis=0)
            members = self._around(white, middle, free)
            left[seed] = False
            if len(members) >= self._propose_after:
                # Looks at too few sites are not asked again one by one.
                left &= ~np.isin(rows, members)
            if self._n_sites(keys, members) >= self._propose_after:
                free[members] = False
                yield members

    def _around(
        self, white: NDArray[np.float64], middle: NDArray[np.float64], free: NDArray[np.bool_]
    ) -> NDArray[np.intp]:
        """Free entries about a place, which follows their mean until they stay the same."""
        members = np.empty(0, np.intp)
        for _ in range(_MOST_ROUNDS):
            off = np.square(white - middle).sum(axis=1)
            found = np.flatnonzero(free & (off < self._member))
            if not len(found) or np.array_equal(found, members):
                return found
            members, middle = found, white[found].mean(axis=0)
        return members

    def _told(
        self, class_id: int, keys: list[SiteKey], entries: list[_Entry], members: NDArray[np.intp]
    ) -> ProposedClass | None:
        """Describe a group; None where it may be the tail of a class that is known."""
        own = [entries[row] for row in members.tolist()]
        z = np.array([entry.z / entry.n for entry in own])
        mean = z.mean(axis=0)
        off = self._means - mean
        distance2 = np.einsum("kc,kcd,kd->k", off, self._inverses, off)
        nearest = int(distance2.argmin())
        distance = float(np.sqrt(distance2[nearest]))
        if distance < np.sqrt(self._reject) + _CLEAR_SIGMAS:
            return None
        scatter = (z - mean).T @ (z - mean)
        covariance = (scatter + _PRIOR * self._covariance) / (len(own) - 1 + _PRIOR)
        kind = _commonest(entry.kinds for entry in own)
        ratios = [ratio for entry in own for ratio in entry.ratios]
        labels = {keys[row].sublattice for row in members.tolist()}
        n_looks = sum(entry.n for entry in own)
        return ProposedClass(
            class_id=class_id,
            name=f"new {kind} {class_id}",
            kind=kind,
            intensity_ratio=float(np.mean(ratios)) if ratios else None,
            sublattice=labels.pop() if len(labels) == 1 else -1,
            mean=mean,
            covariance=covariance,
            n_sites=self._n_sites(keys, members),
            patch=(np.sum([entry.patch for entry in own], axis=0) / n_looks).astype(np.float32),
            nearest=nearest,
            distance=distance,
        )


def _commonest(counts: Iterable[Counter[str]]) -> str:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    # By name where two are equal: the same frames give the same name.
    return min(total, key=lambda word: (-total[word], word))


def _whitening(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, axes = np.linalg.eigh(covariance)
    floor = max(float(values.max()), 1e-300) * 1e-9
    white: NDArray[np.float64] = axes / np.sqrt(np.maximum(values, floor))
    return white
