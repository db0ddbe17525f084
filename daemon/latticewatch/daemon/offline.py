"""The daemon's pipeline over recorded frames: files in, one line of JSON per frame out."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from latticewatch.adapters.errors import InputError
from latticewatch.adapters.recorded import Recording, expand_inputs, open_recording
from latticewatch.daemon.config import Settings
from latticewatch.daemon.fitting import FitProcess, FitRefusedError
from latticewatch.daemon.motif_page import MotifPage
from latticewatch.daemon.motif_page_files import check_report
from latticewatch.daemon.offline_frames import incoming_frame, numbered, with_pixel_size
from latticewatch.daemon.offline_pipeline import FitOnItself, make_pipeline
from latticewatch.daemon.offline_report import Report
from latticewatch.daemon.offline_results import Destination, Results, make_folder, open_lines
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.unfitted import event_without_model
from latticewatch.wire.events import Cut


def analyze_inputs(
    inputs: list[Path],
    *,
    settings: Settings,
    to_fit: Sequence[str],
    to: Destination,
    pixel_size_pm: float | None = None,
) -> int:
    """Write an event for every frame of every input.

    Parameters
    ----------
    inputs
        Files and folders.
    settings
        Who looks, and at what.
    to_fit
        Detectors whose model is fitted on each input itself; those of others are in the settings.
    to
        Where the results go.
    pixel_size_pm
        Of all inputs, in place of what their files say.

    Returns
    -------
    int
        Inputs that gave no answer; each has said why on standard error.

    Raises
    ------
    InputError
        No input can be found, or the results cannot be written.
    ModelError
        A model is refused.
    """
    paths = expand_inputs(inputs)
    if to.page is not None:
        check_report(to.page, inputs=paths, out=to.out)
    pictures = to.plot_folder is not None or to.page is not None
    with ExitStack() as stack:
        report = Report(sys.stderr if to.out is None else sys.stdout)
        results = Results(open_lines(to.out, stack), make_folder(to.plot_folder), report)
        if to.page is not None:
            results.page = MotifPage(to.page)
        choose = _way_to_choose(settings, to_fit, stack, pictures=pictures, tell=results.warn)
        for path in paths:
            try:
                recording, note = with_pixel_size(open_recording(path), pixel_size_pm)
                if note:
                    results.warn(f"{path}: {note}")
                _analyze_one(recording, choose, settings, results)
            except InputError as failure:
                results.fail(failure)
        if results.page is not None:
            results.page.write()
        report.finish(
            n_failed=results.n_failed, out=to.out, plot_folder=to.plot_folder, page=to.page
        )
        return results.n_failed


def _way_to_choose(
    settings: Settings,
    to_fit: Sequence[str],
    stack: ExitStack,
    *,
    pictures: bool,
    tell: Callable[[str], object],
) -> Callable[[Recording], Pipeline]:
    """One pipeline for all recordings, or one for each with models fitted on it."""
    if not to_fit:
        pipeline = make_pipeline(settings, pictures=pictures)
        return lambda _: pipeline
    return FitOnItself(
        fitter=stack.enter_context(FitProcess()),
        folder=Path(stack.enter_context(tempfile.TemporaryDirectory())),
        settings=settings,
        names=to_fit,
        pictures=pictures,
        tell=tell,
    )


def _analyze_one(
    recording: Recording,
    choose: Callable[[Recording], Pipeline],
    settings: Settings,
    results: Results,
) -> None:
    """Write the events of a recording; where no model fits it, that nothing is known."""
    try:
        pipeline = choose(recording)
    except FitRefusedError as refusal:
        results.fail(refusal)
        write_unscored(recording, settings, results)
    else:
        analyze_recording(recording, pipeline, results)


def analyze_recording(recording: Recording, pipeline: Pipeline, results: Results) -> None:
    """Write the event of every frame of a recording, in order."""
    for index in range(recording.n_frames):
        incoming = incoming_frame(recording, index)
        if index == 0:  # compiles, so that the first frame's time is like the others'
            pipeline.warm_up(recording.shape_yx, incoming.header.dtype)
        outcome = pipeline.process(incoming)
        note = "; ".join(said for said in (outcome.note, outcome.warning) if said)
        event = numbered(outcome.event, incoming)
        results.write(
            recording,
            index,
            event,
            note=note,
            pictures=outcome.pictures,
            sites=outcome.motifs,
        )


def write_unscored(recording: Recording, settings: Settings, results: Results) -> None:
    """Write events that say that nothing is known, for a recording that no model fits."""
    detect = settings.detect
    cut = Cut(rule="per_frame", value=detect.false_alarms_per_frame or 0.0)
    if detect.fdr is not None:
        cut = Cut(rule="fdr", value=detect.fdr)
    for index in range(recording.n_frames):
        incoming = incoming_frame(recording, index)
        results.write(recording, index, numbered(event_without_model(incoming, cut), incoming))
