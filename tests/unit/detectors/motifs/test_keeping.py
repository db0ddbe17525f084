"""Ids and names go from one fit to the next, and are never given to another kind."""

from dataclasses import replace

import numpy as np
import pytest

from latticewatch.detectors.motifs.keeping import carried_over
from latticewatch.detectors.motifs.model import MOST_NAME, MotifModel
from latticewatch.detectors.motifs.motif_class import MotifClass
from latticewatch.detectors.reference_rule import FitError
from support.motif_models import fitted


def with_class(model: MotifModel, row: int, changed: MotifClass) -> MotifModel:
    classes = list(model.classes)
    classes[row] = changed
    return replace(model, classes=tuple(classes))


def test_name_that_was_changed_by_hand_in_the_file_is_the_users() -> None:
    model = fitted()[0]
    by_hand = with_class(model, 3, replace(model.classes[3], name="2S gone"))

    again = carried_over(model, by_hand, [])

    assert (again.classes[3].name, again.classes[3].named_by_user) == ("2S gone", True)
    assert again.classes[3].automatic_name == model.classes[3].automatic_name
    assert [one.named_by_user for one in again.classes].count(True) == 1


@pytest.mark.parametrize("long", [False, True])
def test_names_that_the_program_made_are_not_taken_for_the_users(long: bool) -> None:
    model = fitted()[0]
    automatic = "x" * 90 if long else model.classes[1].automatic_name
    told = replace(model.classes[1], automatic_name=automatic)
    model = with_class(model, 1, told)
    kept = with_class(model, 1, replace(told, name=automatic))
    taken = replace(model.classes[0], name=automatic[:MOST_NAME].upper(), named_by_user=True)
    first = carried_over(model, with_class(kept, 0, taken), [])
    assert first.classes[1].name != automatic
    assert first.classes[1].name.endswith("[2]")

    again = carried_over(model, first, [])

    assert again.classes == first.classes
    assert not again.classes[1].named_by_user


def test_another_period_is_another_crystal_and_uses_no_id_again() -> None:
    model = fitted()[0]
    kept = replace(model, basis_px_yx=1.1 * model.basis_px_yx, next_id=40)
    notes: list[str] = []

    again = carried_over(model, kept, notes)

    assert "are not kept" in notes[0]
    assert [one.class_id for one in again.classes] == [
        40 + row for row in range(len(model.classes))
    ]
    assert again.next_id == 40 + len(model.classes)
    beside = [one.stands_beside for one in model.classes]
    assert any(beside)
    assert [tuple(old - 39 for old in one.stands_beside) for one in again.classes] == beside
    assert not any(one.named_by_user for one in again.classes)


def test_ids_that_are_used_up_are_told() -> None:
    model = fitted()[0]
    kept = replace(model, feature_means=model.feature_means + 1e3, next_id=2**31 - 1)

    with pytest.raises(FitError, match="ids of classes are used up"):
        carried_over(model, kept, [])


def test_names_that_differ_by_case_alone_are_told_apart() -> None:
    model = fitted()[0]
    twin = replace(model.classes[1], automatic_name=model.classes[0].automatic_name.swapcase())

    found = carried_over(with_class(model, 1, twin), None, [])

    assert len({one.name.casefold() for one in found.classes}) == len(model.classes)
    assert np.all([len(one.name) <= MOST_NAME for one in found.classes])
