"""Pictures of what a daemon sees, the newest of each layer, drawn only while asked for."""

import dataclasses
import math
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final

import zmq

from latticewatch.client.decoding import unpack
from latticewatch.client.errors import BadMessage, ClientClosed, ReceiveTimeout
from latticewatch.client.messages import Preview
from latticewatch.client.reading import reader_of
from latticewatch.client.stream import EVENTS_ENDPOINT, open_socket

_MOST_SIDE: Final = 512
_MOST_WAITING: Final = 4  # old pictures are worth nothing
# What a link still holds comes in pieces: only a pause this long says that there is no newer one.
_PAUSE_MS: Final = 20
# A sender without end, or one that invents layers, holds no caller and fills no memory.
_MOST_AT_ONCE: Final = 2000
_MOST_LAYERS: Final = 16
_read: Final = reader_of(Preview)


class PreviewClient:
    """Subscribes to the previews of one source: a context manager and an iterator.

    Nothing tells what was lost. Whoever is slow gets the newest picture of each layer: older ones
    that wait are read and forgotten, which takes a moment for some hundred. Not thread-safe.

    Parameters
    ----------
    source
        Name of the source, as in the daemon's settings.
    events
        Endpoint of the daemon's events socket.
    timeout_s
        How long a call waits; None for ever.

    Attributes
    ----------
    n_unreadable, last_unreadable
        Messages that could not be read, and why the last one could not.

    Examples
    --------
    ::

        with PreviewClient("haadf1") as previews:
            for preview in previews:
                print(preview.frame.seq, preview.layer, preview.shape_yx, max(preview.pixels))
    """

    def __init__(
        self, source: str, *, events: str = EVENTS_ENDPOINT, timeout_s: float | None = None
    ) -> None:
        self.n_unreadable = 0
        self.last_unreadable: str | None = None
        self._timeout_s = timeout_s
        self._newest: dict[str, Preview] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = open_socket(
            self._context, events, [f"pv/{source}/"], most_waiting=_MOST_WAITING
        )

    def receive(self, timeout_s: float | None = None) -> Preview:
        """Wait for a picture that is newer than all of its layer before.

        Parameters
        ----------
        timeout_s
            Instead of the client's own.

        Raises
        ------
        ReceiveTimeout
            None came in time: no frames come, no detector draws pictures, or no daemon is there.
        UnsupportedVersion
        """
        waits_s = self._timeout_s if timeout_s is None else timeout_s
        ends_s = math.inf if waits_s is None else time.monotonic() + waits_s
        while True:
            if self._socket.closed:
                raise ClientClosed("the client is closed: open a new one")
            self._take_all()
            if self._newest:
                return self._newest.pop(next(iter(self._newest)))
            left_s = ends_s - time.monotonic()
            if left_s <= 0:
                raise ReceiveTimeout(f"no preview within {waits_s} s")
            self._socket.poll(None if left_s == math.inf else math.ceil(1000 * left_s))

    def close(self) -> None:
        """Disconnect; harmless when repeated. The daemon then draws no more pictures."""
        self._socket.close()
        self._context.term()

    def __iter__(self) -> "PreviewClient":
        return self

    def __next__(self) -> Preview:
        """Wait for the next preview, as `receive`; after an error the iteration can go on."""
        return self.receive()

    def __enter__(self) -> "PreviewClient":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take_all(self) -> None:
        """Take what waits, old pictures first, and keep the newest of each layer."""
        for taken in range(_MOST_AT_ONCE):
            if not self._socket.poll(_PAUSE_MS if taken else 0):
                return
            parts = self._socket.recv_multipart()
            try:
                preview = read_preview(parts)
            except BadMessage as error:
                self.n_unreadable += 1
                self.last_unreadable = str(error)
                continue
            self._newest[preview.layer] = preview
            if len(self._newest) > _MOST_LAYERS:
                del self._newest[next(iter(self._newest))]


def read_preview(parts: Sequence[bytes]) -> Preview:
    """Read a message of three parts: topic, header, pixels.

    Raises
    ------
    BadMessage, UnsupportedVersion
    """
    if len(parts) != 3:
        raise BadMessage(f"preview of {len(parts)} parts, expected 3")
    header = unpack(parts[1])
    if header.get("type") != "preview":
        raise BadMessage("expected a preview")
    preview = _read(header, "preview")
    assert isinstance(preview, Preview)  # noqa: S101 - narrows the type for mypy
    n_rows, n_columns = preview.shape_yx
    if not (1 <= n_rows <= _MOST_SIDE and 1 <= n_columns <= _MOST_SIDE):
        raise BadMessage(f"preview.shape_yx: {n_rows} x {n_columns}, expected 1 to {_MOST_SIDE}")
    if len(parts[2]) != n_rows * n_columns:
        raise BadMessage(f"preview: {len(parts[2])} pixels, its header says {n_rows * n_columns}")
    return dataclasses.replace(preview, pixels=bytes(parts[2]))
