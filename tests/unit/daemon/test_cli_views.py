import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

from latticewatch.adapters.errors import InputError
from latticewatch.client import DefectEvent, Status, decode
from latticewatch.daemon import demo_view, watch
from latticewatch.daemon.demo_score import Truth, judge
from latticewatch.daemon.demo_view import DemoState, ShownDefect, ShownFrame

GOLDEN = Path(__file__).parents[2] / "data" / "golden" / "v1"


def text_of(view: RenderableType, *, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(view)
    return console.export_text()


def shown_frame() -> ShownFrame:
    truth = Truth(np.array([[50.0, 50.0], [50.0, 150.0]]), ("vacancy", "excess"), 20.0)
    found = np.array([[51.0, 51.0], [150.0, 150.0]])
    return ShownFrame((200, 200), found, truth, judge(found, truth, (200, 200)))


def test_the_map_shows_found_missed_and_false() -> None:
    drawn = demo_view.draw_map(shown_frame()).plain

    symbols = [symbol for symbol, _ in (demo_view.FOUND, demo_view.MISSED, demo_view.FALSE)]
    assert [drawn.count(symbol) for symbol in symbols] == [1, 1, 1]


def test_the_view_fits_a_terminal_of_80_columns_before_and_after_the_first_event() -> None:
    state = DemoState("mos2 512 x 512, 30 frames/s")
    empty = text_of(demo_view.render(state)).splitlines()
    state.frame = shown_frame()
    for seq in range(30):
        state.latest.append(ShownDefect(10_000 + seq, "displaced", (511.5, 511.5), 1e-300, None))
        state.tally.add_event(received_ns=(seq + 1) * 10**7, sent_ns=1, dropped=0, missing=0)
    full = text_of(demo_view.render(state)).splitlines()

    assert len(empty) == len(full) <= 24
    assert max(map(len, full)) <= 80
    assert any("displaced nothing" in line for line in full)


def test_bars_are_full_at_the_promised_latency() -> None:
    assert demo_view.sparkline([0.0, 39.9, 40.0, 1000.0]) == "▁███"


def golden_event(name: str) -> DefectEvent:
    event = decode((GOLDEN / f"{name}.msgpack").read_bytes())
    assert isinstance(event, DefectEvent)
    return event


def test_a_line_names_the_strongest_defect() -> None:
    name = next(path.stem for path in sorted(GOLDEN.glob("event*two*.msgpack")))
    event = golden_event(name)

    line = watch.event_line(event)

    assert f"frame {event.frame.seq}" in line
    assert f"{event.n_defects} defects  vacancy (S vacancy) at" in line


def test_a_line_names_motifs_and_sites_that_changed() -> None:
    line = watch.event_line(golden_event("event_motifs"))

    assert "3 defects  deficit (1S vacancy) at" in line
    assert "S became 1S vacancy at" in line
    assert "W became new at" in line


def test_the_table_shows_events_statuses_and_a_lost_daemon() -> None:
    state = watch.WatchState("haadf1", "tcp://127.0.0.1:5611")
    for path in sorted(GOLDEN.glob("event*.msgpack")):
        state.accept(golden_event(path.stem))
    status = decode(next(iter(GOLDEN.glob("status*.msgpack"))).read_bytes())
    assert isinstance(status, Status)
    state.accept(status)
    state.lost = "nothing from there"

    shown = text_of(watch.render(state), width=100)

    assert status.code in shown
    assert "nothing from there" in shown
    assert f"{state.n_events} events" in shown


def test_a_lost_daemon_may_be_one_of_another_source() -> None:
    state = watch.WatchState("wrong", "tcp://127.0.0.1:5611")
    state.lose()
    assert state.lost == (
        "nothing from tcp://127.0.0.1:5611: is the daemon running, and is its source called "
        "'wrong'?"
    )


def test_a_malformed_name_or_endpoint_is_the_users_to_mend() -> None:
    with pytest.raises(InputError, match="cannot watch Not A Name"):
        watch.watch_source("Not A Name", endpoint="tcp://127.0.0.1:1", as_table=False)
    with pytest.raises(InputError, match="nonsense"):
        watch.watch_source("haadf1", endpoint="nonsense", as_table=False)


def test_names_of_classes_are_shown_as_they_are() -> None:
    """They are anybody's words, and no markup."""
    event = golden_event("event_motifs")
    first = replace(event.defects[0], label="S [/b] gone")
    event = replace(event, defects=(first, *event.defects[1:]))
    state = watch.WatchState("haadf1", "tcp://127.0.0.1:5611")
    state.accept(event)
    assert "(S [/b] gone)" in text_of(watch.render(state), width=200)
