"""One frame as the page of motifs shows it: picture with marks, counts, defects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET, UnsetType

from latticewatch.daemon.motif_page_classes import (
    NEW_NAME,
    ClassRow,
    Layer,
    ModelPart,
    chip_of,
    key_of,
)
from latticewatch.daemon.motif_page_looks import NEW_LOOK, UNSCORED_LOOK, Look, outline_of
from latticewatch.daemon.motif_page_scale import Bar, Sizes
from latticewatch.daemon.outcome import MotifView
from latticewatch.wire.events import Defect, DefectEvent

NEW, UNSCORED = 0, -1
MAX_NUMBERED = 60  # more numbers than this hide the image that they explain
UNNAMED_LOOK = Look("#ffffff", "circle", 1.0)


@dataclass(frozen=True, slots=True)
class DefectRow:
    """A defect of the event.

    Attributes
    ----------
    i
        Its number in the event.
    class_id, key, label, look, chip
        Its class; None, "", "" where it has none.
    kind
        Word of the protocol.
    px, nm
        [y, x], in words; `nm` is empty without calibration.
    probability, distance, p_value
        In words; the first two are empty where no class was asked for.
    site
        Its address, in words.
    mark
        The `d` of an SVG path round it, in pixels of the frame; an outline as it was drawn.
    is_outlined
        Whether it is a line or an area: it has no site, and so no class.
    text_yx, text_anchor
        Where its number stands, and whether it begins or ends there.
    """

    i: int
    class_id: int | None
    key: str
    label: str
    look: Look
    chip: str
    kind: str
    px: str
    nm: str
    probability: str
    distance: str
    p_value: str
    site: str
    mark: str
    is_outlined: bool
    text_yx: tuple[float, float]
    text_anchor: str


@dataclass(frozen=True, slots=True)
class CountRow:
    """How many sites of a frame are of a class, how many of its defects, and of the model's."""

    class_id: int
    key: str
    name: str
    role: str
    look: Look
    chip: str
    n_sites: int
    n_defects: int
    n_model: int | None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A site that is of another class than in the frames before; all in words."""

    site: str
    px: str
    before: str
    after: str
    probability: str


@dataclass(frozen=True, slots=True)
class FramePart:
    """A frame as the page shows it.

    Attributes
    ----------
    number
        From 0, in the order of the page.
    title
        File, and number of the frame where it holds several.
    told
        Sites, defects, milliseconds.
    facts
        Name and value of what else is known.
    notes
        What a reader should know before believing it.
    image_url
        The frame.
    layers, defects, counts, changes
        Marks and tables.
    sizes
        Of the frame and of what is drawn over it.
    bar
        None where the size of a pixel is not known.
    """

    number: int
    title: str
    told: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    image_url: str
    layers: tuple[Layer, ...]
    defects: tuple[DefectRow, ...]
    counts: tuple[CountRow, ...]
    changes: tuple[ChangeRow, ...]
    sizes: Sizes
    bar: Bar | None

    @property
    def caption(self) -> str:
        """Say what the marks mean."""
        if not self.layers:
            return "Outlines are the defects that are listed below." if self.defects else ""
        if not self.defects:
            return "Dots are sites; their colour is that of their class."
        return (
            "Bold outlines are the defects that are listed below; dots and thin "
            "outlines are all other sites. Colour and shape are those of the class: dashes for "
            "one that is no defect's, a white circle for none, a cross for new."
        )

    @property
    def is_numbered(self) -> bool:
        """Whether numbers stand beside the marks."""
        return len(self.defects) <= MAX_NUMBERED


def site_layers(
    sites: MotifView, part: ModelPart, event: DefectEvent, radius_px: float
) -> list[Layer]:
    """Draw every site that is not listed, one layer per class, quiet ones first."""
    listed = {defect.site for defect in event.defects}
    others = np.array([tuple(one) not in listed for one in sites.address.tolist()], bool)
    by_id = part.by_id
    order = {"pristine": 1, "neighbour": 2, "defect": 3, "proposed": 3}

    def turn(class_id: int) -> int:
        if class_id in by_id:
            return order.get(by_id[class_id].of.role, 3)
        return 0 if class_id == UNSCORED else 4

    layers = []
    for class_id in sorted(np.unique(sites.class_id).tolist(), key=lambda one: (turn(one), one)):
        places = sites.places_yx[others & (sites.class_id == class_id)]
        row = by_id.get(class_id)
        look, name = _look_of(row, class_id)
        size = look.size if look.is_filled else 0.7 * look.size
        path = outline_of(look.shape, places.tolist(), radius_px * size)
        layers.append(Layer(key_of(part.number, class_id), name, look, path))
    return layers


def defect_rows(event: DefectEvent, part: ModelPart | None, sizes: Sizes) -> tuple[DefectRow, ...]:
    """List the defects of an event, in its order."""
    by_id = {} if part is None else part.by_id
    number = 0 if part is None else part.number
    return tuple(_defect_row(defect, by_id, number, sizes) for defect in event.defects)


def count_rows(
    sites: MotifView, part: ModelPart, defects: Sequence[DefectRow]
) -> tuple[CountRow, ...]:
    """Count sites and points that are listed: of each class, new, and not scored."""
    points = [defect for defect in defects if not defect.is_outlined]

    def row(class_id: int, name: str, role: str, look: Look, n_model: int | None) -> CountRow:
        key = key_of(part.number, class_id)
        n_sites = int(np.count_nonzero(sites.class_id == class_id))
        # At a place that was not scored a point has no class.
        own = "" if class_id == UNSCORED else key
        n_defects = sum(point.key == own for point in points)
        return CountRow(class_id, key, name, role, look, chip_of(look), n_sites, n_defects, n_model)

    rows = [
        row(one.of.class_id, one.of.name, one.of.role, one.look, one.of.n_members)
        for one in part.rows
    ]
    rows.append(row(NEW, NEW_NAME, "", NEW_LOOK, None))
    rows.append(row(UNSCORED, "not scored", "", UNSCORED_LOOK, None))
    return tuple(rows)


def change_rows(event: DefectEvent) -> tuple[ChangeRow, ...]:
    """List the sites whose class changed."""
    if isinstance(event.motif_changes, UnsetType):
        return ()
    return tuple(
        ChangeRow(
            site=", ".join(str(n) for n in one.site),
            px="{:.1f}, {:.1f}".format(*one.pixel_yx),
            before=one.before_label,
            after=one.after_label,
            probability=_chance(one.p),
        )
        for one in event.motif_changes
    )


def _look_of(row: ClassRow | None, class_id: int) -> tuple[Look, str]:
    if row is not None:
        return row.look, row.of.name
    if class_id == UNSCORED:
        return UNSCORED_LOOK, "not scored"
    if class_id == NEW:
        return NEW_LOOK, NEW_NAME
    return UNNAMED_LOOK, f"class {class_id}"


def _text_at(pixel_yx: tuple[float, float], sizes: Sizes) -> tuple[tuple[float, float], str]:
    """Place a number above and right of its mark, or where the frame has room for it."""
    y, x = pixel_yx
    off = 0.9 * sizes.mark_px
    # As wide as three digits, which is half as much more as it is high.
    leaves_right = x + off + 1.7 * sizes.text_px > sizes.shape_yx[1]
    leaves_top = y - off - sizes.text_px < 0
    at_y = y + off + 0.7 * sizes.text_px if leaves_top else y - off
    return (at_y, x - off if leaves_right else x + off), "end" if leaves_right else "start"


def _defect_row(
    defect: Defect, by_id: Mapping[int, ClassRow], number: int, sizes: Sizes
) -> DefectRow:
    motif = None if isinstance(defect.motif, UnsetType) else defect.motif
    key, label, look = "", defect.label or "", UNNAMED_LOOK
    probability = distance = ""
    if motif is not None:
        key = key_of(number, motif.id)
        look, name = _look_of(by_id.get(motif.id), motif.id)
        label = defect.label or name
        probability, distance = _chance(motif.p), f"{motif.distance:.1f}"
        look = look.listed
    y, x = defect.pixel_yx
    text_yx, anchor = _text_at(defect.pixel_yx, sizes)
    nm = "" if defect.nm_yx is None else "{:.3f}, {:.3f}".format(*defect.nm_yx)
    return DefectRow(
        i=defect.i,
        class_id=None if motif is None else motif.id,
        key=key,
        label=label,
        look=look,
        chip=chip_of(look),
        kind=defect.kind,
        px=f"{y:.1f}, {x:.1f}",
        nm=nm,
        probability=probability,
        distance=distance,
        p_value=f"{defect.p_value:.1e}",
        site="" if defect.site is None else ", ".join(str(n) for n in defect.site),
        mark=_mark_of(defect, look, sizes.mark_px),
        is_outlined=defect.outline_px_yx is not UNSET,
        text_yx=text_yx,
        text_anchor=anchor,
    )


def _chance(p: float) -> str:
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def _mark_of(defect: Defect, look: Look, radius_px: float) -> str:
    if defect.outline_px_yx is UNSET:
        return outline_of(look.shape, [defect.pixel_yx], radius_px * look.size)
    corners = "L".join(f"{x:.1f} {y:.1f}" for y, x in defect.outline_px_yx)
    return f"M{corners}{'z' if defect.kind == 'amorphous' else ''}"
