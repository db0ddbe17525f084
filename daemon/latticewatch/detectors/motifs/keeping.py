"""Ids and names of classes that go from one fit to the next."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from latticewatch.detectors.motifs.matching import match_classes
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.motif_class import (
    LARGEST_ID,
    MOST_AUTOMATIC_NAME,
    MOST_NAME,
    MotifClass,
)
from latticewatch.detectors.motifs.stale import other_scale
from latticewatch.detectors.reference_rule import FitError

_SAME_RADIUS = 0.05  # of the patch radius: features of another one are not comparable


def carried_over(model: MotifModel, kept: MotifModel | None, notes: list[str]) -> MotifModel:
    """Give classes the ids, and the names that a user gave, of an earlier fit.

    Parameters
    ----------
    model
        Fitted just now, its classes numbered from 1.
    kept
        Of the earlier fit, if there is one. Where it is of another crystal or pixel size, no class
        of it is one of these; its ids are not used again all the same.
    notes
        Receives why ids are not kept.

    Raises
    ------
    FitError
        Ids are used up.
    """
    if kept is None:
        return replace(model, classes=_named_apart(model.classes))
    if _is_comparable(model, kept):
        old_means = (kept.feature_means - model.pca_mean) @ model.pca_matrix
        old_ids = [one.class_id for one in kept.classes]
        akin = np.array([[_are_akin(a, b) for b in model.classes] for a in kept.classes])
        ids = match_classes(
            old_means, old_ids, model.means, model.noise_covariance, kept.next_id, akin
        )
    else:
        notes.append(
            f"ids and names of the earlier model are not kept: its lattice has a period of "
            f"{kept.period_px:.1f} px and patches of {2 * kept.shape.reach_px:.0f} px, this one "
            f"{model.period_px:.1f} and {2 * model.shape.reach_px:.0f}"
        )
        ids = list(range(kept.next_id, kept.next_id + len(model.classes)))
    notes += [
        f"class {one.class_id} ({one.name}) of the earlier model was not found again: its id is "
        "not used any more, and its name is gone"
        for one in kept.classes
        if one.class_id not in ids and _is_named_by_user(one)
    ]
    next_id = max(kept.next_id, max(ids) + 1)
    if next_id > LARGEST_ID:
        raise FitError(f"ids of classes are used up at {LARGEST_ID}: fit a model without the old")
    new_of = {one.class_id: new for one, new in zip(model.classes, ids, strict=True)}
    classes = [_with_id(one, new_of, kept) for one in model.classes]
    return replace(model, classes=_named_apart(classes), next_id=next_id)


def _is_comparable(model: MotifModel, kept: MotifModel) -> bool:
    ratio = model.shape.reach_px / kept.shape.reach_px
    return (
        model.shape.n_max == kept.shape.n_max
        and model.columns.n_sublattices == kept.columns.n_sublattices
        and abs(ratio - 1.0) <= _SAME_RADIUS
        and other_scale(kept, model.period_px) is None
    )


def _are_akin(one: MotifClass, other: MotifClass) -> bool:
    return (one.role, one.kind, one.sublattice) == (other.role, other.kind, other.sublattice)


def _with_id(one: MotifClass, new_of: dict[int, int], kept: MotifModel) -> MotifClass:
    beside = tuple(new_of[old] for old in one.stands_beside)
    one = replace(one, class_id=new_of[one.class_id], stands_beside=beside)
    row = kept.row_of(one.class_id)
    if row is not None and _is_named_by_user(kept.classes[row]):
        return replace(one, name=kept.classes[row].name, named_by_user=True)
    return one


def _is_named_by_user(one: MotifClass) -> bool:
    # Whoever edits a file by hand changes the name alone.
    program = (one.automatic_name, _marked(one), _cut(one))
    return one.named_by_user or one.name not in program


def _named_apart(classes: Sequence[MotifClass]) -> tuple[MotifClass, ...]:
    """Let the user's names stand; an automatic one that is taken, or too long, gets its id."""
    taken = {one.name.casefold() for one in classes if one.named_by_user}
    named: list[MotifClass] = []
    for one in classes:
        if not one.named_by_user:
            name = next(
                name
                for name in _candidates(one)
                if len(name) <= MOST_NAME and name.casefold() not in taken
            )
            taken.add(name.casefold())
            one = replace(
                one, name=name, automatic_name=one.automatic_name[:MOST_AUTOMATIC_NAME].rstrip()
            )
        named.append(one)
    return tuple(named)


def _candidates(one: MotifClass) -> Iterator[str]:
    yield one.automatic_name
    yield _marked(one)
    yield _cut(one)
    yield from (f"class {one.class_id}, {number}" for number in count(1))


def _marked(one: MotifClass) -> str:
    return f"{one.automatic_name} [{one.class_id}]"


def _cut(one: MotifClass) -> str:
    """Name of which a table has room for the end, too."""
    mark = f"... [{one.class_id}]"
    return one.automatic_name[: MOST_NAME - len(mark)].rstrip() + mark
