"""Reference frames to a model file, by the fitting process; nothing is fitted in this one."""

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded import Recording, expand_inputs, open_recording, wire_pixels
from latticewatch.daemon.processes import Child, CommandError
from latticewatch.detectors.polarity import contrast_of_channel

FIT_MODULE = "latticewatch.detectors.fit"
# A fit of scheme one takes 3 s for 1024 x 1024 pixels, a network says how far it is every few
# seconds, and nobody waits ten minutes for a word.
FIT_TIMEOUT_S = 600.0
# 64 frames of 1024 x 1024: more than the fit takes sites from, and 256 MB in the other process.
MOST_REFERENCE_PIXELS = 64 * 2**20

Frame = NDArray[Any]  # Any: one of the wire's pixel types


@dataclass(frozen=True, slots=True)
class Reference:
    """Frames to fit on, and where they came from.

    Attributes
    ----------
    images : list of (H, W)
        In wire types, as the daemon would receive them.
    provenance
        For the model file: names of the inputs and the frames taken of each.
    labels : list of str
        What messages call each image.
    polarity
        "bright" or "dark" columns, where the names of all files say the channel and agree; else
        "auto", and the frames decide.
    """

    images: list[Frame]
    provenance: dict[str, Any]  # Any: JSON
    labels: list[str]
    polarity: str = "auto"


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
    """

    path: Path
    sha256: str
    told: str
    warnings: tuple[str, ...]

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


def gather_frames(inputs: Iterable[Path]) -> Reference:
    """Read all frames of the inputs, evenly thinned where they would be too many.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    recordings = [open_recording(path) for path in expand_inputs(inputs)]
    return reference_of(recordings)


def reference_of(recordings: list[Recording]) -> Reference:
    """Read the frames of opened recordings, evenly thinned where they would be too many."""
    places = [(recording, index) for recording in recordings for index in range(recording.n_frames)]
    n_pixels = sum(recording.shape_yx[0] * recording.shape_yx[1] for recording, _ in places)
    step = -(-n_pixels // MOST_REFERENCE_PIXELS)  # rounded up
    chosen = places[:: max(step, 1)]
    taken: dict[Path, list[int]] = {}  # by path: two folders may hold files of one name
    for recording, index in chosen:
        taken.setdefault(recording.path, []).append(index)
    return Reference(
        images=[wire_pixels(recording.frame(index)) for recording, index in chosen],
        provenance={"inputs": [{"name": path.name, "frames": taken[path]} for path in taken]},
        labels=[
            recording.name if recording.n_frames == 1 else f"{recording.name} [{index}]"
            for recording, index in chosen
        ],
        polarity=_polarity_of([recording.name for recording in recordings]),
    )


def _polarity_of(names: list[str]) -> str:
    contrasts = {contrast_of_channel(name) for name in names}
    if len(contrasts) != 1:
        return "auto"
    return {1: "bright", -1: "dark", None: "auto"}[contrasts.pop()]


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
        progress: Callable[[FitProgress], None] | None = None,
    ) -> FitReport:
        """Fit one model and write it.

        Parameters
        ----------
        reference
            Frames without labels; a few per cent of defects do no harm.
        out
            The file to write.
        detector
            Its name.
        parameters
            Settings of the fit that differ from its defaults.
        progress
            Told now and then how far a long fit is.

        Raises
        ------
        FitRefusedError
            The frames do not permit a fit.
        CommandError
            The process broke or did not answer.
        """
        frames = Path(self._folder.name) / "frames.npz"
        named = {f"frame_{number:05d}": image for number, image in enumerate(reference.images)}
        np.savez(frames, **named)  # type: ignore[arg-type] # numpy takes any names but its own two
        self._child.send_json(
            {
                "detector": detector,
                "frames": str(frames),
                "out": str(out),
                "parameters": {"polarity": reference.polarity} | (parameters or {}),
                "provenance": reference.provenance,
                "labels": reference.labels,
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
        )
