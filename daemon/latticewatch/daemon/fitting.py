"""Reference frames to a model file, by the fitting process; nothing is fitted in this one."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from latticewatch.adapters.errors import InputError
from latticewatch.daemon.fit_labels import Labels
from latticewatch.daemon.processes import Child, CommandError
from latticewatch.daemon.reference_frames import Frame, Reference

FIT_MODULE = "latticewatch.detectors.fit"
# A fit of scheme one takes 3 s for 1024 x 1024 pixels, a network says how far it is every few
# seconds, and nobody waits ten minutes for a word.
FIT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class FitReport:
    """What the fitting process said about a model it wrote.

    Attributes
    ----------
    path, sha256
        Of the file.
    told
        What kind of model it is, in a few words and numbers; each detector has its own.
    warnings
        One line each.
    lines
        What else people want to read of it, as the accuracy on labelled tiles.
    """

    path: Path
    sha256: str
    told: str
    warnings: tuple[str, ...]
    lines: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.path}: {self.told}, sha256 {self.sha256[:16]}"


@dataclass(frozen=True, slots=True)
class FitProgress:
    """How far a long fit is.

    Attributes
    ----------
    done, of
        Steps, of at most so many.
    seconds_left
        If all of them are needed.
    text
        What a log would say.
    """

    done: int
    of: int
    seconds_left: float
    text: str


class FitRefusedError(CommandError):
    """These frames cannot be fitted; the message names them and says why."""


def check_output(path: Path) -> None:
    """See that a model file can be written before minutes go into fitting it.

    Raises
    ------
    InputError
        Its folder is not there or read-only, or a folder has its name.
    """
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: make it, or write {path.name} elsewhere")
    if path.is_dir():
        raise InputError(f"{path}: is a folder: name a file in it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot be written to: write {path.name} elsewhere")


class FitProcess:
    """A process that fits models one after the other; started once, for its imports take a second.

    Use it as a context manager; leaving stops it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="latticewatch-fit-")
        self._child = Child(name="the fit", module=FIT_MODULE, arguments=[])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stop()
        self._folder.cleanup()

    def fit(
        self,
        reference: Reference,
        *,
        out: Path,
        detector: str = "patterson",
        parameters: dict[str, Any] | None = None,
        labelled: Labels | None = None,
        progress: Callable[[FitProgress], None] | None = None,
    ) -> FitReport:
        """Fit one model and write it.

        Parameters
        ----------
        reference
            Frames; a few per cent of defects do no harm.
        out
            The file to write.
        detector
            Its name.
        parameters
            Settings of the fit that differ from its defaults.
        labelled
            What a person says of the frames, for a detector that learns from it.
        progress
            Told now and then how far a long fit is.

        Raises
        ------
        FitRefusedError
            The frames do not permit a fit.
        CommandError
            The process broke or did not answer.
        """
        frames = self._written("frames", reference.images)
        self._child.send_json(
            {
                "detector": detector,
                "frames": str(frames),
                "out": str(out),
                "parameters": {"polarity": reference.polarity} | (parameters or {}),
                "provenance": reference.provenance,
                "labels": reference.labels,
                "labelled": None if labelled is None else self._told(labelled),
            }
        )
        while "progress" in (answer := self._child.receive_json(timeout_s=FIT_TIMEOUT_S)):
            if progress is not None:
                progress(FitProgress(**answer["progress"]))
        frames.unlink()
        if not answer.get("ok"):
            names = ", ".join(entry["name"] for entry in reference.provenance["inputs"])
            raise FitRefusedError(f"{names}: {answer.get('error', 'the fit gave no reason')}")
        return FitReport(
            path=Path(answer["out"]),
            sha256=answer["sha256"],
            told=answer["told"],
            warnings=tuple(answer["warnings"]),
            lines=tuple(answer.get("lines", ())),
        )

    def _written(self, name: str, images: Sequence[Frame]) -> Path:
        """Write images for the other process, by the numbers of their frames."""
        path = Path(self._folder.name) / f"{name}.npz"
        named = {f"frame_{number:05d}": image for number, image in enumerate(images)}
        np.savez(path, **named)  # type: ignore[arg-type] # numpy takes any names but its own two
        return path

    def _told(self, labelled: Labels) -> dict[str, Any]:  # Any: JSON
        masks = str(self._written("masks", labelled.masks)) if labelled.masks else None
        rows = [[row.frame, row.middle_px_yx, row.is_defect] for row in labelled.rows]
        return {"masks": masks, "rows": rows}
