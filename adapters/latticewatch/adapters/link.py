"""What a sender knows of its link: what has left, and what waits; knows no header."""

import sys
import time
from collections import deque
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

# There is no event for "the kernel has passed it on": asked this often, for a moment at the end.
ASK_MS = 5


class Link:
    """A connected PUSH socket whose frames are followed until the kernel has passed them on.

    libzmq's own linger ends when the last message is taken from its queue: a message of which
    a full buffer of the kernel takes only a part, or none, is then lost.

    Parameters
    ----------
    socket
        Belongs to the link from here on.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        # Without this a small part would be copied, and count as gone at once.
        self._socket.copy_threshold = 0
        self._monitor = socket.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED)
        self._descriptor: int | None = None
        # libzmq lets go of a message when it was written, hence the number that wait is small.
        self._frames: deque[zmq.MessageTracker] = deque()
        self._words: deque[zmq.MessageTracker] = deque()

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._socket.closed

    def send_frame(self, parts: list[Any]) -> bool:  # Any: bytes and an array
        """Send without waiting and without a copy; false if there is no room."""
        return self._try_send(parts, self._frames)

    def send_word(self, message: bytes) -> bool:
        """Send a message without pixels; false if there is no room."""
        return self._try_send([message], self._words)

    def look(self) -> None:
        """Take in what happened to the connection; to be called now and then."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor, flags=zmq.DONTWAIT)
            is_open = event["event"] == zmq.EVENT_CONNECTED
            self._descriptor = event["value"] if is_open else None

    def drain(self, *, timeout_ms: int, idle_ms: int) -> int:
        """Wait until everything has left, and return how many frames have not.

        Parameters
        ----------
        timeout_ms
            Longest wait in all.
        idle_ms
            Longest wait in which nothing leaves.
        """
        now_s = time.monotonic()
        ends_s, idle_ends_s = now_s + timeout_ms / 1000, now_s + idle_ms / 1000
        before = self._waiting()
        while any(before) and time.monotonic() < min(ends_s, idle_ends_s):
            self._monitor.poll(ASK_MS)  # a change of the connection ends this wait
            waiting = self._waiting()
            if waiting != before:
                before, idle_ends_s = waiting, time.monotonic() + idle_ms / 1000
        return before[0]

    def close(self) -> None:
        """Disconnect; what has not left is lost. Twice does no harm."""
        if self.is_closed:
            return
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)

    def _waiting(self) -> tuple[int, int, int]:
        """Frames and words that are still here, and bytes that are still in the kernel."""
        self.look()
        for queue in (self._frames, self._words):
            while queue and queue[0].done:
                queue.popleft()
        return len(self._frames), len(self._words), bytes_in_kernel(self._descriptor)

    def _try_send(self, parts: list[Any], queue: deque[zmq.MessageTracker]) -> bool:
        while queue and queue[0].done:
            queue.popleft()
        try:
            tracker = self._socket.send_multipart(parts, flags=zmq.DONTWAIT, copy=False, track=True)
        except zmq.Again:
            return False
        if tracker is not None:  # always: it was asked for
            queue.append(tracker)
        return True


def bytes_in_kernel(descriptor: int | None) -> int:
    """Return what the kernel has not passed on: tcp, to the peer's kernel; ipc, to the peer.

    0 where nobody can tell: without a connection, and on systems other than Linux.
    """
    if descriptor is None or sys.platform != "linux":
        return 0
    import fcntl
    import termios

    answer = bytearray(4)
    try:
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, answer)
    except OSError:  # closed by now, which the monitor tells a moment later
        return 0
    return int.from_bytes(answer, sys.byteorder)
