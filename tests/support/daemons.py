"""A daemon for tests: lists as source and sink, a counter as clock, or all of it on free ports."""

import io
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from latticewatch.client.messages import Heartbeat
from latticewatch.client.stream import DefectClient
from latticewatch.daemon.accounting import FrameAccounting
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import Settings
from latticewatch.daemon.late_worker import LateAnalyser
from latticewatch.daemon.lifecycle import Daemon
from latticewatch.daemon.logs import LogBook, make_logger
from latticewatch.daemon.metrics import Metrics
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.presence import Presence, Readiness
from latticewatch.daemon.previews import Previews
from latticewatch.daemon.runtime import Analysis, build_daemon
from latticewatch.daemon.service import Analyser
from support.headers import SOURCE
from support.pipelines import MODEL_SET
from support.waiting import wait_until

MODELS = [{"name": "patterson", "artifact": "fake", "sha256": "ab" * 32}]


class FakeClock:
    """Two clocks that stand still until told."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000
        self.utc_offset_ns = 1_790_000_000_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def utc_ns(self) -> int:
        return self.now_ns + self.utc_offset_ns

    def advance(self, milliseconds: float) -> None:
        self.now_ns += round(milliseconds * 1e6)


@dataclass(frozen=True)
class BytesPart:
    """A part of a message in memory."""

    content: bytes

    @property
    def buffer(self) -> memoryview:
        return memoryview(self.content)


@dataclass
class ListSource:
    """Messages that wait to be received; None stands for a time without one.

    Attributes
    ----------
    n_open
        Connections, for the test to set.
    n_asked
        How often somebody asked for them.
    """

    messages: deque[Sequence[bytes] | None] = field(default_factory=deque)
    n_open: int = 1
    n_asked: int = 0

    @property
    def n_connections(self) -> int:
        self.n_asked += 1
        return self.n_open

    def receive(self, timeout_ms: int) -> Sequence[BytesPart] | None:
        del timeout_ms
        message = self.messages.popleft() if self.messages else None
        return None if message is None else [BytesPart(part) for part in message]


@dataclass
class ListSink:
    """What was published, and a way to subscribe."""

    published: list[tuple[bytes, bytes]] = field(default_factory=list)
    pixels: list[bytes] = field(default_factory=list)
    n_subscribers: int = 0
    n_new: int = 0
    wanted: set[bytes] = field(default_factory=set)

    def is_wanted(self, topic: bytes) -> bool:
        return topic in self.wanted

    def publish(self, topic: bytes, *parts: bytes) -> None:
        body, *pixels = parts
        self.published.append((topic, body))
        self.pixels += pixels

    def service_subscriptions(self, welcome: Callable[[], bytes]) -> None:
        for _ in range(self.n_new):
            self.published.append((b"wl/", welcome()))
        self.n_new = 0

    def bodies(self, kind: str) -> list[bytes]:
        return [body for topic, body in self.published if topic.startswith(kind.encode())]


@dataclass
class Announcements:
    """Codes and details of status messages."""

    made: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def announce(self, code: str, text: str, *, level: str = "info", detail: object = None) -> None:
        del text, level
        assert detail is None or isinstance(detail, dict)
        self.made.append((code, dict(detail or {})))

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.made]


def make_books(
    *,
    clock: FakeClock | SystemClock | None = None,
    log: io.StringIO | None = None,
    shard: tuple[int, int] = (0, 1),
) -> Books:
    clock = clock or FakeClock()
    accounting = FrameAccounting(shard=shard)
    presence = Presence(name=SOURCE, clock=clock)
    logger = make_logger(form="json", level="debug", stream=log or io.StringIO())
    return Books(
        accounting=accounting,
        presence=presence,
        readiness=Readiness(presence),
        metrics=Metrics(counts=accounting.counts),
        log=LogBook(logger=logger, clock=clock),
        clock=clock,
    )


def make_settings(**sections: dict[str, object]) -> Settings:
    """Settings on free ports of the loopback."""
    values: dict[str, dict[str, object]] = {
        "ingest": {"endpoint": "tcp://127.0.0.1:*"},
        "events": {"endpoint": "tcp://127.0.0.1:*"},
        "http": {"port": 0},
        "source": {"name": SOURCE},
    }
    for name, section in sections.items():
        values[name] = values.get(name, {}) | section
    return Settings.model_validate(values)


@contextmanager
def listening_to(daemon: Daemon) -> Iterator[DefectClient]:
    """Give a client whose subscriptions have arrived: it misses nothing from here on.

    A stalled computer is not taken for a lost daemon.
    """
    with DefectClient(SOURCE, events=daemon.publisher.endpoint, lost_after_s=math.inf) as client:
        # Subscribed last, so the others have arrived too; whichever way round, events have.
        message = client.receive_any(timeout_s=5)
        while not (isinstance(message, Heartbeat) and message.type == "welcome"):
            message = client.receive_any(timeout_s=5)
        assert wait_until(lambda: daemon.outbox.n_subscribers > 0)
        yield client


@contextmanager
def running_daemon(
    pipeline: Analyser,
    *,
    settings: Settings | None = None,
    log: io.StringIO | None = None,
    late: LateAnalyser | None = None,
    previews: Previews | None = None,
) -> Iterator[Daemon]:
    """Run a whole daemon in this process, and stop it unless the test did."""
    clock = SystemClock()
    logger = make_logger(form="json", level="debug", stream=log or io.StringIO())
    daemon = build_daemon(
        settings=settings or make_settings(),
        analysis=Analysis(
            pipeline=pipeline,
            model_set=MODEL_SET,
            models=MODELS,
            late=late,
            previews=previews or Previews(),
        ),
        log=LogBook(logger=logger, clock=clock),
        clock=clock,
    )
    daemon.start()
    try:
        yield daemon
    finally:
        if daemon.books.readiness.phase != "stopping":
            daemon.stop()
