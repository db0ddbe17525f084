"""Defect events of one source as an iterator."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, TypeVar

import zmq

from latticewatch.client.errors import ClientClosed
from latticewatch.client.inbox import LOST_AFTER_S, TOPICS, Gap, Inbox, Patience, Topic
from latticewatch.client.messages import DefectEvent, Heartbeat, Message, Status

EVENTS_ENDPOINT: Final = "tcp://127.0.0.1:5611"
_MAX_MESSAGE_BYTES: Final = 2**21
_MOST_WAITING: Final = 1000  # messages, what ZeroMQ does by itself

# Any: what a receive returns, bytes here and a future for asyncio.
SocketT = TypeVar("SocketT", bound="zmq.Socket[Any]")
Wanted = tuple[type[Message], ...]


class DefectClient:
    """Subscribes to the events of one source: a context manager and an iterator.

    Events come in order and at most once. A loss is noticed and counted, not repaired: see
    `gaps`, and `missed_before` of each event. The client reconnects by itself, while a call waits
    for messages. Not thread-safe.

    Parameters
    ----------
    source
        Name of the source, as in the daemon's settings.
    events
        Endpoint of the daemon's events socket.
    timeout_s
        How long a call waits for what it was asked for; None for ever.
    lost_after_s
        Silence after which `DaemonLost` is raised: three heartbeats. `math.inf` for never.
    topics
        ``ev`` for events, ``st`` for status; heartbeats are always received.

    Attributes
    ----------
    inbox
        Counters, the newest heartbeat and the stream.

    Examples
    --------
    ::

        with DefectClient("haadf1") as client:
            for event in client:
                for defect in event.defects:
                    print(event.frame.seq, defect.kind, defect.frac_yx)
    """

    def __init__(
        self,
        source: str,
        *,
        events: str = EVENTS_ENDPOINT,
        timeout_s: float | None = None,
        lost_after_s: float = LOST_AFTER_S,
        topics: Iterable[Topic] = TOPICS,
    ) -> None:
        self.inbox = Inbox(source=source, topics=topics)
        self._timeout_s = timeout_s
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = open_socket(self._context, events, self.inbox.prefixes)
        self._patience = Patience(
            lost_after_s=lost_after_s, endpoint=events, source=source, now_s=time.monotonic()
        )

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was published and did not arrive, oldest first."""
        return self.inbox.gaps

    def receive(self, timeout_s: float | None = None) -> DefectEvent:
        """Wait for the next event.

        Parameters
        ----------
        timeout_s
            Instead of the client's own.

        Raises
        ------
        ReceiveTimeout
            No event came in time. Call again to go on.
        DaemonLost
            Nothing at all came for `lost_after_s`. Call again to go on waiting.
        UnsupportedVersion
        """
        message = self._receive((DefectEvent,), timeout_s)
        assert isinstance(message, DefectEvent)  # noqa: S101 - narrows the type for mypy
        return message

    def receive_any(self, timeout_s: float | None = None) -> Message:
        """Wait for the next message of any kind: event, status or heartbeat.

        Raises as `receive` does.
        """
        return self._receive((DefectEvent, Status, Heartbeat), timeout_s)

    def close(self) -> None:
        """Disconnect; harmless when repeated."""
        self._socket.close()
        self._context.term()

    def __iter__(self) -> "DefectClient":
        return self

    def __next__(self) -> DefectEvent:
        """Wait for the next event, as `receive`; after an error the iteration can go on."""
        return self.receive()

    def __enter__(self) -> "DefectClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _receive(self, wanted: Wanted, timeout_s: float | None) -> Message:
        patience = self._patience
        patience.begin(
            timeout_s=self._timeout_s if timeout_s is None else timeout_s, now_s=time.monotonic()
        )
        while True:
            if self._socket.closed:
                raise ClientClosed("the client is closed: open a new one")
            if not self._socket.poll(patience.left_ms(time.monotonic())):
                patience.check(time.monotonic())
                continue
            parts = self._socket.recv_multipart()
            patience.heard(time.monotonic())
            message = self.inbox.accept(parts, t_received_ns=time.time_ns())
            if isinstance(message, wanted):
                return message


def open_socket(
    context: zmq.Context[SocketT],
    endpoint: str,
    prefixes: Iterable[str],
    *,
    most_waiting: int = _MOST_WAITING,
) -> SocketT:
    """Make a SUB socket with the options of protocol.md 9, subscribed and connected."""
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.rcvhwm = most_waiting
    socket.maxmsgsize = _MAX_MESSAGE_BYTES
    # Not the heartbeats of ZMTP: of a program that is behind, libzmq 4.3.5 cuts the link and, when
    # it reads on, ends the process (libzmq issue 4767). The kernel finds dead links.
    socket.tcp_keepalive, socket.tcp_keepalive_idle = 1, 2
    socket.tcp_keepalive_intvl, socket.tcp_keepalive_cnt = 1, 3
    for prefix in prefixes:
        socket.setsockopt(zmq.SUBSCRIBE, prefix.encode())
    try:
        socket.connect(endpoint)
    except zmq.ZMQError as error:
        context.destroy()
        raise ValueError(f"events = {endpoint!r}: {error}: expected tcp://HOST:PORT") from None
    return socket
