"""XPUB of the daemon: who listens, and the welcome for those who just came; numbers nothing."""

from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import zmq

from latticewatch.adapters import sockets

# One call answers a crowd at once, yet a peer that subscribes without end cannot hold the caller.
SUBSCRIPTIONS_PER_CALL = 256
_KINDS = ("ev", "st", "hb", "wl", "pv")


class EventPublisher:
    """Bound XPUB of one source. One thread uses it: the one that publishes.

    Parameters
    ----------
    context
        The caller owns it and ends it after closing the publisher.
    endpoint
        Local address; `tcp://127.0.0.1:*` takes a free port.
    source
        Name of the source, the last part of every topic.
    hwm
        Messages queued per subscriber; then this one subscriber loses.

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
        source: str,
        hwm: int = sockets.EVENT_HWM,
    ) -> None:
        self._topics = {kind: f"{kind}/{source}/".encode() for kind in _KINDS}
        self._subscribed: Counter[bytes] = Counter()
        self._socket = sockets.make_event_xpub(context, hwm=hwm)
        try:
            self.endpoint = sockets.bind(self._socket, endpoint)
        except Exception:
            self._socket.close(linger=0)
            raise

    @property
    def n_subscribers(self) -> int:
        """Subscriptions to events in force, as of the last `service_subscriptions`."""
        return self._n_wanting(self._topics["ev"])

    def is_wanted(self, topic: bytes) -> bool:
        """Somebody listens to this topic, as of the last `service_subscriptions`."""
        return self._n_wanting(topic) > 0

    def publish(self, topic: bytes, *parts: bytes) -> None:
        """Hand one message to every subscriber that keeps up; never waits.

        Parameters
        ----------
        topic
            `ev/SOURCE/`, `st/SOURCE/`, `hb/SOURCE/` or `pv/SOURCE/`.
        parts
            Encoded message, of a preview the pixels behind it; copied: the caller keeps them.
        """
        self._socket.send_multipart([topic, *parts], flags=zmq.DONTWAIT)

    def service_subscriptions(self, welcome: Callable[[], bytes]) -> None:
        """Note who came and went since the last call, and welcome those who asked for it.

        Parameters
        ----------
        welcome
            Gives the encoded welcome; called once if anybody new listens to `wl/SOURCE/`. Clients
            that had theirs see it again, as after a connection of their own.
        """
        welcome_due = False
        for _ in range(SUBSCRIPTIONS_PER_CALL):
            try:
                notice = self._socket.recv(flags=zmq.DONTWAIT)
            except zmq.Again:
                break
            welcome_due |= self._note(notice)
        if welcome_due:
            self._socket.send(self._topics["wl"] + welcome(), flags=zmq.DONTWAIT)

    def close(self) -> None:
        """Give up the address; what is queued still leaves while the context ends."""
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

    def _note(self, notice: bytes) -> bool:
        """Count one subscription or its end; true where a welcome is due."""
        prefix = notice[1:]
        # Foreign prefixes match nothing here; counting them would let a peer fill the memory.
        if notice[:1] not in (b"\0", b"\1") or not any(
            topic.startswith(prefix) for topic in self._topics.values()
        ):
            return False
        is_new = notice[:1] == b"\1"
        self._subscribed[prefix] += 1 if is_new else -1
        return is_new and self._topics["wl"].startswith(prefix)

    def _n_wanting(self, topic: bytes) -> int:
        return sum(n for prefix, n in self._subscribed.items() if topic.startswith(prefix))
