"""What the operator reads on standard error: fixed event names, one line per reason and second.

Whoever has something to say notes it here and goes on; one thread writes. A terminal or pipe that
does not take lines then holds up that thread and nothing else.
"""

import contextlib
import sys
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from latticewatch.daemon.ports import Clock

__all__ = ["LogBook", "make_logger"]

LogFormat = Literal["console", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECOND_NS: Final = 1_000_000_000
PENDING_MAX: Final = 1000  # lines that wait for a stuck terminal; the oldest are forgotten


def make_logger(
    *, form: LogFormat, level: LogLevel, stream: TextIO | None = None
) -> FilteringBoundLogger:
    """Return a logger of our own, which changes nothing for other users of structlog.

    Parameters
    ----------
    form
        "console" for people, "json" for collectors.
    level
        Least level that is written.
    stream
        Standard error unless told otherwise.
    """
    out = sys.stderr if stream is None else stream
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        # Values are shown as Python writes them, so text from outside cannot move a cursor. Left
        # to itself structlog does so only for text with a blank or a quote in it.
        else structlog.dev.ConsoleRenderer(colors=out.isatty(), repr_native_str=True)
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
    )
    return logger


@dataclass(slots=True)
class _Repeated:
    """Lines of one event and reason that were not written yet."""

    count: int = 0
    text: str = ""
    written_ns: int | None = None


class LogBook:
    """Takes notes from every thread; `flush` writes them.

    Parameters
    ----------
    logger
        Only `flush` uses it.
    clock
        Its monotonic side limits the rate.
    """

    def __init__(self, *, logger: FilteringBoundLogger, clock: Clock) -> None:
        self._logger = logger
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: deque[tuple[LogLevel, str, dict[str, object]]] = deque(maxlen=PENDING_MAX)
        self._repeated: dict[tuple[str, str], _Repeated] = {}

    def note(self, event: str, *, level: LogLevel = "info", **fields: object) -> None:
        """Write this line at the next flush."""
        with self._lock:
            self._pending.append((level, event, {"timestamp": self._stamp()} | fields))

    def refused(self, event: str, *, reason: str, text: str) -> None:
        """Write a warning, at most once per event, reason and second, with how many there were.

        Parameters
        ----------
        event, reason
            From closed sets: what is kept for the count is bounded by them.
        text
            The newest one is shown.
        """
        with self._lock:
            repeated = self._repeated.setdefault((event, reason), _Repeated())
            repeated.count += 1
            repeated.text = text

    def flush(self, *, final: bool = False) -> None:
        """Write what is due; without a reader it is forgotten. One thread calls it.

        Parameters
        ----------
        final
            Write also what the rate limit would hold back.
        """
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            lines = list(self._pending)
            self._pending.clear()
            for (event, reason), repeated in self._repeated.items():
                before_ns = repeated.written_ns
                is_due = final or before_ns is None or now_ns - before_ns >= _SECOND_NS
                if repeated.count and is_due:
                    lines.append(("warning", event, self._fields_of(reason, repeated)))
                    repeated.count, repeated.written_ns = 0, now_ns
        # Nobody reads any more, or the stream is closed: the lines are forgotten, the daemon goes
        # on. ValueError is what a closed stream of Python raises.
        with contextlib.suppress(OSError, ValueError):
            for level, event, fields in lines:
                getattr(self._logger, level)(event, **fields)

    def _fields_of(self, reason: str, repeated: _Repeated) -> dict[str, object]:
        return {
            "timestamp": self._stamp(),
            "reason": reason,
            "count": repeated.count,
            "text": repeated.text,
        }

    def _stamp(self) -> str:
        # When it was noted: a line is written a moment later.
        seconds = self._clock.utc_ns() / 1e9
        return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="milliseconds")

    def run(self, stop: threading.Event, *, every_s: float = 0.1) -> None:
        """Write until told to stop, then write the rest."""
        while not stop.wait(every_s):
            self.flush()
        self.flush(final=True)
