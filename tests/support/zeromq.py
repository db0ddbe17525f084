"""A ZeroMQ context that closes what a test leaves open."""

from collections.abc import Iterator
from contextlib import contextmanager

import zmq

Context = zmq.Context[zmq.Socket[bytes]]


class _KeepingContext(zmq.Context[zmq.Socket[bytes]]):
    """Holds its sockets: one that is collected while open raises a ResourceWarning."""

    kept: tuple[zmq.Socket[bytes], ...] = ()

    def socket(  # type: ignore[override]  # of all that pyzmq takes, the kind is what we use
        self, socket_type: int
    ) -> zmq.Socket[bytes]:
        made = super().socket(socket_type)
        self.kept = (*self.kept, made)
        return made


@contextmanager
def open_context() -> Iterator[Context]:
    """Give a context; at the end close its sockets at once and end it."""
    context = _KeepingContext()
    try:
        yield context
    finally:
        context.destroy(linger=0)
