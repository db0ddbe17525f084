"""Paced sending, with a list for a sender and a counter for a clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.simulator.service import Pace, Sent, send_paced
from latticewatch.simulator.sources import Shot


@dataclass
class Clock:
    """Time that passes only while somebody waits or works."""

    now_s: float = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return round(self.now_s * 1e9)


@dataclass
class StopAt:
    """A stop flag that is set at a time; waiting on it lets time pass."""

    clock: Clock
    at_s: float = float("inf")

    def is_set(self) -> bool:
        return self.clock.now_s >= self.at_s

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.now_s += 1.0 if timeout is None else timeout
        return self.is_set()


@dataclass
class ListSender:
    """Keeps what it is given, with the time."""

    clock: Clock
    is_open: bool = True
    session: str = "0" * 32
    n_acquired: int = 0
    dropped: int = 0
    frames_s: list[float] = field(default_factory=list)
    heartbeats_s: list[float] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    n_left: int = 0

    def send(self, pixels: NDArray[Any], **fields: Any) -> bool:  # noqa: ANN401 - as they come
        assert pixels.shape == (16, 16)
        assert fields["t_complete_ns"] == self.clock.utc_ns()
        self.n_acquired += 1
        self.dropped += not self.is_open
        self.frames_s.append(self.clock.now_s - 100.0)
        return self.is_open

    def heartbeat(self) -> bool:
        self.heartbeats_s.append(self.clock.now_s)
        return self.is_open

    def end(self, reason: Literal["stopped", "aborted", "error"]) -> bool:
        self.ends.append(reason)
        return self.is_open

    def drain(self) -> int:
        assert self.ends  # the last word has to leave too
        return self.n_left


PIXELS = np.zeros((16, 16), np.uint16)


def shots(clock: Clock, making_s: list[float]) -> Iterator[Shot]:
    for seconds in making_s:
        clock.now_s += seconds
        yield Shot(PIXELS, {"t_source": "software"})


def sent(clock: Clock, sender: ListSender, made: Iterator[Shot], stop: StopAt, fps: float) -> Sent:
    pace = Pace(fps=fps, monotonic_s=clock.monotonic_s, utc_ns=clock.utc_ns)
    return send_paced(made, sender=sender, stop=stop, pace=pace)


def test_frames_leave_at_the_rate_whatever_it_took_to_make_them() -> None:
    clock = Clock()
    sender = ListSender(clock)
    summary = sent(clock, sender, shots(clock, [0.0, 0.05, 0.01, 0.09, 0.0]), StopAt(clock), 10.0)
    np.testing.assert_allclose(sender.frames_s, [0.0, 0.1, 0.2, 0.3, 0.4], atol=1e-9)
    assert summary.frames_late == 0
    assert summary.seconds == pytest.approx(0.5)
    assert summary.fps == pytest.approx(10.0)


def test_frames_that_could_not_be_delivered_are_counted() -> None:
    clock = Clock()
    sender = ListSender(clock, n_left=2)
    summary = sent(clock, sender, shots(clock, [0.0, 0.0, 0.0]), StopAt(clock), 10.0)
    assert (summary.frames_sent, summary.undelivered) == (3, 2)


def test_a_short_delay_is_made_up_for() -> None:
    clock = Clock()
    sender = ListSender(clock)
    summary = sent(clock, sender, shots(clock, [0.0, 0.15, 0.0, 0.0]), StopAt(clock), 10.0)
    np.testing.assert_allclose(sender.frames_s, [0.0, 0.15, 0.2, 0.3], atol=1e-9)
    assert summary.frames_late == 1


def test_a_long_delay_is_not_followed_by_a_burst() -> None:
    clock = Clock()
    sender = ListSender(clock)
    sent(clock, sender, shots(clock, [0.0, 1.0, *[0.0] * 9]), StopAt(clock), 10.0)
    np.testing.assert_allclose(sender.frames_s[1:5], [1.0, 1.0, 1.0, 1.1], atol=1e-9)
    assert sender.frames_s[-1] == pytest.approx(1.0 + 0.1 * 7)


def test_the_heart_beats_four_times_a_second_while_frames_are_slow() -> None:
    clock = Clock()
    sender = ListSender(clock)
    sent(clock, sender, shots(clock, [0.0, 0.0, 0.0]), StopAt(clock), 0.5)
    np.testing.assert_allclose(np.diff(sender.heartbeats_s), 0.25, atol=1e-9)
    assert len(sender.heartbeats_s) == pytest.approx(24, abs=1)


def test_the_heart_beats_while_frames_are_fast() -> None:
    clock = Clock()
    sender = ListSender(clock)
    sent(clock, sender, shots(clock, [0.009] * 200), StopAt(clock), 100.0)
    assert np.diff(sender.heartbeats_s).max() <= 0.27


def test_told_to_stop_it_says_so_and_sends_no_more() -> None:
    clock = Clock()
    sender = ListSender(clock)
    summary = sent(clock, sender, shots(clock, [0.0] * 1000), StopAt(clock, at_s=100.95), 10.0)
    assert sender.ends == ["stopped"]
    assert summary.frames_acquired == 10


def test_dropped_frames_are_counted_and_sending_goes_on() -> None:
    clock = Clock()
    sender = ListSender(clock, is_open=False)
    summary = sent(clock, sender, shots(clock, [0.0] * 5), StopAt(clock), 10.0)
    assert (summary.frames_acquired, summary.frames_sent, summary.dropped) == (5, 0, 5)


def test_an_error_while_scanning_is_told_to_the_peer_and_raised() -> None:
    clock = Clock()
    sender = ListSender(clock)

    def broken() -> Iterator[Shot]:
        yield Shot(PIXELS, {})
        raise RuntimeError("the beam is gone")

    with pytest.raises(RuntimeError, match="beam"):
        sent(clock, sender, broken(), StopAt(clock), 10.0)
    assert sender.ends == ["error"]


def test_no_shots_at_all_are_an_empty_session() -> None:
    clock = Clock()
    sender = ListSender(clock)
    summary = sent(clock, sender, iter(()), StopAt(clock), 10.0)
    assert summary.frames_acquired == 0
    assert sender.ends == ["stopped"]
