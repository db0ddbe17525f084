"""One line per reason and second, with a count; nothing from outside moves the cursor."""

import io
import json
import threading
from typing import Any

import pytest

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


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\nforged line",
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x9b2J",
        "backspaces\x08\x08",
        "\u202egnihton",
        "a\vb\fc\x1cd\x85e\u2028f",
    ],
    ids=ascii,
)
def test_text_from_outside_cannot_drive_the_terminal(form: str, text: str) -> None:
    out, clock = io.StringIO(), FakeClock()
    book = make_book(out, clock, form=form)
    book.refused("message_refused", reason="header", text=text)
    book.note("session_started", session=text, names=[text])
    book.flush()
    assert len(out.getvalue().splitlines()) == 2
    assert all(line.isprintable() for line in out.getvalue().splitlines())


class GoneTerminal(io.StringIO):
    """A stream whose reader has gone, until it is back."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.fault
@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), ValueError("I/O operation on closed file")]
)
def test_a_reader_that_went_away_costs_the_lines_and_nothing_else(error: Exception) -> None:
    out, clock = GoneTerminal(error), FakeClock()
    book = make_book(out, clock)
    book.note("ready")
    book.note("stopping")
    book.flush()
    out.error = None
    book.note("source_up")
    book.flush()
    assert [line["event"] for line in lines(out)] == ["source_up"]
