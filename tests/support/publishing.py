"""A publisher that says what a test tells it to, and the messages it says."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

from support.golden import read_golden

SOURCE = "haadf1"
STREAM = "0d9b3f6a5c1e48a7b2c4d6e8f0a1b3c5"
STREAM_2 = "1" * 32


def event(seq: int, *, stream: str = STREAM, **changes: object) -> list[bytes]:
    """A defect event with this number, as parts."""
    return _changed("event_two_defects", "ev", {"seq": seq, "stream": stream} | changes)


def status(seq: int, *, stream: str = STREAM, **changes: object) -> list[bytes]:
    """A status message with this number, as parts."""
    return _changed("status", "st", {"seq": seq, "stream": stream} | changes)


def heartbeat(
    last_ev_seq: int, *, last_st_seq: int = -1, stream: str = STREAM, **changes: object
) -> list[bytes]:
    """A daemon's heartbeat, as parts."""
    numbers = {"last_ev_seq": last_ev_seq, "last_st_seq": last_st_seq, "stream": stream}
    return _changed("heartbeat", "hb", numbers | changes)


def welcome(last_ev_seq: int, *, last_st_seq: int = -1, stream: str = STREAM) -> list[bytes]:
    """A welcome: topic and body in one part."""
    topic, body = heartbeat(last_ev_seq, last_st_seq=last_st_seq, stream=stream, type="welcome")
    return [topic.replace(b"hb/", b"wl/") + body]


def _changed(name: str, topic: str, changes: dict[str, Any]) -> list[bytes]:
    value = msgspec.msgpack.decode(read_golden(name)[0]) | changes
    return [f"{topic}/{SOURCE}/".encode(), msgspec.msgpack.encode(value)]


@dataclass(frozen=True, slots=True)
class Publisher:
    """An XPUB socket on a free port."""

    socket: "zmq.Socket[bytes]"
    endpoint: str

    def wait_for(self, n_subscriptions: int) -> None:
        """Wait until so many topics have been subscribed."""
        for _ in range(n_subscriptions):
            assert self.socket.poll(5000), "nobody subscribed"
            assert self.socket.recv()[0] == 1

    def send(self, *messages: list[bytes]) -> None:
        """Publish these messages now."""
        for parts in messages:
            self.socket.send_multipart(parts)


@contextmanager
def publisher(endpoint: str = "tcp://127.0.0.1:*") -> Iterator[Publisher]:
    """A publisher, closed at the end; at the endpoint of an earlier one it is its restart."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.linger = 0
    socket.xpub_verbose = 1
    socket.bind(endpoint)
    try:
        yield Publisher(socket, socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))
    finally:
        socket.close()
        context.term()


class Repeater:
    """Sends one message every 20 ms from a thread of its own, which then owns the socket."""

    def __init__(self, source: Publisher, parts: list[bytes]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(source, parts), daemon=True)

    def _run(self, source: Publisher, parts: list[bytes]) -> None:
        while not self._stop.wait(0.02):
            source.send(parts)

    def __enter__(self) -> "Repeater":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
