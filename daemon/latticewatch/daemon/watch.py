"""`latticewatch watch`: the events of one source in a terminal; a client like any other."""

import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

import zmq
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from latticewatch.adapters.errors import InputError
from latticewatch.client import (
    DaemonLost,
    Defect,
    DefectClient,
    DefectEvent,
    Message,
    MotifChange,
    ReceiveTimeout,
    Status,
)

N_EVENTS = 12
N_STATUSES = 4
N_CHANGES = 3  # of sites, in one line
REFRESH_PER_SECOND = 4  # faster than anyone reads, slow enough to leave the cores alone
WAIT_S = 0.5
NS_PER_MS = 1e6
LEVEL_STYLES = {"info": "dim", "warning": "yellow", "error": "bold red"}


@dataclass(slots=True)
class WatchState:
    """What the table shows."""

    source: str
    endpoint: str
    n_events: int = 0
    n_late: int = 0
    n_missed: int = 0
    lost: str = "waiting for the daemon"
    events: deque[DefectEvent] = field(default_factory=lambda: deque(maxlen=N_EVENTS))
    statuses: deque[Status] = field(default_factory=lambda: deque(maxlen=N_STATUSES))

    def accept(self, message: Message) -> None:
        """Take in one message of any kind: each is a sign of life."""
        self.lost = ""
        if isinstance(message, DefectEvent):
            # Of a frame that was counted already there may be another event.
            self.n_events += message.stage == "first"
            self.n_late += message.stage != "first"
            self.n_missed += message.missed_before
            self.events.append(message)
        elif isinstance(message, Status):
            self.statuses.append(message)

    def lose(self) -> None:
        """Note that nothing came, not even a heartbeat."""
        # Without the client's figure, which changes: a line that repeats itself is noise.
        self.lost = (
            f"nothing from {self.endpoint}: is the daemon running, and is its source called "
            f"{self.source!r}?"
        )


def watch_source(source: str, *, endpoint: str, as_table: bool) -> None:
    """Show events until Ctrl-C.

    Raises
    ------
    InputError
        The name or the endpoint is malformed.
    ClientError
        The daemon speaks another version of the protocol.
    """
    state = WatchState(source, endpoint)
    try:
        client = DefectClient(source, events=endpoint)
    except (ValueError, zmq.ZMQError) as error:
        raise InputError(f"{endpoint}: cannot watch {source}: {error}") from error
    with client, suppress(KeyboardInterrupt):  # the one way to end it, and no failure
        if as_table:
            _show_table(client, state)
        else:
            _print_lines(client, state)


def _show_table(client: DefectClient, state: WatchState) -> None:
    with Live(
        get_renderable=lambda: render(state), refresh_per_second=REFRESH_PER_SECOND, screen=True
    ):
        while True:
            _take_one(client, state)


def _print_lines(client: DefectClient, state: WatchState) -> None:
    while True:
        was_lost = state.lost
        message = _take_one(client, state)
        if state.lost and state.lost != was_lost:
            sys.stderr.write(f"{state.lost}\n")
        if isinstance(message, DefectEvent):
            sys.stdout.write(f"{event_line(message)}\n")
        elif isinstance(message, Status):
            sys.stdout.write(f"status {message.code}: {message.text}\n")
        sys.stdout.flush()


def _take_one(client: DefectClient, state: WatchState) -> Message | None:
    try:
        message = client.receive_any(timeout_s=WAIT_S)
    except ReceiveTimeout:
        return None
    except DaemonLost:
        state.lose()
        return None
    state.accept(message)
    return message


def event_line(event: DefectEvent) -> str:
    """One event as one line of plain text.

    The age is that of the frame when its event came here.
    """
    strongest = f"  {describe_defect(event.defects[0])}" if event.defects else ""
    strongest += "".join(f"  {describe_change(one)}" for one in event.motif_changes[:N_CHANGES])
    return (
        f"event {event.seq}  frame {event.frame.seq}  {age_ms(event):.1f} ms  {verdict(event)}  "
        f"{event.n_scored}/{event.n_sites} sites  {event.n_defects} defects{strongest}"
    )


def age_ms(event: DefectEvent) -> float:
    """Age of the frame when its event was received; means little if clocks differ."""
    return (event.t_received_ns - event.frame.t_complete_ns) / NS_PER_MS


def verdict(event: DefectEvent) -> str:
    """Outcome, with everything doubtful about the frame."""
    stage = [] if event.stage == "first" else [event.stage]
    return " ".join([*stage, event.outcome, *event.quality])


def describe_defect(defect: Defect) -> str:
    """Kind, motif class, place in fractions of the context, and chance of being none."""
    y, x = defect.frac_yx
    kind = defect.kind if defect.label is None else f"{defect.kind} ({defect.label})"
    return f"{kind} at {y:.4f}, {x:.4f} (p {defect.p_value:.0e})"


def describe_change(change: MotifChange) -> str:
    """Classes before and after, and place of the site in fractions of the context."""
    y, x = change.frac_yx
    return f"{change.before_label} became {change.after_label} at {y:.4f}, {x:.4f}"


def render(state: WatchState) -> RenderableType:
    """Lay out title, events and the newest statuses."""
    title = Text.assemble(
        ("latticewatch watch  ", "bold"),
        f"{state.source} at {state.endpoint}   {state.n_events} events",
        f", {state.n_late} late" if state.n_late else "",
        (f"   {state.n_missed} missed" if state.n_missed else "", "bold yellow"),
    )
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name in ("event", "frame", "age ms", "sites", "defects"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("strongest", no_wrap=True, ratio=3)
    table.add_column("verdict", no_wrap=True, ratio=1)
    for event in state.events:
        strongest = describe_defect(event.defects[0]) if event.defects else ""
        table.add_row(
            str(event.seq),
            str(event.frame.seq),
            f"{age_ms(event):.1f}",
            f"{event.n_scored}/{event.n_sites}",
            f"[bold]{event.n_defects}[/]" if event.n_defects else "0",
            Text(strongest),  # names of classes are anybody's words, and no markup
            Text(verdict(event)),
        )
    for _ in range(N_EVENTS - len(state.events)):  # so that the view does not jump
        table.add_row()
    statuses = [
        Text(f"{status.code}: {status.text}", style=LEVEL_STYLES[status.level], no_wrap=True)
        for status in state.statuses
    ]
    rest = [Text("") for _ in range(N_STATUSES - len(statuses))]
    hint = Text(state.lost, style="bold red") if state.lost else Text("Ctrl-C ends", style="dim")
    return Group(title, Panel(table), Panel(Group(*statuses, *rest), title="status"), hint)
