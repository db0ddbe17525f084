"""One line per reason and second, with a count; nothing from outside moves the cursor."""

import io
import json
import threading
from typing import Any

from latticewatch.daemon.logs import PENDING_MAX, LogBook, make_logger
from support.daemons import FakeClock


def make_book(
    out: io.StringIO, clock: FakeClock, *, form: str = "json", level: str = "info"
) -> LogBook:
    logger = make_logger(form=form, level=level, stream=out)  # type: ignore[arg-type]
    return LogBook(logger=logger, clock=clock)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_thousand_refusals_in_a_second_are_two_lines_with_a_count() -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock)
    for number in range(1000):
        book.refused("message_refused", reason="header", text=f"text {number}")
        book.flush()
        clock.advance(1)
    clock.advance(1)
    book.flush()
    assert [(line["reason"], line["count"]) for line in lines(out)] == [
        ("header", 1),
        ("header", 999),
    ]
    assert lines(out)[1]["text"] == "text 999"


def test_reasons_do_not_hide_each_other() -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock)
    for reason in ("header", "length"):
        book.refused("frame_dropped", reason=reason, text="")
    book.flush()
    assert [line["reason"] for line in lines(out)] == ["header", "length"]


def test_the_last_flush_holds_nothing_back() -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock)
    stop = threading.Event()
    stop.set()
    book.refused("frame_dropped", reason="crc", text="a")
    book.flush()
    book.refused("frame_dropped", reason="crc", text="b")
    book.note("stopping", text="now")
    book.run(stop)
    assert [line["event"] for line in lines(out)] == ["frame_dropped", "stopping", "frame_dropped"]


def test_a_line_carries_the_time_it_was_noted_not_written() -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock)
    book.note("ready")
    clock.advance(60_000)
    book.note("stopping")
    book.flush()
    first, second = (line["timestamp"] for line in lines(out))
    assert first < second
    assert first.endswith("+00:00")


def test_a_stuck_terminal_costs_old_lines_and_no_memory() -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock)
    for number in range(PENDING_MAX + 5):
        book.note("started", number=number)
    book.flush()
    assert len(lines(out)) == PENDING_MAX
    assert lines(out)[0]["number"] == 5


def test_below_the_level_nothing_is_written() -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock, level="warning")
    book.note("ready", level="info")
    book.note("overload", level="warning")
    book.flush()
    assert [line["event"] for line in lines(out)] == ["overload"]


def test_text_from_outside_cannot_drive_the_terminal() -> None:
    for form in ("console", "json"):
        out, clock = io.StringIO(), FakeClock()
        book = make_book(out, clock, form=form)
        book.refused("message_refused", reason="header", text="\x1b[2J\nforged line")
        book.flush()
        assert "\x1b" not in out.getvalue()
        assert out.getvalue().count("\n") == 1
