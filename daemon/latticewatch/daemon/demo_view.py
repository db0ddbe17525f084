"""The demo's live terminal view: what it shows and how; it receives and computes nothing."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from latticewatch.daemon.demo_late import LateTally
from latticewatch.daemon.demo_score import Tally, Truth, Verdict

SPARK = "▁▂▃▄▅▆▇█"
SPARK_FULL_MS = 40.0  # the demo's promise for p99 is a full bar
N_SPARKS = 24
MAP_ROWS = 12
MAP_COLUMNS = 28  # a character is twice as high as wide: a square frame looks nearly square
N_LISTED = 12
FOUND, MISSED, FALSE = ("●", "green"), ("○", "bold red"), ("✗", "yellow")


@dataclass(frozen=True, slots=True)
class ShownDefect:
    """One published defect as the table shows it; `truth_kind` None where nothing is wrong."""

    seq: int
    kind: str
    pixel_yx: tuple[float, float]
    p_value: float
    truth_kind: str | None


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """The newest judged frame."""

    shape_yx: tuple[int, int]
    found_yx: np.ndarray
    truth: Truth
    verdict: Verdict


@dataclass(slots=True)
class DemoState:
    """Everything the view shows, written by the client's loop."""

    title: str
    tally: Tally = field(default_factory=Tally)
    late: LateTally = field(default_factory=LateTally)
    elapsed_s: float = 0.0
    quality: str = ""
    n_gaps: int = 0
    latest: deque[ShownDefect] = field(default_factory=lambda: deque(maxlen=N_LISTED))
    frame: ShownFrame | None = None


def render(state: DemoState) -> RenderableType:
    """Lay out the whole view."""
    title = Text.assemble(
        ("latticewatch demo  ", "bold"),
        state.title,
        (f"   {state.elapsed_s:.0f} s", "dim"),
        (f"   {state.quality}", "yellow"),
    )
    top = Columns(
        [_frames_panel(state), _latency_panel(state), _truth_panel(state.tally)], padding=0
    )
    body = Table.grid()
    body.add_row(_defects_panel(state.latest), _map_panel(state.frame))
    return Group(title, top, body, Text("Ctrl-C ends the demo", style="dim"))


def _pairs(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def _frames_panel(state: DemoState) -> Panel:
    tally = state.tally
    rows = [
        ("per second", f"{tally.fps:.1f}"),
        ("answered", f"{tally.n_events}"),
        ("dropped", _alarming(tally.n_dropped)),
        ("missing", _alarming(tally.n_missing)),
        ("events lost", _alarming(state.n_gaps)),
    ]
    return Panel(_pairs(rows), title="frames", width=26)


def _alarming(count: int) -> str:
    return f"[bold yellow]{count}[/]" if count else "0"


def _latency_panel(state: DemoState) -> Panel:
    tally, late = state.tally, ""
    if state.late.n_answered:
        late = f"late p50  {_milliseconds(state.late.recent_age_ms(0.5))}"
    table = _pairs(
        [
            ("p50", _milliseconds(tally.recent_latency_ms(0.5))),
            ("p99", _milliseconds(tally.recent_latency_ms(0.99))),
            ("now", _milliseconds(tally.recent_ms[-1] if tally.recent_ms else None)),
        ]
    )
    return Panel(
        Group(table, Text(late, style="dim"), Text(sparkline(tally.recent_ms), style="cyan")),
        title="sent -> event here",
        width=28,
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def sparkline(values_ms: Iterable[float]) -> str:
    """Newest latencies as bars; a full bar is `SPARK_FULL_MS` or more."""
    newest = list(values_ms)[-N_SPARKS:]
    levels = [int(value / SPARK_FULL_MS * len(SPARK)) for value in newest]
    return "".join(SPARK[min(max(level, 0), len(SPARK) - 1)] for level in levels)


def _truth_panel(tally: Tally) -> Panel:
    rows = [
        ("found", f"[green]{tally.n_recalled}[/]"),
        ("missed", f"[red]{tally.n_hidden - tally.n_recalled}[/]"),
        ("false", f"[yellow]{tally.n_false}[/]"),
        ("precision", _share(tally.precision)),
        ("recall", _share(tally.recall)),
    ]
    return Panel(_pairs(rows), title="against the truth", width=26)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _defects_panel(latest: Iterable[ShownDefect]) -> Panel:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for name in ("frame", "y", "x", "p"):
        table.add_column(name, justify="right", min_width=5)
    table.add_column("kind", min_width=9, no_wrap=True)
    table.add_column("truth", min_width=9, no_wrap=True)
    rows = list(latest)
    for shown in rows:
        y, x = shown.pixel_yx
        truth = (
            "[yellow]nothing[/]" if shown.truth_kind is None else f"[green]{shown.truth_kind}[/]"
        )
        table.add_row(
            f"{shown.seq}", f"{y:.1f}", f"{x:.1f}", f"{shown.p_value:.0e}", shown.kind, truth
        )
    for _ in range(N_LISTED - len(rows)):  # so that the view does not jump
        table.add_row()
    return Panel(table, title="last defects", width=48, height=MAP_ROWS + 3)


def _map_panel(frame: ShownFrame | None) -> Panel:
    legend = Text.assemble(FOUND, " found  ", MISSED, " missed  ", FALSE, " false")
    picture = draw_map(frame) if frame is not None else Text("\n" * (MAP_ROWS - 1))
    return Panel(Group(picture, legend), title="this frame", width=MAP_COLUMNS + 4)


def draw_map(frame: ShownFrame) -> Text:
    """Field of view in characters: found, missed and false defects at their places."""
    cells: dict[tuple[int, int], tuple[str, str]] = {}

    def mark(places: np.ndarray, symbol: tuple[str, str]) -> None:
        share = (np.asarray(places, np.float64).reshape(-1, 2) + 0.5) / frame.shape_yx
        grid = np.clip(share, 0.0, 1.0 - 1e-9) * (MAP_ROWS, MAP_COLUMNS)
        for row, column in grid.astype(int):
            cells[int(row), int(column)] = symbol

    verdict = frame.verdict
    was_found = np.zeros(len(frame.truth.pixel_yx), bool)
    was_found[verdict.truth_of[verdict.truth_of >= 0]] = True
    # Later symbols overwrite: a miss must never hide behind a hit in the same cell.
    mark(frame.truth.pixel_yx[was_found & verdict.truth_counts], FOUND)
    mark(frame.found_yx[(verdict.truth_of < 0) & verdict.found_counts], FALSE)
    mark(frame.truth.pixel_yx[~was_found & verdict.truth_counts], MISSED)
    text = Text()
    for row in range(MAP_ROWS):
        for column in range(MAP_COLUMNS):
            text.append(*cells.get((row, column), ("·", "grey30")))
        text.append("\n")
    text.rstrip()
    return text
