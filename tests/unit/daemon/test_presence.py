"""Silence, a closed connection and the end of a session are three different things."""

import pytest

from latticewatch.daemon.presence import Presence, Readiness
from support.daemons import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def presence(clock: FakeClock) -> Presence:
    return Presence(name="haadf1", clock=clock)


def test_the_first_message_brings_the_source_up_once(presence: Presence) -> None:
    assert [notice.code for notice in presence.heard()] == ["source_up"]
    assert presence.heard() == []


@pytest.mark.fault
def test_three_missing_heartbeats_are_a_stall_told_once(
    presence: Presence, clock: FakeClock
) -> None:
    presence.heard()
    clock.advance(750)
    assert presence.look(n_connections=1) == []
    clock.advance(1)
    assert [notice.code for notice in presence.look(n_connections=1)] == ["source_stalled"]
    assert presence.look(n_connections=1) == []
    assert presence.age_ms == 751
    assert [notice.code for notice in presence.heard()] == ["source_up"]


def test_a_closed_connection_is_down_at_once(presence: Presence) -> None:
    presence.heard()
    assert [notice.code for notice in presence.look(n_connections=0)] == ["source_down"]
    assert presence.look(n_connections=0) == []


def test_after_the_end_silence_and_a_closed_connection_are_no_fault(
    presence: Presence, clock: FakeClock
) -> None:
    presence.heard()
    presence.heard(ended=True)
    clock.advance(10_000)
    assert presence.look(n_connections=0) == []
    assert presence.state == "ended"


def test_a_source_that_never_came_is_waited_for(presence: Presence) -> None:
    assert presence.look(n_connections=0) == []
    assert (presence.state, presence.age_ms) == ("waiting", None)


def test_readiness_names_every_reason(presence: Presence, clock: FakeClock) -> None:
    readiness = Readiness(presence)
    assert readiness.reasons() == ["starting"]
    readiness.phase = "ready"
    assert readiness.is_ready
    presence.heard()
    clock.advance(800)
    presence.look(n_connections=1)
    readiness.phase = "stopping"
    assert readiness.reasons() == ["stopping", "source_stalled"]
