"""A picture of one frame with its defects marked; knows matplotlib and nothing of how it scored."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.sights import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

# One colour per kind of protocol.md 4.2; Okabe-Ito, told apart by colour-blind readers too.
KIND_COLOURS = {
    "vacancy": "#56b4e9",
    "deficit": "#009e73",
    "excess": "#d55e00",
    "extra": "#e69f00",
    "displaced": "#f0e442",
    "boundary": "#cc79a7",
    "amorphous": "#0072b2",
    "unknown": "#ff4040",
}
SHORT_SIDE_INCH = 7.0
DOTS_PER_INCH = 130
TITLE_INCH = 0.9  # room above the image for three lines, and below it for the legend
# Black and white of the display: single hot pixels must not turn the lattice grey.
DISPLAY_PERCENTILES = (0.5, 99.7)
# Of what no detector explains: the few places with most of it may be as red as they like.
RESIDUAL_PERCENTILE = 99.8
NOTHING_COLOUR = "#808080"
LEAST_SEVERITY = 2.0  # the limit itself is in the middle of the colours, where nothing stands out
MOST_SEVERITY = 5.0  # else a weak fault is black beside another crystal
MAP_OPACITY = 0.6
MIN_RADIUS_PX = 4.0
MAX_NUMBERED = 40  # more numbers than this hide the image that they explain


@dataclass(frozen=True, slots=True)
class Mark:
    """A defect to be drawn.

    Attributes
    ----------
    pixel_yx, radius_px
        A circle.
    kind
        Gives the colour.
    outline_px_yx
        A line instead of the circle, [y, x] in pixels; round a patch it is closed.
    is_dopant
        Drawn faintly: there are many.
    """

    pixel_yx: tuple[float, float]
    kind: str
    radius_px: float
    outline_px_yx: tuple[tuple[float, float], ...] | None = None
    is_dopant: bool = False


def draw_frame(
    image: NDArray[Any],  # any real pixel type
    marks: list[Mark],
    *,
    title: str,
    path: Path,
) -> None:
    """Write a PNG of the frame with a circle round each defect, strongest evidence numbered 0.

    Parameters
    ----------
    image : (H, W)
        As recorded. NaN is drawn as black.
    marks
        In the order of the event: strongest evidence first.
    title
        One or two lines of plain text; nothing in it is read as a formula.
    path
        Where the picture goes; its folder exists.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    _draw(_of_frame(image), marks, title=title, path=path)


def draw_residual(
    residual: NDArray[np.float32],
    marks: list[Mark],
    *,
    title: str,
    path: Path,
) -> None:
    """Write a PNG of what a detector could not explain, with a circle round each defect.

    Parameters
    ----------
    residual : (H, W)
        Frame less what was expected: red is too much, blue too little. NaN, where nothing was
        expected, is grey.
    marks, title, path
        As for `draw_frame`.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    known = np.abs(residual[np.isfinite(residual)])
    most = float(np.percentile(known, RESIDUAL_PERCENTILE)) if len(known) else 0.0
    most = max(most, 1e-12)
    _draw(_Shown(residual, "RdBu_r", -most, most), marks, title=title, path=path)


def draw_severity(
    image: NDArray[Any],  # any real pixel type
    severity: Picture,
    marks: list[Mark],
    *,
    title: str,
    path: Path,
) -> None:
    """Write a PNG of a score map over its frame, with what is listed.

    Parameters
    ----------
    image : (H, W)
        As recorded.
    severity
        0 or more on a grid over the frame; NaN, where nothing is known, shows the frame alone.
    marks, title, path
        As for `draw_frame`. A line is added to the title that says what the colours mean.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    known = severity.values[np.isfinite(severity.values)]
    high = float(np.percentile(known, RESIDUAL_PERCENTILE)) if len(known) else 0.0
    high = min(max(high, LEAST_SEVERITY), MOST_SEVERITY)
    # The middle of the first cell, less half a cell, is where it begins.
    top, left = (first - severity.step_px / 2 for first in severity.first_px_yx)
    sides = [severity.step_px * n for n in severity.values.shape]
    place = (left, left + sides[1], top + sides[0], top)
    over = _Shown(severity.values, "inferno", 0.0, high, MAP_OPACITY, place)
    told = f"{title}\n{severity.layer}: distance over its limit, black 0, yellow {high:.1f} or more"
    _draw(_of_frame(image), marks, title=told, path=path, over=over)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Values, and their colours from `low` to `high`; left, right, bottom, top on the frame."""

    values: NDArray[np.float32]
    colours: str
    low: float
    high: float
    opacity: float = 1.0
    place: tuple[float, float, float, float] | None = None


def _of_frame(image: NDArray[Any]) -> _Shown:  # Any: any real pixel type
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.percentile(values, DISPLAY_PERCENTILES)
    return _Shown(values, "gray", float(low), max(float(high), float(low) + 1e-12))


def _draw(
    shown: _Shown, marks: list[Mark], *, title: str, path: Path, over: _Shown | None = None
) -> None:
    figure, axes, share = _make_canvas(shown.values.shape)
    axes.set_facecolor(NOTHING_COLOUR)
    for one in (shown, over):
        if one is not None:
            axes.imshow(
                one.values,
                cmap=one.colours,
                vmin=one.low,
                vmax=one.high,
                alpha=one.opacity,
                extent=one.place,
            )
    height, width = shown.values.shape
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    _draw_marks(axes, marks)
    figure.text(0.02, 1 - share / 2, title, ha="left", va="center", fontsize=11, parse_math=False)
    _draw_legend(figure, marks)
    figure.savefig(path)


def _make_canvas(shape: tuple[int, ...]) -> "tuple[Figure, Axes, float]":
    """Figure and axes that keep the image's proportions, and the share of the title's strip."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError('plots need matplotlib: pip install "latticewatch[io]"') from None
    height_px, width_px = shape
    # A strip of a scan would make a picture of many metres: its long side is bounded as well.
    inch_per_px = SHORT_SIDE_INCH * min(1 / min(shape), 3 / max(shape))
    width_inch = max(width_px * inch_per_px, SHORT_SIDE_INCH)
    height_inch = height_px * inch_per_px + 2 * TITLE_INCH
    figure = Figure(figsize=(width_inch, height_inch), dpi=DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    share = TITLE_INCH / height_inch
    return figure, figure.add_axes((0.0, share, 1.0, 1 - 2 * share)), share


def _draw_marks(axes: "Axes", marks: list[Mark]) -> None:
    from matplotlib.patches import Circle
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.6, foreground="black")]  # else lost on the bright columns
    for number, mark in enumerate(marks):
        y, x = mark.pixel_yx
        # A line may be as long as the frame; its number stands beside its middle.
        radius_px = max(mark.radius_px if mark.outline_px_yx is None else 0.0, MIN_RADIUS_PX)
        colour = KIND_COLOURS.get(mark.kind, KIND_COLOURS["unknown"])
        if mark.outline_px_yx is not None:
            _draw_outline(axes, mark, colour)
        elif mark.is_dopant:
            axes.add_patch(Circle((x, y), radius_px, fill=False, edgecolor=colour, linewidth=0.7))
        else:
            axes.add_patch(
                Circle(
                    (x, y),
                    radius_px,
                    fill=False,
                    edgecolor=colour,
                    linewidth=1.5,
                    path_effects=halo,
                )
            )
        if len(marks) <= MAX_NUMBERED:
            label = axes.text(
                x + 0.75 * radius_px,
                y - 0.75 * radius_px,
                str(number),
                color=colour,
                fontsize=8,
                clip_on=True,
                path_effects=halo,
            )
            _keep_inside(axes, label, x=x, y=y, radius_px=radius_px)


def _draw_outline(axes: "Axes", mark: Mark, colour: str) -> None:
    points = list(mark.outline_px_yx or ())
    if mark.kind == "amorphous":
        points.append(points[0])
    y, x = zip(*points, strict=True)
    axes.plot(x, y, color="black", linewidth=4.0)
    axes.plot(x, y, color=colour, linewidth=2.0)


def _keep_inside(axes: "Axes", label: "Text", *, x: float, y: float, radius_px: float) -> None:
    """Move a label that the border would cut off to the other side of its circle."""
    axes.apply_aspect()  # else the axes do not know yet where they are
    room, taken = axes.get_window_extent(), label.get_window_extent()
    if taken.x1 > room.x1:
        label.set(x=x - 0.75 * radius_px, horizontalalignment="right")
    if taken.y1 > room.y1:
        label.set(y=y + 0.75 * radius_px, verticalalignment="top")


def _draw_legend(figure: "Figure", marks: list[Mark]) -> None:
    from matplotlib.lines import Line2D

    counts = {kind: sum(mark.kind == kind for mark in marks) for kind in KIND_COLOURS}
    present = [kind for kind, count in counts.items() if count]
    if not present:
        return
    handles = [
        Line2D(
            [],
            [],
            color=KIND_COLOURS[kind],
            marker="o",
            fillstyle="none",
            linestyle="none",
            markersize=9,
            markeredgewidth=1.6,
            label=f"{kind} ({counts[kind]})",
        )
        for kind in present
    ]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False)
