"""One daemon from its settings: settings, models, warm-up, `gc.freeze`, sockets, READY, signals.

Called by the command line, it is the one place of the running daemon that builds objects.
"""

import gc
import json
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import zmq

from latticewatch.adapters.publisher import EventPublisher
from latticewatch.daemon.accounting import FrameAccounting
from latticewatch.daemon.backlog import LatestBacklog, WaitingBacklog
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import Settings
from latticewatch.daemon.exchange import pipeline_settings
from latticewatch.daemon.intake import Intake
from latticewatch.daemon.late_worker import LateAnalyser, LateWorker
from latticewatch.daemon.lifecycle import EXIT_ASKED, Daemon
from latticewatch.daemon.logs import LogBook, make_logger
from latticewatch.daemon.metrics import Metrics, count_kernel_variants, resident_bytes
from latticewatch.daemon.model_choices import late_names
from latticewatch.daemon.models import ModelError, ModelSet, load_models
from latticewatch.daemon.motif_worker import MotifWorker, ProposesMotifs
from latticewatch.daemon.opening import (
    CannotStartError,
    open_http,
    open_publisher,
    open_receiver,
)
from latticewatch.daemon.outbox import Outbox
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.ports import Clock, SystemClock
from latticewatch.daemon.presence import Presence, Readiness
from latticewatch.daemon.previews import Previews
from latticewatch.daemon.service import Analyser, Service
from latticewatch.daemon.signals import AskedToStop, StopRequest

__all__ = ["Analysis", "CannotStartError", "build_daemon", "load_analysis", "run_daemon"]

EXIT_MODEL_REFUSED: Final = 78

# How long a thread may keep the interpreter while others want it. By default 5 ms: a late detector
# in plain Python then delayed one event in ten by 10 ms, with this by nothing that could be seen.
SWITCH_S: Final = 0.0005
WATCH_S: Final = 0.1  # how late a signal or a dead thread is noticed
# The plan that is compiled before READY; another shape costs its first frame some allocation.
WARM_UP_SHAPE_YX: Final = (512, 512)
WARM_UP_DTYPE: Final = "<u2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What judges frames, and how it is described to others.

    Attributes
    ----------
    late
        Answers what the pipeline leaves, in a thread of its own; None if it leaves nothing.
    motifs
        What proposes motif classes, in a thread of its own; None where none are proposed.
    previews
        By which the pipeline knows whether a picture is due.
    """

    pipeline: Analyser
    model_set: str
    models: Sequence[Mapping[str, object]]
    late: LateAnalyser | None = None
    motifs: ProposesMotifs | None = None
    previews: Previews = field(default_factory=Previews)


def run_daemon(settings: Settings, *, announce: Callable[[str], None] | None = None) -> int:
    """Watch one source until SIGTERM or SIGINT, and return the exit code. Main thread only.

    Asked before it is READY, it ends at once.

    Parameters
    ----------
    settings
        Validated.
    announce
        Receives one line of JSON when the daemon is READY, see `Daemon.describe`. Standard output
        unless told otherwise.

    Returns
    -------
    int
        0 asked to stop, 1 a thread died, 2 an address cannot be used, 75 a port is in use,
        78 a model was refused.
    """
    clock = SystemClock()
    logger = make_logger(form=settings.log.format, level=settings.log.level)
    log = LogBook(logger=logger, clock=clock)
    stop = StopRequest()
    stop.listen()
    try:
        with stop.at_once():
            analysis = load_analysis(settings, clock=clock)
        daemon = build_daemon(settings=settings, analysis=analysis, log=log, clock=clock)
    except AskedToStop:
        return EXIT_ASKED
    except (CannotStartError, ModelError) as error:
        log.note("not_started", level="error", text=str(error))
        log.flush(final=True)
        return error.exit_code if isinstance(error, CannotStartError) else EXIT_MODEL_REFUSED
    if daemon.late is not None:
        sys.setswitchinterval(SWITCH_S)
    if not stop.is_set:
        daemon.start()
        (announce or _write_line)(json.dumps(daemon.describe()))
    while not stop.is_set and not daemon.threads.wait_for_failure(WATCH_S):
        pass
    return daemon.stop()


def load_analysis(settings: Settings, *, clock: Clock) -> Analysis:
    """Load and check the models, compile the kernels, and run the pipeline once.

    Raises
    ------
    ModelError
        An artifact is missing or refused.
    """
    models, previews = load_models(settings.detectors), Previews()
    pipeline = Pipeline(
        models=models,
        settings=pipeline_settings(settings),
        clock=clock,
        leaves_late=late_names(settings.detectors),
        previews=previews,
    )
    pipeline.warm_up(WARM_UP_SHAPE_YX, WARM_UP_DTYPE)
    # What is alive now lives for ever: without this a full collection took 63 ms in mid-run.
    gc.collect()
    gc.freeze()
    return Analysis(
        pipeline=pipeline,
        model_set=pipeline.model_set,
        models=models.describe(),
        late=pipeline.late_stage,
        motifs=_proposing(models, pipeline),
        previews=previews,
    )


def build_daemon(*, settings: Settings, analysis: Analysis, log: LogBook, clock: Clock) -> Daemon:
    """Bind the sockets and put the parts together; nothing runs yet.

    Raises
    ------
    CannotStartError
        An address cannot be used, or another program has it.
    """
    books = _make_books(settings, log=log, clock=clock)
    books.metrics.describe_models(analysis.models, model_set=analysis.model_set)
    with ExitStack() as undo:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        undo.callback(context.destroy, linger=0)
        receiver = open_receiver(settings, context)
        undo.callback(receiver.close)
        publisher = open_publisher(settings, context)
        undo.callback(publisher.close)
        outbox = _make_outbox(settings, publisher, books, analysis.previews)
        late = _make_late(settings, stage=analysis.late, outbox=outbox, books=books)
        motifs = _make_motifs(settings, analysis.motifs, outbox=outbox, books=books)
        service = _make_service(settings, analysis=analysis, outbox=outbox, late=late, books=books)
        intake = Intake(
            source_name=settings.source.name,
            settings=settings.ingest,
            frames=receiver,
            backlog=service.backlog,
            announcer=outbox,
            books=books,
        )
        http = open_http(settings, service=service, books=books)
        _watch(settings, books=books, intake=intake, outbox=outbox, motifs=motifs)
        undo.pop_all()
    return Daemon(
        source_name=settings.source.name,
        context=context,
        receiver=receiver,
        publisher=publisher,
        http=http,
        books=books,
        intake=intake,
        service=service,
        late=late,
        motifs=motifs,
        outbox=outbox,
    )


def _make_books(settings: Settings, *, log: LogBook, clock: Clock) -> Books:
    accounting = FrameAccounting(shard=settings.ingest.shard)
    presence = Presence(name=settings.source.name, clock=clock)
    return Books(
        accounting=accounting,
        presence=presence,
        readiness=Readiness(presence),
        metrics=Metrics(counts=accounting.counts),
        log=log,
        clock=clock,
    )


def _make_outbox(
    settings: Settings, sink: EventPublisher, books: Books, previews: Previews
) -> Outbox:
    return Outbox(
        source_name=settings.source.name,
        stream=uuid.uuid4().hex,
        sink=sink,
        books=books,
        heartbeat_ms=settings.events.heartbeat_ms,
        previews=previews,
    )


def _make_late(
    settings: Settings, *, stage: LateAnalyser | None, outbox: Outbox, books: Books
) -> LateWorker | None:
    if stage is None:
        return None
    return LateWorker(
        stage=stage,
        outbox=outbox,
        books=books,
        within_ms=settings.detectors.late_within_ms,
        keeps_all=settings.ingest.mode == "lossless",
    )


def _make_service(
    settings: Settings,
    *,
    analysis: Analysis,
    outbox: Outbox,
    late: LateWorker | None,
    books: Books,
) -> Service:
    is_live = settings.ingest.mode == "live"
    return Service(
        settings=settings.ingest,
        backlog=LatestBacklog() if is_live else WaitingBacklog(capacity=settings.ingest.queue),
        pipeline=analysis.pipeline,
        outbox=outbox,
        books=books,
        late=late,
    )


def _proposing(models: ModelSet, pipeline: Pipeline) -> ProposesMotifs | None:
    """Take what proposes classes for the pipeline; None where none are asked for."""
    if models.motifs is None or pipeline.motif_desk is None:
        return None
    return ProposesMotifs(pipeline.motif_desk, models.motifs.reservoir(), models.motifs.class_of)


def _make_motifs(
    settings: Settings, proposing: ProposesMotifs | None, *, outbox: Outbox, books: Books
) -> MotifWorker | None:
    if proposing is None:
        return None
    return MotifWorker(
        proposing=proposing, sink=outbox, books=books, source_name=settings.source.name
    )


def _watch(
    settings: Settings,
    *,
    books: Books,
    intake: Intake,
    outbox: Outbox,
    motifs: MotifWorker | None,
) -> None:
    books.metrics.watch(
        {
            "ready": lambda: float(books.readiness.is_ready),
            "source_connections": lambda: float(intake.n_connections),
            "subscribers": lambda: float(outbox.n_subscribers),
            "clock_synchronised": lambda: float(settings.ingest.clock_synchronised),
            "kernel_signatures": count_kernel_variants,
            "resident_bytes": resident_bytes,
            "motif_reservoir_sites": lambda: 0.0 if motifs is None else float(motifs.n_sites),
        }
    )


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
