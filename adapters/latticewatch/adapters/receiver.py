"""The daemon's end of the frame socket; judges nothing that it receives."""

from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from latticewatch.adapters import sockets

# A frame has two parts. A third is enough to see that there are too many; the rest is let go.
MAX_PARTS_KEPT = 3


class FrameReceiver:
    """Bound PULL that takes frames as they come, unread. One thread uses it after it was made.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the receiver.
    endpoint
        Local address; `tcp://127.0.0.1:*` takes a free port.
    hwm
        Messages queued per peer before the sender feels it.
    max_message_bytes
        A peer that announces a larger part is cut off.

    Attributes
    ----------
    endpoint : str
        The real address, for senders.

    Raises
    ------
    EndpointError, PortInUseError
        As `sockets.bind` says.
    """

    def __init__(
        self,
        *,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        hwm: int = sockets.FRAME_HWM,
        max_message_bytes: int = sockets.MAX_FRAME_BYTES,
    ) -> None:
        self._socket = sockets.make_frame_pull(
            context, hwm=hwm, max_message_bytes=max_message_bytes
        )
        self._connections: set[int] = set()
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        try:
            self.endpoint = sockets.bind(self._socket, endpoint)
        except Exception:
            self.close()
            raise

    def receive(self, timeout_ms: int) -> list[zmq.Frame] | None:
        """Take the next whole message, or None after the time without one.

        Returns
        -------
        list of zmq.Frame
            One to three parts, not copied; of more than three the first three. `part.buffer` is a
            memoryview, maybe at an odd address; it lives as long as the part or an array on it.
        """
        if not self._socket.poll(timeout_ms):
            return None
        parts = [self._socket.recv(copy=False)]
        while self._socket.rcvmore:
            part = self._socket.recv(copy=False)
            if len(parts) < MAX_PARTS_KEPT:
                parts.append(part)
        return parts

    @property
    def n_connections(self) -> int:
        """Open connections, those that never spoke included; 0 means no source is there."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor, flags=zmq.DONTWAIT)
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._connections.add(event["value"])
            else:
                self._connections.discard(event["value"])
        return len(self._connections)

    def close(self) -> None:
        """Give up the address, a moment later; what was not taken is lost. Twice does no harm."""
        if self._socket.closed:
            return
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
