import re
from dataclasses import replace

import pytest

from latticewatch.daemon.motif_page_looks import DEFECT_COLOURS, Shape, looks_of, outline_of
from support.motif_sites import CLASSES


def test_thirty_classes_of_defects_look_different() -> None:
    many = [replace(CLASSES[2], class_id=one) for one in range(1, 31)]

    looks = looks_of(many)

    assert len({(look.colour, look.shape) for look in looks.values()}) == 30


def test_a_neighbour_has_the_colour_of_its_defect_also_through_another_neighbour() -> None:
    defect, near = CLASSES[2], CLASSES[5]
    far = replace(near, class_id=8, stands_beside=(near.class_id,))

    looks = looks_of([*CLASSES, far])

    assert looks[near.class_id].colour == looks[defect.class_id].colour
    assert looks[far.class_id].colour == looks[defect.class_id].colour


def test_neighbours_of_each_other_and_of_nobody_are_drawn_all_the_same() -> None:
    one = replace(CLASSES[5], class_id=1, stands_beside=(2, 77))
    other = replace(CLASSES[5], class_id=2, stands_beside=(1,))

    looks = looks_of([one, other])

    assert not {look.colour for look in looks.values()} & set(DEFECT_COLOURS)


def test_a_defect_whose_class_is_no_defects_is_not_drawn_as_one() -> None:
    looks = looks_of(CLASSES)

    assert looks[1].listed.shape == "ring"
    assert looks[6].listed.shape == "ring"
    assert looks[3].listed == looks[3]


@pytest.mark.parametrize(
    "shape", ["circle", "square", "diamond", "triangle", "hexagon", "ring", "cross", "dot"]
)
def test_a_shape_is_drawn_round_each_place(shape: Shape) -> None:
    path = outline_of(shape, [(10.0, 200.0), (400.0, 30.0)], 5.0)

    starts = [(float(y), float(x)) for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", path)]
    assert len(starts) == 2
    for (y, x), (start_y, start_x) in zip([(10, 200), (400, 30)], starts, strict=True):
        assert max(abs(start_y - y), abs(start_x - x)) <= 6.6
