"""Probes get an answer with reasons; a slow or rude client gets none and harms nobody."""

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge

from latticewatch.daemon.health import CLIENTS_MAX, HealthServer
from support.waiting import wait_until


class Probed:
    """A server whose reasons the test sets."""

    def __init__(self, **limits: float) -> None:
        self.not_alive: list[str] = []
        self.not_ready: list[str] = []
        registry = CollectorRegistry()
        Gauge("latticewatch_answer", "", registry=registry).set(42)
        self.server = HealthServer(
            address=("127.0.0.1", 0),
            registry=registry,
            not_alive=lambda: self.not_alive,
            not_ready=lambda: self.not_ready,
            **limits,
        )

    def get(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(self.server.url + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with closing(error):
                return error.code, error.read().decode()

    def connect(self) -> socket.socket:
        port = int(self.server.url.rpartition(":")[2])
        return socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.fixture
def probed() -> Iterator[Probed]:
    probed = Probed()
    probed.server.start()
    yield probed
    probed.server.close()


def test_reasons_decide_between_200_and_503(probed: Probed) -> None:
    assert probed.get("/healthz") == (200, '{"alive": true, "reasons": []}\n')
    probed.not_alive = ["loop has not turned for 3.0 s"]
    probed.not_ready = ["source_stalled"]
    code, body = probed.get("/healthz")
    assert (code, json.loads(body)["alive"]) == (503, False)
    code, body = probed.get("/readyz")
    assert (code, json.loads(body)["reasons"]) == (503, ["source_stalled"])


def test_metrics_are_shown(probed: Probed) -> None:
    code, body = probed.get("/metrics")
    assert code == 200
    assert "latticewatch_answer 42.0" in body


def test_it_is_read_only_and_knows_three_pages(probed: Probed) -> None:
    assert probed.get("/readyz", method="HEAD") == (200, "")
    assert probed.get("/readyz", method="POST")[0] == 501
    assert probed.get("/../etc/passwd")[0] == 404


@pytest.mark.fault
def test_clients_that_hang_do_not_keep_a_probe_from_its_answer(probed: Probed) -> None:
    hanging = [probed.connect() for _ in range(CLIENTS_MAX - 1)]
    for client in hanging:
        client.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
    try:
        assert probed.get("/healthz")[0] == 200
    finally:
        for client in hanging:
            client.close()


@pytest.mark.fault
def test_beyond_the_limit_a_client_is_refused_at_once(probed: Probed) -> None:
    clients = [probed.connect() for _ in range(CLIENTS_MAX + 1)]
    try:
        clients[-1].settimeout(4)
        assert clients[-1].recv(1) == b""
    finally:
        for client in clients:
            client.close()


@pytest.mark.fault
def test_clients_that_drip_without_end_are_let_go_and_a_probe_is_answered() -> None:
    probed = Probed(client_s=1.0)
    probed.server.start()
    dripping = [probed.connect() for _ in range(CLIENTS_MAX)]

    def are_gone() -> bool:
        """Send one more byte from each, so that none of them is ever silent for long."""
        n_alive = 0
        for client in dripping:
            with suppress(OSError):
                n_alive += client.send(b"G")
        return n_alive == 0

    def is_answered() -> bool:
        with suppress(OSError, http.client.HTTPException):
            return probed.get("/healthz")[0] == 200
        return False

    try:
        assert wait_until(lambda: probed.server.n_clients == CLIENTS_MAX)
        assert wait_until(are_gone)
        assert wait_until(is_answered)
    finally:
        for client in dripping:
            client.close()
        probed.server.close()


@pytest.mark.fault
def test_a_client_that_does_not_read_its_answer_is_let_go() -> None:
    probed = Probed(client_s=0.3)
    probed.not_ready = ["x" * 50_000_000]  # more than the buffers of the kernel take
    probed.server.start()
    with probed.connect() as client:
        client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        assert wait_until(lambda: probed.server.n_clients == 1)
        assert wait_until(lambda: probed.server.n_clients == 0)
    probed.server.close()


def test_closing_lets_go_of_who_is_still_there(probed: Probed) -> None:
    with probed.connect() as client:
        assert wait_until(lambda: probed.server.n_clients == 1)
        probed.server.close()
        assert client.recv(1) == b""


def test_a_taken_port_is_refused(probed: Probed) -> None:
    port = int(probed.server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        HealthServer(
            address=("127.0.0.1", port),
            registry=CollectorRegistry(),
            not_alive=list,
            not_ready=list,
        )
