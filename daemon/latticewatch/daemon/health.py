"""The http thread: /metrics, /healthz, /readyz on loopback; it reads and changes nothing."""

import contextlib
import json
import math
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["HealthServer"]

# From accept to answer: a client that sends its request byte by byte is let go.
CLIENT_S: Final = 5.0
POLL_S: Final = 0.1  # how late that is noticed
CLIENTS_MAX: Final = 16  # each takes a thread; more are refused, compute is not affected
_JSON: Final = "application/json"


class HealthServer:
    """Answers probes and scrapers, each in a thread of its own.

    Parameters
    ----------
    address
        Host and port; port 0 takes a free one. The port is bound here.
    registry
        What /metrics shows.
    not_alive, not_ready
        Reasons why not; an empty list means 200, anything else 503.
    client_s
        How long a client may stay, in all.
    """

    def __init__(
        self,
        *,
        address: tuple[str, int],
        registry: CollectorRegistry,
        not_alive: Callable[[], list[str]],
        not_ready: Callable[[], list[str]],
        client_s: float = CLIENT_S,
    ) -> None:
        def answer(path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            if path == "/healthz":
                return _verdict("alive", not_alive())
            if path == "/readyz":
                return _verdict("ready", not_ready())
            return 404, _JSON, b'{"error": "only /metrics, /healthz and /readyz"}\n'

        self._server = _Server(address, _make_handler(answer), client_s=client_s)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, with the real port."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    @property
    def n_clients(self) -> int:
        """Clients that are being answered."""
        return self._server.n_clients

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def close(self) -> None:
        """Give up the port; a request in hand is not waited for."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=POLL_S)


def _verdict(name: str, reasons: list[str]) -> tuple[int, str, bytes]:
    body = json.dumps({name: not reasons, "reasons": reasons})
    return 503 if reasons else 200, _JSON, body.encode() + b"\n"


class _Server(ThreadingHTTPServer):
    """Threads that end with the process, not more than `CLIENTS_MAX`, none for ever."""

    daemon_threads = True
    block_on_close = False
    # The 5 of http.server let the kernel drop who comes sixth at once, for a second.
    request_queue_size = CLIENTS_MAX

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        *,
        client_s: float,
    ) -> None:
        self._client_s = client_s
        # Accepted sockets and when their time is up. The http thread adds, the client's own
        # removes, each in one step that needs no lock.
        self._deadlines_s: dict[socket.socket, float] = {}
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    @property
    def n_clients(self) -> int:
        return len(self._deadlines_s)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        if len(self._deadlines_s) < CLIENTS_MAX:
            self._deadlines_s[request] = time.monotonic() + self._client_s
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - theirs
        """End a connection, answered or not."""
        self._deadlines_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Let go of clients whose time is up; called at every turn of the http thread."""
        self._let_go(time.monotonic())

    def server_close(self) -> None:
        """Give up the port, and every client."""
        super().server_close()
        self._let_go(math.inf)

    def _let_go(self, now_s: float) -> None:
        for request, deadline_s in self._deadlines_s.copy().items():
            if now_s >= deadline_s:
                # Wakes its thread, which then closes the socket. A time limit of the socket
                # itself would begin anew with each byte.
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        """Say nothing: a probe that hangs up is no event of ours."""


def _make_handler(
    answer: Callable[[str], tuple[int, str, bytes]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, kind, body = answer(self.path.partition("?")[0])
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: object) -> None:
            """Write nothing: a scraper asks every few seconds."""

    return Handler
