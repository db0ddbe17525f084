"""Fitting in a process of its own: `python -m latticewatch.detectors.fit`.

Reads one JSON job per line from standard input and answers each with one JSON line, so that one
process serves many fits. A job: {"detector", "frames": NPZ of 2-D arrays, "out": model file,
"parameters": {...}, "provenance": {...}, "labels": what messages call each frame,
"labelled": what a person says of them}. An answer:
{"ok": true, "out", "sha256", "told": a few words, "warnings", and what the detector reports} or
{"ok": false, "error": one line}. Before it, a long fit may say how far it is:
{"progress": {"done", "of", "seconds_left", "text"}}.

A detector that learns to be fitted adds one entry to `_FITS`.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.dead_pixels import fill_dead
from latticewatch.detectors.motifs import fit as motifs
from latticewatch.detectors.motifs.model import DETECTOR as MOTIFS
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.motifs.parameters import MotifParameters
from latticewatch.detectors.patterson import fit as patterson
from latticewatch.detectors.patterson.model import DETECTOR as PATTERSON
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry import fit as symmetry
from latticewatch.detectors.symmetry.gate_labels import PlacedLabel
from latticewatch.detectors.symmetry.labelled_fit import GateOptions, Labelled, fit_labelled
from latticewatch.detectors.symmetry.model import DETECTOR as SYMMETRY
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.vae import fit_any
from latticewatch.detectors.vae.model import DETECTOR as VAE
from latticewatch.kernels.pixels import native_float32

Frames = list[NDArray[np.float32]]
Plain = dict[str, Any]  # Any: JSON
Tell = Callable[[Plain], None]
"""Takes how far a fit is."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model as its file holds it.

    Attributes
    ----------
    header, arrays
        Of the artifact.
    report
        What the fit found out; with "warnings".
    told
        The same in a few words.
    lines
        What more people want to read.
    """

    header: Plain
    arrays: dict[str, NDArray[Any]]  # Any: whatever the detector keeps
    report: Plain
    told: str
    lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Lot:
    """What a fit is given.

    Attributes
    ----------
    frames, labels
        Frames that show something, and what messages call each.
    numbers
        Of each, among all that were sent.
    labelled
        What a person says of them; None: nothing.
    out
        The file that the model will be written to; an earlier one may be there.
    """

    frames: Frames
    labels: list[str]
    numbers: list[int]
    labelled: Labelled | None = None
    out: Path | None = None


def serve(jobs: Iterable[str], answers: TextIO) -> None:
    """Do each job of a stream of lines; a bad one is answered and the next one done."""

    def write(message: Plain) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    def tell(progress: Plain) -> None:
        write({"progress": progress})

    for line in jobs:
        if not line.strip():
            continue
        try:
            answer: Plain = {"ok": True, **_do(json.loads(line), tell)}
        except Exception as error:  # whatever it is: the job is answered, and the next one done
            answer = {"ok": False, "error": _one_line(error)}
        write(answer)


def _one_line(error: Exception) -> str:
    text = str(error) if isinstance(error, FitError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _do(job: Plain, tell: Tell) -> Plain:
    name = job["detector"]
    if name not in _FITS:
        raise FitError(f"detector {name!r} cannot be fitted, expected one of {list(_FITS)}")
    out = Path(job["out"])
    lot = _read_lot(Path(job["frames"]), job.get("labels"), job.get("labelled"))
    lot = dataclasses.replace(lot, out=out)
    made = _FITS[name]({**job.get("parameters", {})}, lot, tell)
    header = {**made.header, "provenance": job.get("provenance", {}), "report": made.report}
    sha256 = write_artifact(out, detector=name, header=header, arrays=made.arrays)
    told = {"told": made.told, "lines": list(made.lines)}
    return {"out": str(out), "sha256": sha256, **told, **made.report}


def _fit_patterson(given: Plain, lot: Lot, _: Tell) -> Fitted:
    """Fit scheme one; a parameter "preset": "as_published" changes the defaults of the others."""
    preset = given.pop("preset", None)
    if preset not in (None, "as_published"):
        raise FitError(f"preset {preset!r:.40} is unknown, expected 'as_published'")
    usual = PattersonParameters() if preset is None else PattersonParameters.as_published()
    parameters = dataclasses.replace(usual, **given)
    model, report = patterson.fit(lot.frames, parameters, lot.labels)
    return Fitted(
        header={**model.header(), "parameters": dataclasses.asdict(parameters)},
        arrays=model.arrays(),
        report=dataclasses.asdict(report),
        told=f"{report.n_sites} sites, {report.n_components} components, nu {report.nu:.3g}",
    )


def _fit_vae(given: Plain, lot: Lot, tell: Tell) -> Fitted:
    """Fit the autoencoder: on sites of a lattice, on windows without one, or as published."""
    made = fit_any.fit_any(given, lot.frames, lot.labels, tell)
    return Fitted(made.header, made.arrays, made.report, made.told)


def _fit_symmetry(given: Plain, lot: Lot, _: Tell) -> Fitted:
    """Fit the symmetry maps, with a gate where there are labels.

    Whether columns are bright makes no difference to them.
    """
    given.pop("polarity", None)
    weights = given.pop("gate_weights", None)
    options = GateOptions(given.pop("seed", 0), None if weights is None else Path(weights))
    parameters = SymmetryParameters(**given)
    lines: list[str] = []
    gate: Plain = {}
    if lot.labelled is None:
        model, report = symmetry.fit(lot.frames, parameters, lot.labels)
    else:
        frames = dict(zip(lot.numbers, lot.frames, strict=True))
        names = dict(zip(lot.numbers, lot.labels, strict=True))
        model, report, made = fit_labelled(frames, names, lot.labelled, parameters, options)
        lines = made.report.lines()
        gate = {"gate": dataclasses.asdict(made.report)}
    return Fitted(
        header={**model.header(), "parameters": dataclasses.asdict(parameters)},
        arrays=model.arrays(),
        report=dataclasses.asdict(report) | gate,
        told=f"model tile {report.model_tile}, {report.n_clean} of {report.n_tiles} tiles clean",
        lines=lines,
    )


def _fit_motifs(given: Plain, lot: Lot, _: Tell) -> Fitted:
    """Find the kinds of sites; a parameter "keep" names the model whose ids and names are kept.

    Without it they are those of the file that is written over, if that is a model of motifs.
    """
    keep = given.pop("keep", None)
    parameters = MotifParameters(**given)
    notes: list[str] = []
    kept = _kept_motifs(None if keep is None else Path(keep), lot.out, notes)
    model, report = motifs.fit(lot.frames, parameters, lot.labels, kept)
    plain = dataclasses.asdict(report)
    lines = plain.pop("lines")
    return Fitted(
        header={**model.header(), "parameters": dataclasses.asdict(parameters)},
        arrays=model.arrays(),
        report=plain | {"warnings": [*notes, *report.warnings]},
        told=f"{report.n_classes} classes of {report.n_sites} sites, {report.n_lone} of none",
        lines=lines,
    )


def _kept_motifs(keep: Path | None, out: Path | None, notes: list[str]) -> MotifModel | None:
    """Read the earlier model; FitError where the one that was named cannot be read."""
    path = keep or out
    if path is None or (keep is None and not path.is_file()):
        return None
    try:
        return MotifModel.from_artifact(Artifact.read(path), str(path))
    except ModelError as error:
        if keep is not None:
            raise FitError(f"--keep {error}") from error
        notes.append(f"no ids are kept of the file that was there: {error}")
        return None


_Fit = Callable[[Plain, Lot, Tell], Fitted]
_FITS: dict[str, _Fit] = {
    PATTERSON: _fit_patterson,
    VAE: _fit_vae,
    SYMMETRY: _fit_symmetry,
    MOTIFS: _fit_motifs,
}


def _read_lot(path: Path, labels: list[str] | None, labelled: Plain | None) -> Lot:
    """Read the 2-D arrays of an NPZ, in order of their names, as the daemon would see them.

    With them come their labels, without those of frames that hold nothing.
    """
    frames, kept, numbers = [], [], []
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        labels = labels or [f"frame {number}" for number in range(len(stored.files))]
        for number, name in enumerate(sorted(stored.files)):
            pixels = stored[name]
            if pixels.ndim != 2:
                raise FitError(f"{path.name}: {name} has {pixels.ndim} axes, expected 2")
            frame = np.empty(pixels.shape, np.float32)
            native_float32(pixels, frame)
            if fill_dead(frame).any():
                frames.append(frame)
                kept.append(labels[number])
                numbers.append(number)
    if not frames:
        raise FitError(f"{path.name}: no frame with finite pixels")
    return Lot(frames, kept, numbers, None if labelled is None else _read_labelled(labelled))


def _read_labelled(labelled: Plain) -> Labelled:
    """Take the labels of a job: {"masks": NPZ or null, "rows": [[frame, place, is a defect]]}."""
    masks: dict[int, NDArray[Any]] = {}
    if labelled["masks"] is not None:
        with Path(labelled["masks"]).open("rb") as file, np.load(file) as stored:
            masks = {number: stored[name] for number, name in enumerate(sorted(stored.files))}
    rows = [
        PlacedLabel(frame, None if place is None else (place[0], place[1]), is_defect)
        for frame, place, is_defect in labelled["rows"]
    ]
    return Labelled(masks, rows)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
