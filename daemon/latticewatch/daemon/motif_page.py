"""The page of `analyze --report`: which class every site and defect is of, in one file.

Nothing is loaded from anywhere: pictures, style and the few lines of script stand in it, and its
content security policy forbids all else.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.motif_page_classes import Layer, ModelPart, model_part
from latticewatch.daemon.motif_page_files import digest_of, environment, text_of
from latticewatch.daemon.motif_page_frames import (
    CountRow,
    FramePart,
    change_rows,
    count_rows,
    defect_rows,
    site_layers,
)
from latticewatch.daemon.motif_page_notes import notes_of, state_of
from latticewatch.daemon.motif_page_pictures import frame_url
from latticewatch.daemon.motif_page_scale import Sizes, bar_of, dose_of, pixel_size_of
from latticewatch.daemon.offline_report import counted, outcome_of
from latticewatch.daemon.outcome import MotifView
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.wire.events import DefectEvent
from latticewatch.wire.plain import to_jsonable

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_FRAMES = 24
MOST_HIDDEN_NOTES = 12
MOST_BYTES = 4_500_000  # chosen: opens at once, and mail still takes it
# The first frames are looked at closely; of the others all together fill the page.
N_LARGE, LARGE_SIDE_PX, SMALL_SIDE_PX = 2, 1024, 640


@dataclass(slots=True)
class MotifPage:
    """Frames as they come, and the page of all of them at the end.

    Attributes
    ----------
    path
        The file.
    n_frames, n_shown
        Given, and shown.
    """

    path: Path
    n_frames: int = 0
    n_shown: int = 0
    _models: list[ModelPart] = field(default_factory=list)
    _sections: list[str] = field(default_factory=list)
    _links: list[tuple[str, str]] = field(default_factory=list)
    _facts: dict[str, list[str]] = field(default_factory=dict)
    _notes: list[str] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _hidden: list[str] = field(default_factory=list)
    _n_bytes: int = 0
    _full: bool = False
    _templates: "Environment | None" = None

    def warn(self, line: str) -> None:
        """Note what is doubtful, or failed, above all frames."""
        self._notes.append(line)

    def add(
        self,
        event: DefectEvent,
        image: NDArray[Any],  # any real pixel type
        *,
        name: str,
        index: int | None,
        sites: MotifView | None,
        notes: Sequence[str] = (),
    ) -> None:
        """Show a frame, as long as there is room.

        Parameters
        ----------
        event
            Of the frame.
        image : (H, W)
            As recorded.
        name, index
            Of the file, and number of the frame where it holds several.
        sites
            Every site with its class; None where no classes could be given.
        notes
            What was said of it.
        """
        self.n_frames += 1
        if name not in self._names:
            self._names.append(name)
        title = name if index is None else f"{name} [{index}]"
        if self._full or self.n_shown >= MOST_FRAMES:
            self._leave_out(title, notes)
            return
        part = None if sites is None else self._part_of(sites.model, event)
        shown = part is not None and part in self._models
        frame = self._frame_part(event, image, title=title, sites=sites, part=part, notes=notes)
        text = "" if part is None or shown else self._render("motif_model.html", model=part)
        text += self._render("motif_frame.html", frame=frame, model=part)
        n_bytes = len(text.encode())
        if self.n_shown and self._n_bytes + n_bytes > MOST_BYTES:
            self._full = True
            self._leave_out(title, notes)
            return
        if part is not None and not shown:
            self._models.append(part)
        self._sections.append(text)
        self._links.append((f"f{frame.number}", f"{title}: {frame.told}"))
        self._n_bytes += n_bytes
        self.n_shown += 1
        self._tell_facts(event)

    def write(self) -> None:
        """Write the page.

        Raises
        ------
        InputError
            It cannot be written.
        """
        from markupsafe import Markup

        style, script = text_of("motif_page.css"), text_of("motif_page.js")
        page = self._render(
            "motif_page.html",
            title=f"Motifs of {self._name_of_all()}",
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            style_digest=digest_of(style),
            script_digest=digest_of(script),
            facts=[(name, ", ".join(values)) for name, values in self._all_facts().items()],
            notes=[*self._notes_of_all(), *self._notes],
            links=self._links,
            sections=[Markup(text) for text in self._sections],  # noqa: S704 - rendered above
        )
        beside = self.path.with_name(f".{self.path.name}.part")
        try:
            beside.write_text(page, encoding="utf-8")
            beside.replace(self.path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _leave_out(self, title: str, notes: Sequence[str]) -> None:
        """Keep what was said of a frame that is not shown; of thousands only the first."""
        room = MOST_HIDDEN_NOTES - len(self._hidden)
        self._hidden += [f"{title}, not shown: {note}" for note in notes][: max(0, room)]

    def _part_of(self, model: MotifModel, event: DefectEvent) -> ModelPart:
        for known in self._models:
            if known.model is model:
                return known
        state = state_of(event)
        return model_part(
            model,
            len(self._models),
            artifact="" if state is None else state.artifact,
            sha256="" if state is None else state.sha256,
        )

    def _frame_part(
        self,
        event: DefectEvent,
        image: NDArray[Any],  # any real pixel type
        *,
        title: str,
        sites: MotifView | None,
        part: ModelPart | None,
        notes: Sequence[str],
    ) -> FramePart:
        pixel_size, pixel_nm = pixel_size_of(event)
        shape_yx = (image.shape[0], image.shape[1])
        sizes = Sizes.of(shape_yx, _nearest_px(event, part))
        defects = defect_rows(event, part, sizes)
        layers: tuple[Layer, ...] = ()
        counts: tuple[CountRow, ...] = ()
        if sites is not None and part is not None:
            layers = tuple(site_layers(sites, part, event, sizes.mark_px))
            counts = count_rows(sites, part, defects)
        side_px = LARGE_SIDE_PX if self.n_shown < N_LARGE else SMALL_SIDE_PX
        return FramePart(
            number=self.n_shown,
            title=title,
            told=outcome_of(event),
            facts=(("Pixel", pixel_size), ("Frame", "{} x {} px".format(*shape_yx))),
            notes=notes_of(event, sites, notes),
            image_url=frame_url(image, side_px),
            layers=layers,
            defects=defects,
            changes=change_rows(event),
            counts=counts,
            sizes=sizes,
            bar=bar_of(shape_yx[1], pixel_nm),
        )

    def _tell_facts(self, event: DefectEvent) -> None:
        attrs = to_jsonable(event)["attrs"] or {}
        told = {
            "Pixel": pixel_size_of(event)[0],
            "Dose": dose_of(attrs) or "not said by the file",
            "Detectors": ", ".join(one.name for one in event.detectors),
        }
        for name, value in told.items():
            values = self._facts.setdefault(name, [])
            if value not in values:
                values.append(value)

    def _all_facts(self) -> Mapping[str, list[str]]:
        models = [f"{one.artifact} (sha256 {one.sha256})" for one in self._models]
        return {
            "Frames": [counted(self.n_frames, "frame")],
            "Model": models or ["none"],
            **self._facts,
            "Written by": [f"latticewatch {version('latticewatch')}"],
        }

    def _name_of_all(self) -> str:
        return self._names[0] if len(self._names) == 1 else counted(len(self._names), "input")

    def _notes_of_all(self) -> list[str]:
        if self.n_shown == self.n_frames:
            return []
        why = f"more than {MOST_FRAMES} are not shown"
        if self._full:
            why = f"with more the page would be larger than {MOST_BYTES / 1e6:g} MB"
        told = f"the first {self.n_shown} of {self.n_frames} frames are shown: {why}"
        return [told, *self._hidden]

    def _render(self, name: str, **values: object) -> str:
        if self._templates is None:
            self._templates = environment()
        return self._templates.get_template(name).render(**values)


def _nearest_px(event: DefectEvent, part: ModelPart | None) -> float | None:
    """Distance of nearest columns; without a model about half a period, None without a lattice."""
    if part is not None:
        return part.model.columns.nearest_px
    return None if event.lattice is None else 0.58 * math.hypot(*event.lattice.a_px_yx)
