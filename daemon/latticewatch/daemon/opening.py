"""The addresses of a daemon, opened; what goes wrong with one names its setting."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import zmq

from latticewatch.adapters.errors import EndpointError, PortInUseError
from latticewatch.adapters.native import FrameReceiver
from latticewatch.adapters.publisher import EventPublisher
from latticewatch.daemon.books import Books
from latticewatch.daemon.config import Settings
from latticewatch.daemon.health import HealthServer
from latticewatch.daemon.service import Service

__all__ = ["CannotStartError", "open_http", "open_publisher", "open_receiver"]

EXIT_SETTINGS: Final = 2
EXIT_PORT_IN_USE: Final = 75

ALIVE_NS: Final = 2_000_000_000  # /healthz: the loop turned within this time


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


def open_receiver(settings: Settings, context: zmq.Context[zmq.Socket[bytes]]) -> FrameReceiver:
    """Bind the socket of frames; raises `CannotStartError`, as the others do."""
    with _blaming("ingest.endpoint"):
        return FrameReceiver(
            context=context,
            endpoint=settings.ingest.endpoint,
            hwm=settings.ingest.hwm,
            max_message_bytes=settings.ingest.max_message_mib * 2**20,
        )


def open_publisher(settings: Settings, context: zmq.Context[zmq.Socket[bytes]]) -> EventPublisher:
    """Bind the socket of events."""
    with _blaming("events.endpoint"):
        return EventPublisher(
            context=context,
            endpoint=settings.events.endpoint,
            source=settings.source.name,
            hwm=settings.events.hwm,
        )


def open_http(settings: Settings, *, service: Service, books: Books) -> HealthServer:
    """Bind the port of metrics and health."""

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
