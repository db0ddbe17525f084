"""What physics says about a class: its role, its kind and a name that a user may change.

The central column of a class is compared with that of the pristine sites of its sublattice. A
class that stands beside another one, and is disturbed less at its centre, is its neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from latticewatch.detectors.motifs.clusters import Sample
from latticewatch.detectors.motifs.displacement import displacement_of

Labels = NDArray[np.intp]
Patches = NDArray[np.float32]

_VACANCY_BELOW = 0.35  # as in the events of the daemon
# Two sublattices share a class, as in graphene, if the lesser has such a part of its sites.
_SHARED = 0.2
_MOSTLY_BESIDE = 0.6  # of the members of a neighbour class; chance puts a few there
_SIGNIFICANT = 4.0  # standard errors
# A deficit or an excess of less than this may come from tails of the columns around.
_LEAST_CHANGE = 0.06
_TAIL_SIGMA = 2.0
_NO_KIND = ("none", "unknown")
_MOST_NAMED = 2  # defects in the name of their neighbour
_CORE_SIGMA = 1.5  # radius in which a column is measured
# Dipole of a column that is displaced by so many of its widths.
_LEAST_SHIFT = 0.15


@dataclass(frozen=True, slots=True)
class ColumnScale:
    """What the pristine columns look like, in the unit of the patches.

    Attributes
    ----------
    heights : (S,)
        Of the column of each sublattice, above zero.
    sigma_px
        Width of the columns.
    """

    heights: NDArray[np.float64]
    sigma_px: float


@dataclass(frozen=True, slots=True)
class ClassName:
    """What a class is.

    Attributes
    ----------
    role
        "pristine", "defect" or "neighbour".
    kind
        Word of the protocol: "none" for pristine sites and neighbours, else "vacancy", "deficit",
        "excess", "displaced" or "unknown".
    sublattice
        -1 for several.
    intensity_ratio
        Of the central column to that of pristine sites; 1 for these.
    stands_beside
        Classes (rows) of the defects that members are neighbours of.
    automatic_name
        Unique among the classes.
    """

    role: str
    kind: str
    sublattice: int
    intensity_ratio: float
    stands_beside: tuple[int, ...]
    automatic_name: str


@dataclass(frozen=True, slots=True)
class _Core:
    """Central column of a class against that of pristine sites: ratio, its error, displacement."""

    ratio: float
    error: float
    shift: float


def name_classes(
    given: Sample,
    labels: Labels,
    patches: Patches,
    patch_errors: Patches,
    columns: ColumnScale,
    dipoles: NDArray[np.float64],
) -> list[ClassName]:
    """Name every class.

    Parameters
    ----------
    given
        The sites that were sorted.
    labels : (N,)
        Their classes, the largest first; -1 for none.
    patches, patch_errors : (K, side, side)
        Class averages and their standard errors, from `mean_patches`.
    columns
        Of the pristine crystal.
    dipoles : (N, 2)
        Of the columns of all sites, from `column_dipoles`.
    """
    n_classes = len(patches)
    home = [_home(given.sublattice[labels == one]) for one in range(n_classes)]
    pristine = _pristine(labels, given.sublattice)
    ordinary = set(pristine.values())
    cores = []
    for one in range(n_classes):
        label = _main(given.sublattice[labels == one])
        shift = displacement_of(labels == one, labels == pristine[label], dipoles)
        core = _core(patches[one] - patches[pristine[label]], patch_errors[one], columns, shift)
        cores.append(_scaled(core, columns.heights[label]))
    # A defect beyond the edge of a patch still reaches into it, displaced towards it all the more.
    reach_px = (patches.shape[1] - 1) / 2 + _TAIL_SIGMA * columns.sigma_px
    beside = _beside(given, labels, ordinary, cores, reach_px)
    roles, kinds = _roles(ordinary, beside, cores)
    own = [_word(one, pristine, home[one], kinds[one], cores[one]) for one in range(n_classes)]
    words = _words(own, roles, beside, home)
    ratios = [
        1.0 if role == "pristine" else core.ratio for role, core in zip(roles, cores, strict=True)
    ]
    rows = zip(roles, kinds, home, ratios, beside, words, strict=True)
    return [ClassName(*row) for row in rows]


def sublattice_letter(label: int) -> str:
    """Name a sublattice: A has the highest column of the cell, B the next.

    Examples
    --------
    >>> sublattice_letter(1)
    'B'
    """
    return "any site" if label < 0 else chr(ord("A") + label)


def _roles(
    ordinary: set[int], beside: Sequence[tuple[int, ...]], cores: Sequence[_Core]
) -> tuple[list[str], list[str]]:
    """Role and kind of each class, in the words of `ClassName`."""
    kinds = [
        "none" if one in ordinary or beside[one] else _kind(core) for one, core in enumerate(cores)
    ]
    # A sound column that is where it should be has its defect elsewhere, if no class tells where.
    roles = [
        "pristine" if one in ordinary else "neighbour" if kind in _NO_KIND else "defect"
        for one, kind in enumerate(kinds)
    ]
    kinds = [kind if role == "defect" else "none" for role, kind in zip(roles, kinds, strict=True)]
    return roles, kinds


def _home(sublattice: Labels) -> int:
    """Sublattice of the members, -1 for several."""
    counts = np.sort(np.bincount(sublattice))[::-1]
    shared = len(counts) > 1 and counts[1] > _SHARED * counts.sum()
    return -1 if shared else _main(sublattice)


def _main(sublattice: Labels) -> int:
    return int(np.bincount(sublattice).argmax())


def _pristine(labels: Labels, sublattice: Labels) -> dict[int, int]:
    """Most populous class of each sublattice."""
    out = {}
    for label in np.unique(sublattice):
        held = labels[(sublattice == label) & (labels >= 0)]
        out[int(label)] = int(np.bincount(held).argmax()) if len(held) else 0
    return out


def _core(difference: Patches, errors: Patches, columns: ColumnScale, shift: float) -> _Core:
    """Fit a column to the difference from the pristine patch."""
    side = difference.shape[0]
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(y, x)
    inside = radius <= max(_CORE_SIGMA * columns.sigma_px, 1.5)
    bell = np.exp(-0.5 * np.square(radius / columns.sigma_px))[inside]
    power = float(np.square(bell).sum())
    amplitude = float((difference[inside].astype(np.float64) * bell).sum()) / power
    variance = np.nan_to_num(np.square(errors.astype(np.float64)))[inside]
    error = float(np.sqrt((variance * np.square(bell)).sum())) / power
    return _Core(amplitude, error, shift)


def _scaled(core: _Core, height: float) -> _Core:
    ratio = max(0.0, 1.0 + core.ratio / height)
    return _Core(ratio, core.error / height, core.shift / height)


def _beside(
    given: Sample,
    labels: Labels,
    pristine: set[int],
    cores: Sequence[_Core],
    reach_px: float,
) -> list[tuple[int, ...]]:
    """Classes of the defects that each class is the neighbour of; empty for defects.

    Linked by place: most members have a site of the other class so near that it reaches into their
    patch, and are themselves disturbed less at the centre than that one.
    """
    n_classes = len(cores)
    touches = _touches(given, labels, n_classes, reach_px)
    strength = [abs(core.ratio - 1.0) + core.shift for core in cores]
    out: list[tuple[int, ...]] = []
    for one in range(n_classes):
        found: list[int] = []
        if one not in pristine:
            members = touches[labels == one]
            others = [k for k in range(n_classes) if k not in pristine and k != one]
            stronger = [k for k in others if strength[k] > strength[one]]
            if stronger and members[:, stronger].any(axis=1).mean() >= _MOSTLY_BESIDE:
                share = members[:, stronger].mean(axis=0)
                found = [k for k, part in zip(stronger, share, strict=True) if part > _SHARED]
        out.append(tuple(found))
    return [tuple(sorted(_roots(one, out))) for one in range(n_classes)]


def _roots(one: int, beside: list[tuple[int, ...]]) -> set[int]:
    """Defects at the end of a chain of neighbours: shells round a defect are beside the defect."""
    found: set[int] = set()
    # Each is stronger than the one before it, so no chain is a ring.
    for other in beside[one]:
        found |= _roots(other, beside) if beside[other] else {other}
    return found


def _touches(given: Sample, labels: Labels, n_classes: int, reach_px: float) -> NDArray[np.bool_]:
    """Whether a site of each class is near each site, (N, K)."""
    out = np.zeros((len(labels), n_classes), bool)
    apart = np.column_stack([given.places_yx / reach_px, 2.0 * given.frame])
    pairs = cKDTree(apart).query_pairs(1.0, output_type="ndarray")
    for one, other in (pairs.T, pairs.T[::-1]):
        held = labels[other] >= 0
        out[one[held], labels[other[held]]] = True
    return out


def _kind(core: _Core) -> str:
    """Word of the protocol for a defect."""
    change = core.ratio - 1.0
    if abs(change) > max(_LEAST_CHANGE, _SIGNIFICANT * core.error) and abs(change) > core.shift:
        if change > 0:
            return "excess"
        return "vacancy" if core.ratio < _VACANCY_BELOW else "deficit"
    return "displaced" if core.shift > _LEAST_SHIFT else "unknown"


def _word(one: int, pristine: dict[int, int], home: int, kind: str, core: _Core) -> str:
    if one in pristine.values():
        return " and ".join(sublattice_letter(s) for s, k in sorted(pristine.items()) if k == one)
    where = sublattice_letter(home)
    if kind in ("deficit", "excess"):
        return f"{kind} on {where} ({core.ratio:.2f})"
    return f"{kind} on {where}"


def _words(
    own: list[str], roles: list[str], beside: list[tuple[int, ...]], home: list[int]
) -> list[str]:
    """Names of all classes: neighbours are called by the defects that they stand beside."""
    words = _unique(own, home)
    for one, role in enumerate(roles):
        if role == "neighbour":
            words[one] = _beside_what([words[other] for other in beside[one]], home[one])
    return _unique(words, home)


def _beside_what(defects: list[str], home: int) -> str:
    if not defects:
        return f"{sublattice_letter(home)} in disturbed surroundings"
    if len(defects) > _MOST_NAMED:
        return "beside several defects"
    return "beside " + " or ".join(defects)


def _unique(words: list[str], home: list[int]) -> list[str]:
    """Tell equal names apart: first by sublattice, then by number."""
    out = list(words)
    for one, word in enumerate(words):
        if words.count(word) > 1 and word.startswith("beside"):
            out[one] = f"{sublattice_letter(home[one])} {word}"
    seen: dict[str, int] = {}
    for one, word in enumerate(out):
        seen[word] = seen.get(word, 0) + 1
        if seen[word] > 1:
            out[one] = f"{word}, {seen[word]}"
    return out
