"""The live demo: simulator, daemon and client as three processes, judged by the truth.

This process is the client. The daemon never reads the truth: it travels in the frame's attributes,
which the daemon copies, unread, into the event.
"""

import math
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.live import Live

from latticewatch.client import DefectClient, DefectEvent, Heartbeat, ReceiveTimeout, Status
from latticewatch.daemon.demo_score import Truth, judge
from latticewatch.daemon.demo_setup import (
    DEMO_SOURCE,
    DemoSettings,
    choose_models,
    looks_late,
    sending_arguments,
    write_config,
)
from latticewatch.daemon.demo_view import DemoState, ShownDefect, ShownFrame, render
from latticewatch.daemon.processes import SIMULATOR_MODULE, Child, CommandError

DAEMON_MODULE = "latticewatch.daemon"
READY_TIMEOUT_S = 180.0  # compiling everything on a slow computer, once
CONNECT_TIMEOUT_S = 10.0
LAST_WORDS_S = 8.0  # for the end of the session, and again for the daemon's last status
SUMMARY_TIMEOUT_S = 5.0
WAIT_S = 0.25
REFRESH_PER_SECOND = 4


def run_demo(settings: DemoSettings, *, live: bool) -> dict[str, Any]:  # Any: JSON
    """Run the demo to its end, or to Ctrl-C, and give its result.

    Parameters
    ----------
    settings
        What the user chose.
    live
        Show the view in the terminal.

    Raises
    ------
    CommandError
        A process broke or did not answer in time.
    """
    with ExitStack() as stack:
        stack.enter_context(_termination_as_interrupt())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latticewatch-")))
        models = choose_models(settings, folder)
        config = write_config(models, folder, settings.detectors)
        daemon = stack.enter_context(
            Child(name="the daemon", module=DAEMON_MODULE, arguments=["run", str(config)])
        )
        endpoints = daemon.receive_json(timeout_s=READY_TIMEOUT_S)["endpoints"]
        client = stack.enter_context(
            # Whether the daemon lives is seen by its process, so silence is never taken for loss.
            DefectClient(DEMO_SOURCE, events=endpoints["events"], lost_after_s=math.inf)
        )
        _wait_until_subscribed(client)
        simulator = stack.enter_context(
            Child(
                name="the simulator",
                module=SIMULATOR_MODULE,
                arguments=sending_arguments(settings, endpoint=endpoints["frames"]),
            )
        )
        state, has_late = DemoState(settings.title), looks_late(settings)
        run = DemoRun(client, daemon, simulator, state, has_late=has_late)
        with _view(run.state) if live else nullcontext():
            run.follow_to_the_end()
        names = {detector: Path(model).name for detector, model in models.items()}
        return run.result() | {"settings": asdict(settings) | {"models": names}}


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let a closed terminal or a kill end the demo as Ctrl-C does, children included."""
    signals = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _view(state: DemoState) -> Live:
    return Live(get_renderable=lambda: render(state), refresh_per_second=REFRESH_PER_SECOND)


def _wait_until_subscribed(client: DefectClient) -> None:
    """Return when the first heartbeat has come: from then on no event is missed."""
    deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            if isinstance(client.receive_any(timeout_s=WAIT_S), Heartbeat):
                return
        except ReceiveTimeout:
            continue
    raise CommandError(f"no heartbeat from the daemon within {CONNECT_TIMEOUT_S:g} s")


class DemoRun:
    """The client's side of one demo: receives, judges and keeps what the view shows.

    Parameters
    ----------
    client
        Subscribed already.
    daemon, simulator
        Stopped by whoever started them.
    state
        Written here, read by the view.
    """

    def __init__(
        self,
        client: DefectClient,
        daemon: Child,
        simulator: Child,
        state: DemoState,
        *,
        has_late: bool,
    ) -> None:
        self._has_late = has_late
        self.state = state
        self._client = client
        self._daemon = daemon
        self._simulator = simulator
        self._statuses: dict[str, Status] = {}
        self._start_s = time.monotonic()

    def follow_to_the_end(self) -> None:
        """Receive until the simulator ends or Ctrl-C, then stop both in order, losing nothing."""
        try:
            self._follow(lambda: not self._simulator.is_running, timeout_s=math.inf)
        except KeyboardInterrupt:
            if not self.state.tally.n_events:
                raise  # nothing to report yet; the simulator may not even listen to signals
            self._simulator.ask_to_stop()
        else:
            self._simulator.check_end()
        self._follow(lambda: "session_ended" in self._statuses, timeout_s=LAST_WORDS_S)
        self._daemon.ask_to_stop()
        self._follow(lambda: "stopping" in self._statuses, timeout_s=LAST_WORDS_S)

    def result(self) -> dict[str, Any]:  # Any: JSON
        """Sum up what the demo measured.

        Raises
        ------
        CommandError
            The simulator gave no summary, or the daemon no last account.
        """
        sent = self._simulator.receive_json(timeout_s=SUMMARY_TIMEOUT_S)
        last = self._statuses.get("stopping") or self._statuses.get("session_ended")
        if last is None:
            raise CommandError("the daemon ended without its last account of the frames")
        account, tally = last.detail, self.state.tally
        n_dropped = sum(account["dropped"].values())
        n_missing = sum(account["missing"].values())
        late = {"late": self.state.late.result()} if self._has_late else {}
        return {
            "frames_acquired": sent["frames_acquired"],
            "frames_sent": sent["frames_sent"],
            "frames_received": account["frames_received"],
            "frames_processed": account["processed"],
            "frames_dropped": n_dropped,
            "frames_dropped_after_first_second": tally.n_dropped_settled,
            "frames_missing": n_missing,
            "frames_unaccounted": sent["frames_acquired"]
            - account["processed"]
            - n_dropped
            - n_missing,
            "fps": round(tally.fps, 2),
            "events_received": tally.n_events,
            "events_missed": self.state.n_gaps,
            "latency_p50_ms": _rounded(tally.latency_ms(0.5)),
            "latency_p99_ms": _rounded(tally.latency_ms(0.99)),
            "frames_scored": tally.n_scored,
            "defects_hidden": tally.n_hidden,
            "defects_found": tally.n_recalled,
            "defects_false": tally.n_false,
            "precision": _rounded(tally.precision),
            "recall": _rounded(tally.recall),
        } | late

    def _follow(self, is_done: Callable[[], bool], *, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not is_done() and time.monotonic() < deadline_s:
            try:
                message = self._client.receive_any(timeout_s=WAIT_S)
            except ReceiveTimeout:
                message = None
            self.state.elapsed_s = time.monotonic() - self._start_s
            if isinstance(message, DefectEvent):
                self._accept_event(message)
            elif isinstance(message, Status):
                self._statuses[message.code] = message
            elif message is None and not self._daemon.is_running and not is_done():
                raise CommandError(self._daemon.describe_end())

    def _accept_event(self, event: DefectEvent) -> None:
        state = self.state
        state.n_gaps += event.missed_before
        if event.stage != "first":
            # Another one on a frame that was counted already.
            state.tally.add_losses(
                received_ns=event.t_received_ns,
                dropped=event.dropped_since_last,
                missing=event.missing_since_last,
            )
            state.late.add_late(event, settled=state.tally.is_settled(event.t_received_ns))
            return
        state.tally.add_event(
            received_ns=event.t_received_ns,
            sent_ns=event.frame.t_complete_ns,
            dropped=event.dropped_since_last,
            missing=event.missing_since_last,
        )
        state.quality = " ".join(event.quality)
        truth = read_truth(event)
        if event.outcome != "scored" or truth is None:
            return
        found_yx = np.array([defect.pixel_yx for defect in event.defects]).reshape(-1, 2)
        verdict = judge(found_yx, truth, event.frame.shape_yx)
        state.tally.add_verdict(verdict)
        state.late.add_first(event, found_yx, truth, verdict)
        state.frame = ShownFrame(event.frame.shape_yx, found_yx, truth, verdict)
        for defect, partner in zip(event.defects, verdict.truth_of, strict=True):
            if verdict.found_counts[defect.i]:
                kind = truth.kinds[partner] if partner >= 0 else None
                state.latest.append(
                    ShownDefect(event.frame.seq, defect.kind, defect.pixel_yx, defect.p_value, kind)
                )


def read_truth(event: DefectEvent) -> Truth | None:
    """Truth that came with the frame; None without one, or where it was cut to fit the header."""
    truth = (event.attrs or {}).get("truth")
    if truth is None or truth.get("truncated"):
        return None
    return Truth(
        pixel_yx=np.array(truth["pixel_yx"], np.float64).reshape(-1, 2),
        kinds=tuple(truth["kind"]),
        period_px=truth["period_px"],
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
