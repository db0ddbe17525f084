"""One daemon from its settings: settings, models, warm-up, `gc.freeze`, sockets, READY, signals.

Called by the command line, it is the one place of the running daemon that builds objects.
"""

import errno
import gc
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import zmq

from latticewatch.adapters.errors import EndpointError, PortInUseError
from latticewatch.adapters.native import FrameReceiver
from latticewatch.adapters.publisher import EventPublisher
from latticewatch.daemon.accounting import FrameAccounting
from latticewatch.daemon.backlog import LatestBacklog, WaitingBacklog
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import Settings
from latticewatch.daemon.exchange import pipeline_settings
from latticewatch.daemon.health import HealthServer
from latticewatch.daemon.intake import Intake
from latticewatch.daemon.lifecycle import EXIT_ASKED, Daemon
from latticewatch.daemon.logs import LogBook, make_logger
from latticewatch.daemon.metrics import Metrics, count_kernel_variants, resident_bytes
from latticewatch.daemon.models import ModelError, load_models
from latticewatch.daemon.outbox import Outbox
from latticewatch.daemon.pipeline import Pipeline
from latticewatch.daemon.ports import Clock, SystemClock
from latticewatch.daemon.presence import Presence, Readiness
from latticewatch.daemon.service import Analyser, Service
from latticewatch.daemon.signals import AskedToStop, StopRequest

__all__ = ["Analysis", "CannotStartError", "build_daemon", "load_analysis", "run_daemon"]

EXIT_SETTINGS: Final = 2
EXIT_PORT_IN_USE: Final = 75
EXIT_MODEL_REFUSED: Final = 78

ALIVE_NS: Final = 2_000_000_000  # /healthz: the loop turned within this time
WATCH_S: Final = 0.1  # how late a signal or a dead thread is noticed
# The plan that is compiled before READY; another shape costs its first frame some allocation.
WARM_UP_SHAPE_YX: Final = (512, 512)
WARM_UP_DTYPE: Final = "<u2"


class CannotStartError(RuntimeError):
    """The daemon cannot begin; the text names the setting that the operator has to change.

    Parameters
    ----------
    text
        One line.
    exit_code
        What the process should end with.
    """

    def __init__(self, text: str, *, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What judges frames, and how it is described to others."""

    pipeline: Analyser
    model_set: str
    models: Sequence[Mapping[str, object]]


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
    models = load_models(settings.detectors)
    pipeline = Pipeline(
        models=models,
        settings=pipeline_settings(settings),
        clock=clock,
    )
    pipeline.warm_up(WARM_UP_SHAPE_YX, WARM_UP_DTYPE)
    # What is alive now lives for ever: without this a full collection took 63 ms in mid-run.
    gc.collect()
    gc.freeze()
    return Analysis(pipeline=pipeline, model_set=pipeline.model_set, models=models.describe())


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
        receiver = _open_receiver(settings, context)
        undo.callback(receiver.close)
        publisher = _open_publisher(settings, context)
        undo.callback(publisher.close)
        outbox = _make_outbox(settings, sink=publisher, books=books)
        service = _make_service(settings, analysis=analysis, outbox=outbox, books=books)
        intake = Intake(
            source_name=settings.source.name,
            settings=settings.ingest,
            frames=receiver,
            backlog=service.backlog,
            announcer=outbox,
            books=books,
        )
        http = _open_http(settings, service=service, books=books)
        _watch(settings, books=books, intake=intake, outbox=outbox)
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


def _make_outbox(settings: Settings, *, sink: EventPublisher, books: Books) -> Outbox:
    return Outbox(
        source_name=settings.source.name,
        stream=uuid.uuid4().hex,
        sink=sink,
        books=books,
        heartbeat_ms=settings.events.heartbeat_ms,
    )


def _make_service(
    settings: Settings, *, analysis: Analysis, outbox: Outbox, books: Books
) -> Service:
    is_live = settings.ingest.mode == "live"
    return Service(
        settings=settings.ingest,
        backlog=LatestBacklog() if is_live else WaitingBacklog(capacity=settings.ingest.queue),
        pipeline=analysis.pipeline,
        outbox=outbox,
        books=books,
    )


def _open_receiver(settings: Settings, context: zmq.Context[zmq.Socket[bytes]]) -> FrameReceiver:
    with _blaming("ingest.endpoint"):
        return FrameReceiver(
            context=context,
            endpoint=settings.ingest.endpoint,
            hwm=settings.ingest.hwm,
            max_message_bytes=settings.ingest.max_message_mib * 2**20,
        )


def _open_publisher(settings: Settings, context: zmq.Context[zmq.Socket[bytes]]) -> EventPublisher:
    with _blaming("events.endpoint"):
        return EventPublisher(
            context=context,
            endpoint=settings.events.endpoint,
            source=settings.source.name,
            hwm=settings.events.hwm,
        )


def _open_http(settings: Settings, *, service: Service, books: Books) -> HealthServer:
    def not_alive() -> list[str]:
        idle_ns = service.idle_ns
        return [f"loop has not turned for {idle_ns / 1e9:.1f} s"] if idle_ns > ALIVE_NS else []

    with _blaming(f"http.port = {settings.http.port}"):
        return HealthServer(
            address=(settings.http.host, settings.http.port),
            registry=books.metrics.registry,
            not_alive=not_alive,
            not_ready=books.readiness.reasons,
        )


def _watch(settings: Settings, *, books: Books, intake: Intake, outbox: Outbox) -> None:
    books.metrics.watch(
        {
            "ready": lambda: float(books.readiness.is_ready),
            "source_connections": lambda: float(intake.n_connections),
            "subscribers": lambda: float(outbox.n_subscribers),
            "clock_synchronised": lambda: float(settings.ingest.clock_synchronised),
            "kernel_signatures": count_kernel_variants,
            "resident_bytes": resident_bytes,
        }
    )


@contextmanager
def _blaming(setting: str) -> Iterator[None]:
    """Turn what goes wrong with an address into a line that names its setting."""
    try:
        yield
    except EndpointError as error:
        raise CannotStartError(f"{setting}: {error}", exit_code=EXIT_SETTINGS) from error
    except OSError as error:
        is_taken = isinstance(error, PortInUseError) or error.errno == errno.EADDRINUSE
        code = EXIT_PORT_IN_USE if is_taken else EXIT_SETTINGS
        text = error.strerror or str(error)
        raise CannotStartError(f"{setting}: {text}", exit_code=code) from error


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
