"""Fitting in a process of its own: `python -m latticewatch.detectors.fit`.

Reads one JSON job per line from standard input and answers each with one JSON line, so that one
process serves many fits. A job: {"method", "frames": NPZ of 2-D arrays, "out": model file,
"parameters": {...}, "provenance": {...}, "labels": what messages call each frame}; a parameter
"preset": "as_published" changes the defaults of the others. An answer:
{"ok": true, "out", "sha256", "n_sites", "n_components", "nu", "n_support", "n_frames", "warnings"}
or {"ok": false, "error": one line}.
"""

import dataclasses
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import write_artifact
from latticewatch.detectors.dead_pixels import fill_dead
from latticewatch.detectors.patterson import fit as patterson
from latticewatch.detectors.patterson.model import DETECTOR, PattersonModel
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.reference import FitError
from latticewatch.kernels.pixels import native_float32

_METHODS = (DETECTOR,)


def serve(jobs: Iterable[str], answers: TextIO) -> None:
    """Do each job of a stream of lines; a bad one is answered and the next one done."""
    for line in jobs:
        if not line.strip():
            continue
        try:
            answer: dict[str, Any] = {"ok": True, **_do(json.loads(line))}  # Any: JSON
        except Exception as error:  # whatever it is: the job is answered, and the next one done
            answer = {"ok": False, "error": _one_line(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _one_line(error: Exception) -> str:
    text = str(error) if isinstance(error, FitError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _do(job: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    method = job["method"]
    if method not in _METHODS:
        raise FitError(f"method {method!r} cannot be fitted, expected one of {list(_METHODS)}")
    parameters = _parameters({**job.get("parameters", {})})
    frames, labels = _read_frames(Path(job["frames"]), job.get("labels"))
    model, report = patterson.fit(frames, parameters, labels)
    out = Path(job["out"])
    sha256 = write_artifact(
        out,
        detector=DETECTOR,
        header=_header(model, parameters, job.get("provenance", {}), report),
        arrays=model.arrays(),
    )
    return {"out": str(out), "sha256": sha256, **dataclasses.asdict(report)}


def _parameters(given: dict[str, Any]) -> PattersonParameters:  # Any: JSON
    """Put settings over the defaults, or over those of the preset that is named."""
    preset = given.pop("preset", None)
    if preset not in (None, "as_published"):
        raise FitError(f"preset {preset!r:.40} is unknown, expected 'as_published'")
    usual = PattersonParameters() if preset is None else PattersonParameters.as_published()
    return dataclasses.replace(usual, **given)


def _header(
    model: PattersonModel,
    parameters: PattersonParameters,
    provenance: dict[str, Any],  # Any: JSON
    report: patterson.FitReport,
) -> dict[str, Any]:
    return {
        **model.header(),
        "parameters": dataclasses.asdict(parameters),
        "provenance": provenance,
        "report": dataclasses.asdict(report),
    }


def _read_frames(
    path: Path, labels: list[str] | None
) -> tuple[list[NDArray[np.float32]], list[str]]:
    """Read the 2-D arrays of an NPZ, in order of their names, as the daemon would see them.

    With them come their labels, without those of frames that hold nothing.
    """
    frames, kept = [], []
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        labels = labels or [f"frame {number}" for number in range(len(stored.files))]
        for label, name in zip(labels, sorted(stored.files), strict=True):
            pixels = stored[name]
            if pixels.ndim != 2:
                raise FitError(f"{path.name}: {name} has {pixels.ndim} axes, expected 2")
            frame = np.empty(pixels.shape, np.float32)
            native_float32(pixels, frame)
            if fill_dead(frame).any():
                frames.append(frame)
                kept.append(label)
    if not frames:
        raise FitError(f"{path.name}: no frame with finite pixels")
    return frames, kept


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
