"""What `analyze` tells people: a line per frame and one for all; programs read the events."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from latticewatch.adapters.recorded import Recording
from latticewatch.wire.events import DefectEvent

# Why nothing is known of a frame, and what to do. The first of these words that the event
# has is the cause: the pipeline looks for a lattice only where the pixels are good enough.
ADVICE = {
    "constant": "all pixels are alike: check the detector and the file",
    "not_periodic": "no lattice is seen: check magnification, focus and dose",
    "model_stale": "the model is of another crystal, magnification, angle or dose: "
    "`latticewatch fit` one on frames like this",
    "nonfinite": "too many pixels are NaN or infinite: mask fewer",
    "saturated": "too many pixels are at the detector's limit: lower its gain",
    "model_missing": "no model could be fitted on it: give one with --model",
}
NO_SITES = "no site has a whole window of crystal round it: give a larger field of view"


@dataclass(slots=True)
class Report:
    """Lines for people, and what they add up to.

    Attributes
    ----------
    out
        Receives the lines.
    n_frames, n_scored, n_defects, n_dopants
        So far; dopants are no defects.
    """

    out: TextIO
    n_frames: int = 0
    n_scored: int = 0
    n_defects: int = 0
    n_dopants: int = 0

    def add(self, recording: Recording, index: int, event: DefectEvent, note: str = "") -> None:
        """Count a frame and write its line, with a note where there is one."""
        self.n_frames += 1
        self.n_scored += event.outcome == "scored"
        n_dopants = dopants_in(event)
        self.n_defects += event.n_defects - n_dopants
        self.n_dopants += n_dopants
        told = outcome_of(event)
        if note:
            told = f"{told}; {note.removeprefix('not periodic: ')}"
        self._write(f"{recording.path} [{index}]: {told}")

    def finish(
        self,
        *,
        n_failed: int,
        out: Path | None,
        plot_folder: Path | None,
        page: Path | None = None,
    ) -> None:
        """Write what all inputs add up to, and where the results are."""
        total = (
            f"{counted(self.n_frames, 'frame')}, {self.n_scored} scored, "
            f"{found(self.n_defects, self.n_dopants)}"
        )
        if n_failed:
            total += f", {counted(n_failed, 'input')} failed"
        total += "; events on standard output" if out is None else f"; events in {out}"
        total += "" if plot_folder is None else f", plots in {plot_folder}"
        total += "" if page is None else f", report in {page}"
        self._write(total)

    def _write(self, line: str) -> None:
        self.out.write(f"{line}\n")


def outcome_of(event: DefectEvent) -> str:
    """Sites, defects and milliseconds, and what is doubtful; or why nothing is known."""
    words = [word for word in event.quality if word != "replay"]
    if event.outcome == "not_scored":
        return f"not scored: {reason_of(words)}"
    numbers = (
        f"{event.n_sites} sites, {event.n_scored} scored, "
        f"{found_in(event)}, "
        f"{event.latency_us['total'] / 1000:.1f} ms"
    )
    return ", ".join([numbers, *words])


def dopants_in(event: DefectEvent) -> int:
    """Count the columns of a second species that are listed."""
    return sum("dopant" in defect.flags for defect in event.defects)


def found_in(event: DefectEvent) -> str:
    """Say what an event lists."""
    n_dopants = dopants_in(event)
    return found(event.n_defects - n_dopants, n_dopants)


def found(n_defects: int, n_dopants: int) -> str:
    """Say what is listed; dopants for themselves, where there are any."""
    told = counted(n_defects, "defect")
    return f"{told}, {counted(n_dopants, 'dopant')}" if n_dopants else told


def reason_of(words: Sequence[str]) -> str:
    """Name what is wrong with a frame, and say what to do.

    Examples
    --------
    >>> reason_of(["constant"])
    'constant: all pixels are alike: check the detector and the file'
    """
    cause = next((word for word in ADVICE if word in words), None)
    return NO_SITES if cause is None else f"{', '.join(words)}: {ADVICE[cause]}"


def counted(number: int, name: str) -> str:
    """Put a number and its noun together.

    Examples
    --------
    >>> counted(1, "frame"), counted(2, "frame")
    ('1 frame', '2 frames')
    """
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
