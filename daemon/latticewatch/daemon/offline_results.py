"""Where the events of recorded frames go: lines of JSON, and pictures."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from msgspec import UNSET

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded import Recording
from latticewatch.daemon.motif_page import MotifPage
from latticewatch.daemon.offline_report import Report, found_in
from latticewatch.daemon.outcome import MotifView
from latticewatch.daemon.plots import Mark, draw_frame, draw_residual, draw_severity
from latticewatch.daemon.sights import Picture
from latticewatch.wire.events import DefectEvent
from latticewatch.wire.plain import to_jsonable


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What a run writes.

    Attributes
    ----------
    out
        File for the lines; None for standard output, and then people are told on standard error.
    plot_folder
        Made if absent; None for no pictures.
    page
        File for a page on the motif class of every site; None for none.
    """

    out: Path | None
    plot_folder: Path | None = None
    page: Path | None = None


@dataclass(slots=True)
class Results:
    """Where lines and pictures go, and how many inputs failed.

    Attributes
    ----------
    lines
        Receives one line of JSON per frame.
    plot_folder
        Receives the pictures; None for none.
    report
        Tells people.
    page
        Receives every frame for people to look at; None for none.
    n_failed
        Inputs that gave no answer.
    """

    lines: TextIO
    plot_folder: Path | None
    report: Report
    page: MotifPage | None = None
    n_failed: int = 0
    _names: set[str] = field(default_factory=set)

    def fail(self, failure: Exception) -> None:
        """Say in one line why an input gives no answer; the others go on."""
        self.n_failed += 1
        self.warn(str(failure))

    def warn(self, line: str) -> None:
        """Tell people what is doubtful, whatever else is written."""
        sys.stderr.write(f"{line}\n")
        if self.page is not None:
            self.page.warn(line)

    def write(
        self,
        recording: Recording,
        index: int,
        event: DefectEvent,
        *,
        note: str = "",
        pictures: Sequence[Picture] = (),
        sites: MotifView | None = None,
    ) -> None:
        """Write the line of a frame and its pictures, and tell of it, with a note for people."""
        line = to_jsonable(event)
        line["input"] = {"path": str(recording.path), "index": index}
        self.lines.write(json.dumps(line, allow_nan=False) + "\n")
        if self.plot_folder is not None:
            path = self.plot_folder / self._new_name(recording, index)
            image = recording.frame(index)
            title, marks = title_of(recording, index, event), marks_of(event)
            draw_frame(image, marks, title=title, path=path)
            for picture in pictures:
                beside = path.with_name(f"{path.stem}.{picture.layer}.png")
                if not picture.signed:
                    draw_severity(image, picture, marks, title=title, path=beside)
                    continue
                told = f"what {picture.layer} cannot explain: red too much, blue too little"
                draw_residual(picture.values, marks, title=f"{title}\n{told}", path=beside)
        if self.page is not None:
            self.page.add(
                event,
                recording.frame(index),
                name=recording.name,
                index=index if recording.n_frames > 1 else None,
                sites=sites,
                notes=[note] if note else [],
            )
        self.report.add(recording, index, event, note)

    def _new_name(self, recording: Recording, index: int) -> str:
        stem = recording.path.stem
        base = stem if recording.n_frames == 1 else f"{stem}_{index:04d}"
        name, copy = f"{base}.png", 1
        while name in self._names:  # the same name in another folder, or with another ending
            copy += 1
            name = f"{base}-{copy}.png"
        self._names.add(name)
        return name


def marks_of(event: DefectEvent) -> list[Mark]:
    """List what a picture shows of an event."""
    return [
        Mark(
            pixel_yx=defect.pixel_yx,
            kind=defect.kind,
            radius_px=defect.extent_px,
            outline_px_yx=None if defect.outline_px_yx is UNSET else tuple(defect.outline_px_yx),
            is_dopant="dopant" in defect.flags,
        )
        for defect in event.defects
    ]


def title_of(recording: Recording, index: int, event: DefectEvent) -> str:
    """File, sites, defects and milliseconds, and what is doubtful about the frame."""
    name = recording.path.name
    frame = f" [{index}]" if recording.n_frames > 1 else ""
    doubts = "".join(f", {word}" for word in event.quality if word != "replay")
    return (
        f"{name}{frame}\n{event.n_sites} sites ({event.n_scored} scored), "
        f"{found_in(event)}, {event.latency_us['total'] / 1000:.1f} ms{doubts}"
    )


def open_lines(out: Path | None, stack: ExitStack) -> TextIO:
    """Open the file for the lines, closed with the stack; standard output if there is none.

    Raises
    ------
    InputError
        It cannot be written.
    """
    if out is None:
        return sys.stdout
    try:
        return stack.enter_context(out.open("w", encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error


def make_folder(folder: Path | None) -> Path | None:
    """Make the folder for pictures, if any.

    Raises
    ------
    InputError
        It cannot be made.
    """
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    return folder
