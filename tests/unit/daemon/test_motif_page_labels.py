"""Ids in the layout of the page of motifs can be read."""

import itertools

import numpy as np
import pytest

from latticewatch.daemon.motif_page_labels import spread_labels

SIDE = 400.0


@pytest.mark.parametrize("seed", range(4))
def test_no_label_lies_over_another_or_leaves_the_drawing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    near = 200 + 6 * rng.normal(size=(12, 2))
    rim = rng.choice([2.0, 398.0], (4, 2))
    texts = [str(one) for one in range(5, 21)]
    anchors = [(float(y), float(x)) for y, x in np.concatenate([near, rim])]

    places = spread_labels(anchors, texts, SIDE)

    for one, other in itertools.combinations(zip(places, texts, strict=True), 2):
        ((left_y, left_x), left), ((right_y, right_x), _) = sorted(
            (one, other), key=lambda place: place[0][1]
        )
        assert abs(left_y - right_y) >= 10 or right_x - left_x >= 6.5 * len(left), (one, other)
    assert all(10 <= y <= SIDE - 2 and 0 <= x <= SIDE - 7 * 2 for y, x in places)


def test_a_label_alone_stands_beside_its_group() -> None:
    ((y, x),) = spread_labels([(200.0, 100.0)], ["3"], SIDE)

    assert np.hypot(y - 200, x - 100) < 15
