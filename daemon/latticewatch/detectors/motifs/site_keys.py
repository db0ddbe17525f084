"""Which looks at defects are of the same site, and how many sites there are."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

BETWEEN_SITES: Final = -1
"""Sublattice of what stands on none."""
STEPS: Final = 4
"""Of a cell along either vector, in which a place between sites is counted."""


class SiteKey(NamedTuple):
    """What makes a site another one.

    Attributes
    ----------
    chain
        Number of a chain of frames.
    domain
        Number of a domain in it.
    i, j
        Cell; of a place between sites its cell coordinates in `STEPS` of a cell.
    sublattice
        `BETWEEN_SITES` where the place is on none.
    """

    chain: int
    domain: int
    i: int
    j: int
    sublattice: int


def most_sites(keys: Iterable[SiteKey]) -> int:
    """Count the different sites of keys, in the chain of frames that has most of them."""
    counts: Counter[int] = Counter()
    between: set[SiteKey] = set()
    for key in sorted(set(keys)):
        if key.sublattice == BETWEEN_SITES:
            # A place at the border of two steps is now in one, now in the other.
            around = (
                key._replace(i=key.i + i, j=key.j + j) for i in (-1, 0, 1) for j in (-1, 0, 1)
            )
            if not between.isdisjoint(around):
                continue
            between.add(key)
        counts[key.chain] += 1
    return max(counts.values(), default=0)
