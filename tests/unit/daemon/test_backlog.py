"""The newest frame, or every frame: the two ways to wait between receiving and computing."""

import threading

import numpy as np
import pytest

from latticewatch.daemon.accounting import FrameAccounting
from latticewatch.daemon.backlog import Backlog, LatestBacklog, Received, WaitingBacklog
from support.headers import frame


def received(seq: int) -> Received:
    header = frame(seq)
    ticket = FrameAccounting().admit(header)
    assert ticket is not None
    return Received(
        ticket=ticket,
        header=header,
        pixels=np.zeros((64, 96), "<u2"),
        t_recv_ns=1,
        received_ns=5_000,
        ready_ns=12_000,
    )


def seq_of(frame: Received | None) -> int | None:
    return None if frame is None else frame.header.seq


@pytest.mark.fault
def test_the_newest_frame_displaces_the_one_that_waits() -> None:
    backlog = LatestBacklog()
    assert backlog.put(received(0)) is None
    assert seq_of(backlog.put(received(1))) == 0
    assert seq_of(backlog.take(0.0)) == 1
    assert backlog.take(0.0) is None


@pytest.mark.fault
def test_the_waiting_backlog_keeps_all_frames_in_order_and_the_sender_waiting() -> None:
    backlog = WaitingBacklog(capacity=2)
    backlog.put(received(0))
    backlog.put(received(1))
    is_in = threading.Event()

    def put_third() -> None:
        backlog.put(received(2))
        is_in.set()

    putting = threading.Thread(target=put_third)
    putting.start()
    assert not is_in.is_set()
    taken = [seq_of(backlog.take(1.0))]
    assert is_in.wait(5)
    putting.join()
    taken += [seq_of(backlog.take(1.0)), seq_of(backlog.take(1.0))]
    assert taken == [0, 1, 2]


@pytest.mark.parametrize("backlog", [LatestBacklog(), WaitingBacklog(capacity=2)])
def test_a_closed_backlog_gives_out_what_it_has_and_takes_no_more(backlog: Backlog) -> None:
    backlog.put(received(0))
    backlog.close()
    assert seq_of(backlog.put(received(1))) == 1
    assert seq_of(backlog.take(60.0)) == 0
    assert backlog.take(60.0) is None
    assert backlog.is_closed


def test_closing_frees_a_sender_that_waits() -> None:
    backlog = WaitingBacklog(capacity=1)
    backlog.put(received(0))
    returned: list[Received | None] = []
    putting = threading.Thread(target=lambda: returned.append(backlog.put(received(1))))
    putting.start()
    backlog.close()
    putting.join(5)
    assert [seq_of(frame) for frame in returned] == [1]


def test_a_frame_put_later_wakes_the_one_that_waits_for_it() -> None:
    backlog = LatestBacklog()
    taken: list[Received | None] = []
    taking = threading.Thread(target=lambda: taken.append(backlog.take(20.0)))
    taking.start()
    backlog.put(received(7))
    taking.join(10)
    assert [seq_of(frame) for frame in taken] == [7]
    assert received(0).validate_us == 7
