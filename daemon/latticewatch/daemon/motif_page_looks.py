"""How the page of motifs tells classes apart: a colour and a shape for each, quiet for pristine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from latticewatch.detectors.motifs.model import MotifClass

# Okabe and Ito's, told apart by colour-blind readers too, but for black and the darkest blue, which
# are lost on a micrograph.
DEFECT_COLOURS = ("#56b4e9", "#e69f00", "#f0e442", "#d55e00", "#cc79a7", "#009e73")
# Pristine sites are nearly all there are: what is to be seen lies between them.
PRISTINE_COLOURS = ("#8fa3b8", "#b8a58f", "#9bb38f", "#ab94b5")
NEIGHBOUR_COLOUR = "#c5cbd3"
NEW_COLOUR = "#ffffff"
UNSCORED_COLOUR = "#70757d"

Shape = Literal["circle", "square", "diamond", "triangle", "hexagon", "ring", "cross", "dot"]
# A second way to tell them: with six colours and five shapes thirty classes of defects differ.
DEFECT_SHAPES: tuple[Shape, ...] = ("circle", "square", "diamond", "triangle", "hexagon")


@dataclass(frozen=True, slots=True)
class Look:
    """How the sites of a class are drawn.

    Attributes
    ----------
    colour
        As SVG says it.
    shape
        Of an outline; a dot is filled, a ring is a circle of dashes.
    size
        Times that of a marked defect.
    """

    colour: str
    shape: Shape
    size: float

    @property
    def is_filled(self) -> bool:
        """Whether it is a disc, not an outline."""
        return self.shape == "dot"

    @property
    def listed(self) -> "Look":
        """How a defect of this class is drawn: of a class that is no defect's, with dashes."""
        return Look(self.colour, "ring", 1.0) if self.is_filled else self


NEW_LOOK = Look(NEW_COLOUR, "cross", 0.8)
UNSCORED_LOOK = Look(UNSCORED_COLOUR, "dot", 0.12)


def looks_of(classes: Sequence[MotifClass]) -> dict[int, Look]:
    """Give each class its look; a neighbour has the colour of the first defect it stands beside.

    Returns
    -------
    dict
        By the number of the class. The same classes look alike in every report.
    """
    marked = [one for one in classes if one.role in ("defect", "proposed")]
    looks = {
        one.class_id: Look(
            DEFECT_COLOURS[k % len(DEFECT_COLOURS)],
            # Counted so that those of one colour have different shapes.
            DEFECT_SHAPES[(k + k // len(DEFECT_COLOURS)) % len(DEFECT_SHAPES)],
            1.0,
        )
        for k, one in enumerate(marked)
    }
    n_pristine = 0
    for one in classes:
        if one.class_id in looks:
            continue
        if one.role == "neighbour":
            colour = _colour_beside(one, looks, classes)
            looks[one.class_id] = Look(colour, "dot", 0.3)
        else:
            colour = PRISTINE_COLOURS[n_pristine % len(PRISTINE_COLOURS)]
            looks[one.class_id] = Look(colour, "dot", 0.16)
            n_pristine += 1
    return looks


def _colour_beside(
    one: MotifClass, looks: Mapping[int, Look], classes: Sequence[MotifClass]
) -> str:
    """Colour of the first defect that a class stands beside, or that its neighbours do."""
    by_id = {other.class_id: other for other in classes}
    asked, seen = list(one.stands_beside), {one.class_id}
    for other in asked:  # grows while neighbours of neighbours are asked
        if other in seen or other not in by_id:
            continue
        if by_id[other].role != "neighbour":
            return looks[other].colour if other in looks else NEIGHBOUR_COLOUR
        seen.add(other)
        asked += by_id[other].stands_beside
    return NEIGHBOUR_COLOUR


def outline_of(shape: Shape, places_yx: Iterable[Sequence[float]], radius: float) -> str:
    """Draw a shape round each place, as the `d` of one SVG path.

    Parameters
    ----------
    shape
        Its name.
    places_yx : (N, 2)
        Middles, [y, x].
    radius
        In the same unit.

    Examples
    --------
    >>> outline_of("cross", [(5.0, 3.0)], 1.0)
    'M2.2 4.2l1.6 1.6m0 -1.6l-1.6 1.6'
    """
    r = radius
    arcs = f"a{_n(r)} {_n(r)} 0 1 0 {_n(2 * r)} 0a{_n(r)} {_n(r)} 0 1 0 {_n(-2 * r)} 0z"
    cross = f"l{_n(1.6 * r)} {_n(1.6 * r)}m0 {_n(-1.6 * r)}l{_n(-1.6 * r)} {_n(1.6 * r)}"
    # First corner from the middle, then from corner to corner; x before y, as SVG has it.
    start_x, start_y, steps = {
        "circle": (-r, 0.0, arcs),
        "ring": (-r, 0.0, arcs),
        "dot": (-r, 0.0, arcs),
        "cross": (-0.8 * r, -0.8 * r, cross),
        "square": (-0.9 * r, -0.9 * r, _lines(r, (1.8, 0), (0, 1.8), (-1.8, 0))),
        "diamond": (0.0, -1.2 * r, _lines(r, (1.2, 1.2), (-1.2, 1.2), (-1.2, -1.2))),
        "triangle": (0.0, -1.3 * r, _lines(r, (1.2, 2.1), (-2.4, 0))),
        "hexagon": (
            -0.55 * r,
            -r,
            _lines(r, (1.1, 0), (0.6, 1), (-0.6, 1), (-1.1, 0), (-0.6, -1)),
        ),
    }[shape]
    return "".join(f"M{_n(x + start_x)} {_n(y + start_y)}{steps}" for y, x in places_yx)


def _lines(radius: float, *steps_xy: tuple[float, float]) -> str:
    return "l" + " ".join(f"{_n(radius * x)} {_n(radius * y)}" for x, y in steps_xy) + "z"


def _n(value: float) -> str:
    """Write a number in as few characters as a hundredth of a pixel needs."""
    return f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0", value > -0.005)
