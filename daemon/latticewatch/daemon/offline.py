"""The daemon's pipeline over recorded frames: files in, one line of JSON per frame out."""

import dataclasses
import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded import Recording, WireFrame, expand_inputs, open_recording
from latticewatch.daemon.config import Settings, load_settings
from latticewatch.daemon.exchange import Incoming, pipeline_settings
from latticewatch.daemon.fitting import (
    FitProcess,
    FitRefusedError,
    FitReport,
    Reference,
    reference_of,
)
from latticewatch.daemon.models import (
    MODEL_SUFFIX,
    ModelSet,
    domain_looks,
    load_patterson,
    require_detector,
)
from latticewatch.daemon.offline_report import Report
from latticewatch.daemon.offline_results import Results, make_folder, open_lines
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.unfitted import event_without_model
from latticewatch.wire.events import Cut, DefectEvent
from latticewatch.wire.frames import Context, FrameHeader
from latticewatch.wire.plain import pack_attrs

SOURCE = "analyze"
DETECTORS = ("reference_cell", "patterson", "domains")
MOST_DEFECTS = 1024  # the protocol's limit: a file has room, unlike a message


def analyze_inputs(
    inputs: list[Path],
    *,
    model: Path | None,
    out: Path | None,
    plot_folder: Path | None,
    detectors: Sequence[str] = DETECTORS,
) -> int:
    """Write an event for every frame of every input.

    Parameters
    ----------
    inputs
        Files and folders.
    model
        A fitted model; None fits one on each input itself, if a detector asks for one.
    out
        File for the lines; None for standard output, and then people are told on standard error.
    plot_folder
        Made if absent; None for no pictures.
    detectors
        Names out of `DETECTORS`: who looks.

    Returns
    -------
    int
        Inputs that gave no answer; each has said why on standard error.

    Raises
    ------
    InputError
        No input can be found, or the results cannot be written.
    ModelError
        The model is refused.
    """
    paths = expand_inputs(inputs)
    settings = with_detectors(offline_settings(), detectors)
    with ExitStack() as stack:
        report = Report(sys.stderr if out is None else sys.stdout)
        results = Results(open_lines(out, stack), make_folder(plot_folder), report)
        choose: Callable[[Recording], Pipeline]
        if model is not None or not settings.detectors.patterson.enabled:
            pipeline = make_pipeline(settings if model is None else with_model(settings, model))
            choose = lambda _: pipeline  # noqa: E731 - one of two ways to choose
        else:
            choose = FitOnItself(
                fitter=stack.enter_context(FitProcess()),
                folder=Path(stack.enter_context(tempfile.TemporaryDirectory())),
                settings=settings,
            )
        for path in paths:
            try:
                recording = open_recording(path)
                try:
                    pipeline = choose(recording)
                except FitRefusedError as refusal:
                    results.fail(refusal)
                    write_unscored(recording, settings, results)
                else:
                    analyze_recording(recording, pipeline, results)
            except InputError as failure:
                results.fail(failure)
        report.finish(n_failed=results.n_failed, out=out, plot_folder=plot_folder)
        return results.n_failed


class Fitter(Protocol):
    """Whatever fits a model to frames."""

    def fit(self, reference: Reference, *, out: Path) -> FitReport:
        """Write a model file, or raise `FitRefusedError`."""
        ...


@dataclass(frozen=True, slots=True)
class FitOnItself:
    """Makes the pipeline of a recording with a model fitted on the recording itself."""

    fitter: Fitter
    folder: Path
    settings: Settings

    def __call__(self, recording: Recording) -> Pipeline:
        """Fit, say what the fit warned of, and build."""
        model = self.folder / f"model{MODEL_SUFFIX}"
        try:
            report = self.fitter.fit(reference_of([recording]), out=model)
        except FitRefusedError as refusal:
            if not self.settings.detectors.reference_cell.enabled:
                raise
            sys.stderr.write(f"{refusal}; patterson does not look, others do\n")
            others = [
                name
                for name in DETECTORS
                if name != "patterson" and getattr(self.settings.detectors, name).enabled
            ]
            return make_pipeline(with_detectors(self.settings, others))
        for warning in report.warnings:
            sys.stderr.write(f"{recording.path}: {warning}\n")
        # The file is gone after the run, and its folder has another name in each: say what it was.
        return make_pipeline(with_model(self.settings, model), artifact=f"fitted:{recording.name}")


def offline_settings() -> Settings:
    """Take the daemon's defaults and environment, with room for every defect and time for lines."""
    settings = load_settings()
    always = settings.detectors.domains.model_copy(update={"always": True})
    return settings.model_copy(
        update={
            "source": settings.source.model_copy(update={"name": SOURCE}),
            "detectors": settings.detectors.model_copy(update={"domains": always}),
            "events": settings.events.model_copy(update={"max_defects": MOST_DEFECTS}),
        }
    )


def with_detectors(settings: Settings, names: Sequence[str]) -> Settings:
    """Let these detectors look, and no other."""
    chosen = {
        name: getattr(settings.detectors, name).model_copy(update={"enabled": name in names})
        for name in DETECTORS
    }
    return settings.model_copy(update={"detectors": settings.detectors.model_copy(update=chosen)})


def with_model(settings: Settings, model: Path) -> Settings:
    """Take a model file in place of the one that the settings name."""
    patterson = settings.detectors.patterson.model_copy(update={"model": str(model)})
    detectors = settings.detectors.model_copy(update={"patterson": patterson})
    return settings.model_copy(update={"detectors": detectors})


def make_pipeline(settings: Settings, *, artifact: str | None = None) -> Pipeline:
    """Build the daemon's pipeline, without the daemon.

    Parameters
    ----------
    settings
        As the daemon's.
    artifact
        What the events call the model; None calls it as the settings do.

    Raises
    ------
    ModelError
        A model is missing or refused.
    """
    require_detector(settings.detectors)
    patterson = None
    if settings.detectors.patterson.enabled:
        patterson = load_patterson(settings.detectors.patterson.model)
        if artifact is not None:
            patterson = dataclasses.replace(patterson, artifact=artifact)
    return Pipeline(
        models=ModelSet(
            patterson,
            settings.detectors.reference_cell.enabled,
            domain_looks(settings.detectors.domains),
        ),
        settings=pipeline_settings(settings),
        clock=SystemClock(),
    )


def analyze_recording(recording: Recording, pipeline: Pipeline, results: Results) -> None:
    """Write the event of every frame of a recording, in order."""
    for index in range(recording.n_frames):
        incoming = incoming_frame(recording, index)
        if index == 0:  # compiles, so that the first frame's time is like the others'
            pipeline.warm_up(recording.shape_yx, incoming.header.dtype)
        outcome = pipeline.process(incoming)
        results.write(recording, index, numbered(outcome.event, incoming), note=outcome.note)


def write_unscored(recording: Recording, settings: Settings, results: Results) -> None:
    """Write events that say that nothing is known, for a recording that no model fits."""
    detect = settings.detect
    cut = Cut(rule="per_frame", value=detect.false_alarms_per_frame or 0.0)
    if detect.fdr is not None:
        cut = Cut(rule="fdr", value=detect.fdr)
    for index in range(recording.n_frames):
        incoming = incoming_frame(recording, index)
        results.write(recording, index, numbered(event_without_model(incoming, cut), incoming))


def numbered(event: DefectEvent, incoming: Incoming) -> DefectEvent:
    """Give an event the envelope that it would have if published: a line is a valid message."""
    return msgspec.structs.replace(
        event,
        stream=incoming.header.session,
        seq=incoming.header.seq,
        t_pub_ns=SystemClock().utc_ns(),
    )


def incoming_frame(recording: Recording, index: int) -> Incoming:
    """Present a recorded frame as the receive thread would."""
    frame = recording.wire_frame(index)
    return Incoming(
        header=header_of(recording, frame, index=index),
        pixels=frame.pixels,
        t_recv_ns=SystemClock().utc_ns(),
        queue_us=0,
        validate_us=0,
    )


def header_of(recording: Recording, frame: WireFrame, *, index: int) -> FrameHeader:
    """Build the header that a recorded frame would have on the wire.

    Nobody knows when it was acquired: the file's own time stands for the time.
    """
    context = recording.context
    return FrameHeader(
        source=SOURCE,
        session=hashlib.sha256(str(recording.path).encode(errors="replace")).hexdigest()[:32],
        seq=index,
        shape_yx=recording.shape_yx,
        dtype=frame.pixels.dtype.str.lstrip("|"),
        t_complete_ns=max(recording.path.stat().st_mtime_ns, 1),
        t_source="replay",
        dropped=0,
        frame_index=index,
        calibrated=context is not None,
        context=context or Context(size_yx=recording.shape_yx),
        attrs=pack_attrs(frame.attrs),
    )
