"""The http thread: /metrics, /healthz, /readyz on loopback; it reads and changes nothing."""

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

__all__ = ["HealthServer"]

CLIENT_TIMEOUT_S: Final = 5.0  # a client that sends its request byte by byte is let go
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
    """

    def __init__(
        self,
        *,
        address: tuple[str, int],
        registry: CollectorRegistry,
        not_alive: Callable[[], list[str]],
        not_ready: Callable[[], list[str]],
    ) -> None:
        def answer(path: str) -> tuple[int, str, bytes]:
            if path == "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            if path == "/healthz":
                return _verdict("alive", not_alive())
            if path == "/readyz":
                return _verdict("ready", not_ready())
            return 404, _JSON, b'{"error": "only /metrics, /healthz and /readyz"}\n'

        self._server = _Server(address, _make_handler(answer))
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, with the real port."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

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
        self._server.serve_forever(poll_interval=0.1)


def _verdict(name: str, reasons: list[str]) -> tuple[int, str, bytes]:
    body = json.dumps({name: not reasons, "reasons": reasons})
    return 503 if reasons else 200, _JSON, body.encode() + b"\n"


class _Server(ThreadingHTTPServer):
    """Threads that end with the process, and not more of them than `CLIENTS_MAX`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(CLIENTS_MAX)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self,
        request: Any,  # noqa: ANN401 - theirs
        client_address: Any,  # noqa: ANN401 - theirs
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - theirs
        """Say nothing: a probe that hangs up is no event of ours."""


def _make_handler(
    answer: Callable[[str], tuple[int, str, bytes]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_TIMEOUT_S

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
