"""The same stream of events for asyncio."""

import time
from collections.abc import Iterable
from types import TracebackType

import zmq.asyncio

from latticewatch.client.errors import ClientClosed
from latticewatch.client.inbox import LOST_AFTER_S, TOPICS, Gap, Inbox, Patience, Topic
from latticewatch.client.messages import DefectEvent, Heartbeat, Message, Status
from latticewatch.client.stream import EVENTS_ENDPOINT, Wanted, open_socket


class AsyncDefectClient:
    """Like `DefectClient`, to be awaited; create it inside a running event loop.

    Parameters
    ----------
    source, events, timeout_s, lost_after_s, topics
        As for `DefectClient`.

    Examples
    --------
    ::

        async with AsyncDefectClient("haadf1") as client:
            async for event in client:
                ...
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
        self._context = zmq.asyncio.Context()
        self._socket = open_socket(self._context, events, self.inbox.prefixes)
        self._patience = Patience(
            lost_after_s=lost_after_s, endpoint=events, source=source, now_s=time.monotonic()
        )

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was published and did not arrive, oldest first."""
        return self.inbox.gaps

    async def receive(self, timeout_s: float | None = None) -> DefectEvent:
        """Wait for the next event; raises as `DefectClient.receive` does."""
        message = await self._receive((DefectEvent,), timeout_s)
        assert isinstance(message, DefectEvent)  # noqa: S101 - narrows the type for mypy
        return message

    async def receive_any(self, timeout_s: float | None = None) -> Message:
        """Wait for the next message of any kind: event, status or heartbeat."""
        return await self._receive((DefectEvent, Status, Heartbeat), timeout_s)

    def close(self) -> None:
        """Disconnect; harmless when repeated."""
        self._socket.close()
        self._context.term()

    def __aiter__(self) -> "AsyncDefectClient":
        return self

    async def __anext__(self) -> DefectEvent:
        """Wait for the next event, as `receive`; after an error the iteration can go on."""
        return await self.receive()

    async def __aenter__(self) -> "AsyncDefectClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _receive(self, wanted: Wanted, timeout_s: float | None) -> Message:
        patience = self._patience
        patience.begin(
            timeout_s=self._timeout_s if timeout_s is None else timeout_s, now_s=time.monotonic()
        )
        while True:
            if self._socket.closed:
                raise ClientClosed("the client is closed: open a new one")
            if not await self._socket.poll(patience.left_ms(time.monotonic())):
                patience.check(time.monotonic())
                continue
            parts = await self._socket.recv_multipart()
            patience.heard(time.monotonic())
            message = self.inbox.accept(parts, t_received_ns=time.time_ns())
            if isinstance(message, wanted):
                return message
