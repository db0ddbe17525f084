"""Where the ids of groups stand in a layout, so that each can be read."""

from collections.abc import Sequence

import numpy as np

# Of a digit of the page's style, in units of the drawing.
_DIGIT_WIDE, _HIGH = 7.0, 11.0
_FIRST, _STEP, _N_RINGS = 8.0, 6.0, 12
# Up and right first, as ever; then round, near ones before far ones.
_TURNS_DEG = (-35, 35, -145, 145, 0, 180, -90, 90)

Box = tuple[float, float, float, float]


def spread_labels(
    anchors_yx: Sequence[tuple[float, float]], texts: Sequence[str], side: float
) -> list[tuple[float, float]]:
    """Find a place beside each group where no text lies over another.

    Parameters
    ----------
    anchors_yx
        Middles of the groups.
    texts
        What stands beside them, one line each.
    side
        Of the square drawing; all texts lie within.

    Returns
    -------
    list of (y, x)
        Left ends of the base lines. Where there is no free place, the first is taken.

    Examples
    --------
    >>> first, second = spread_labels([(50.0, 50.0), (50.0, 51.0)], ["10", "12"], 400.0)
    >>> first != second
    True
    """
    taken: list[Box] = []
    places = []
    for (y, x), text in zip(anchors_yx, texts, strict=True):
        options = [_box(at_y, at_x, text, side) for at_y, at_x in _round_about(y, x)]
        box = next(
            (one for one in options if not any(_meet(one, old) for old in taken)), options[0]
        )
        taken.append(box)
        places.append((box[2], box[1]))
    return places


def _round_about(y: float, x: float) -> list[tuple[float, float]]:
    """Middles of a text, from near to far."""
    turns = np.radians(_TURNS_DEG)
    rings = _FIRST + _STEP * np.arange(_N_RINGS)
    # Texts are wider than they are high.
    return [
        (y + float(ring * np.sin(turn)), x + float(1.3 * ring * np.cos(turn)))
        for ring in rings
        for turn in turns
    ]


def _box(y: float, x: float, text: str, side: float) -> Box:
    """Top, left, bottom and right of a text about a middle, moved into the drawing."""
    wide = _DIGIT_WIDE * len(text)
    top = min(max(y - _HIGH / 2, 1.0), side - _HIGH - 3.0)
    left = min(max(x - wide / 2, 2.0), side - wide - 2.0)
    return top, left, top + _HIGH, left + wide


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
