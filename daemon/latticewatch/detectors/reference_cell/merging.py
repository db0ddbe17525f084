"""Columns that are wrong together are one defect, and a bump beside a damaged column is none."""

import numpy as np

from latticewatch.detectors.reference_cell.explain import Change
from latticewatch.detectors.reference_cell.residue import Residue
from latticewatch.kernels.peers import group_near

# In distances between nearest columns.
_PAIR = 1.25  # neighbours that are wrong together are one defect, like a divacancy
_CHAIN = 1.9
_MOST_OF_ONE = 3
_LONGEST_CLUSTER = 5  # more in a chain are a line or a patch, and every column is listed
_PAIR_SHARE = 0.3
_ALONG = 0.7  # cosine
_STILL_TWO = 0.75  # nearer than this two fits have found one column


def merged(changes: list[Change], residue: Residue) -> list[Change]:
    """Make one of neighbouring columns that are wrong in the same way, unless they form a line.

    Parameters
    ----------
    changes
        From `explain`.
    residue
        That they were found in.
    """
    if len(changes) < 2:
        return changes
    homes = residue.places_yx[[change.site for change in changes]]
    pairs, chains = np.empty((2, len(changes)), np.int64)
    n_groups = group_near(homes, _PAIR * residue.nearest_px, pairs)
    if n_groups == len(changes):
        return changes
    group_near(homes, _CHAIN * residue.nearest_px, chains)
    chain_size = np.bincount(chains)[chains]
    merged: list[Change] = []
    groups: list[list[int]] = [[] for _ in range(n_groups)]
    for row, group in enumerate(pairs.tolist()):
        groups[group].append(row)
    for rows in groups:
        if len(rows) == 1:
            merged.append(changes[rows[0]])
            continue
        members = sorted((changes[row] for row in rows), key=lambda change: change.log_p)
        # A bond that has turned pulls at all its neighbours; columns are missing one by one.
        most = _LONGEST_CLUSTER if members[0].kind == "displaced" else _MOST_OF_ONE
        if len(members) > most or chain_size[rows[0]] > _LONGEST_CLUSTER:
            merged += members
            continue
        merged += _as_one(members, residue.nearest_px)
    return merged


def _as_one(members: list[Change], nearest_px: float) -> list[Change]:
    """Let the strongest stand for its like, in their middle; others of another kind stay."""
    first = members[0]
    like, rest = [], []
    for change in members:
        if change is not first and _moves_along(first, change, nearest_px):
            rest.append(change)  # a row that is shifted as a whole is not one defect
        elif change.kind == first.kind:
            if change.score > _PAIR_SHARE * first.score:
                like.append(change)
        elif change.kind != "displaced":
            rest.append(change)
    weight = np.array([change.score for change in like])
    places = np.array([change.place_yx for change in like])
    first.place_yx = (weight[:, None] * places).sum(axis=0) / weight.sum()
    return [first, *rest]


def _moves_along(one: Change, other: Change, nearest_px: float) -> bool:
    """Tell whether two displaced columns went the same way, and are two still."""
    if not one.kind == other.kind == "displaced":
        return False
    if np.linalg.norm(one.place_yx - other.place_yx) < _STILL_TWO * nearest_px:
        return False
    lengths = np.linalg.norm(one.moved_px_yx) * np.linalg.norm(other.moved_px_yx)
    return bool(one.moved_px_yx @ other.moved_px_yx > _ALONG * lengths)
