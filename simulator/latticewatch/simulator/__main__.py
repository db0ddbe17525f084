"""`python -m latticewatch.simulator`: builds the microscope and the sender, and runs them."""

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import zmq

from latticewatch.adapters.errors import EndpointError, InputError, SenderBlockedError
from latticewatch.adapters.native import FrameSender
from latticewatch.adapters.sockets import Mode
from latticewatch.simulator.arguments import (
    make_parser,
    microscope_settings,
    number_of_frames,
    source_name,
)
from latticewatch.simulator.microscope import Microscope
from latticewatch.simulator.saving import save_frames
from latticewatch.simulator.service import Pace, send_paced
from latticewatch.simulator.settings import SimulatorError
from latticewatch.simulator.sources import Shot, recorded_shots, simulated_shots
from latticewatch.wire.errors import ProtocolError

EXIT_SETTINGS = 2  # the operator's mistake, as everywhere in this project
EXIT_FAILED = 1


def main(
    arguments: Sequence[str] | None = None, *, prog: str = "python -m latticewatch.simulator"
) -> int:
    """Run the command, called `prog`; the exit code says who has to act."""
    options = make_parser(prog).parse_args(arguments)
    try:
        summary = _save(options) if options.save is not None else _send(options)
    except (SimulatorError, InputError, EndpointError, ProtocolError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_SETTINGS
    except (SenderBlockedError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILED
    sys.stdout.write(_report(summary, as_json=options.json) + "\n")
    trouble = _trouble(summary, mode=options.mode) if options.save is None else ""
    if trouble:
        sys.stderr.write(f"{trouble}\n")
    # Live frames that nobody heard are no failure: an instrument goes on without a daemon.
    return EXIT_FAILED if trouble and options.mode == "lossless" else 0


def _save(options: argparse.Namespace) -> dict[str, Any]:
    n_frames = number_of_frames(options) or 1
    microscope = Microscope(microscope_settings(options))
    beside = save_frames(microscope, n_frames, options.save)
    return {
        "saved": str(options.save),
        "truth": None if beside is None else str(beside),
        "frames_saved": n_frames,
        "defects": len(microscope.truth(0).kind),
    }


def _send(options: argparse.Namespace) -> dict[str, Any]:
    source = source_name(options)
    shots = _make_shots(options)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pace = Pace(fps=options.fps, monotonic_s=time.monotonic, utc_ns=time.time_ns)
    with (
        zmq.Context() as context,
        FrameSender(
            context=context, endpoint=options.endpoint, source=source, mode=options.mode
        ) as sender,
    ):
        _wait_for_daemon(sender, wait_s=options.wait_s, stop=stop)
        sent = send_paced(shots, sender=sender, stop=stop, pace=pace)
    return {**asdict(sent), "source": source, "endpoint": options.endpoint}


def _make_shots(options: argparse.Namespace) -> Iterator[Shot]:
    """Open or build everything now, so that a mistake is found before anything is sent."""
    n_frames = number_of_frames(options)
    if options.images is not None:
        return recorded_shots(options.images, n_frames=n_frames, is_looped=options.loop)
    microscope = Microscope(microscope_settings(options))
    microscope.frame(0)  # compiles the loops where their cache is cold
    return simulated_shots(microscope, n_frames=n_frames, tell_truth=options.truth)


def _wait_for_daemon(sender: FrameSender, *, wait_s: float, stop: threading.Event) -> None:
    """Give a daemon time to connect: the one thing a real instrument would not do.

    Without it the first frames of every demo would be counted as dropped.
    """
    until_s = time.monotonic() + wait_s
    while time.monotonic() < until_s and not stop.is_set():
        if sender.wait_for_peer(0.1):
            return


def _trouble(summary: dict[str, Any], *, mode: Mode) -> str:
    """Word what the operator has to know of frames that nobody heard; empty if there is nothing."""
    endpoint, source = summary["endpoint"], summary["source"]
    if summary["undelivered"]:
        return (
            f"{summary['undelivered']} of {summary['frames_sent']} frames did not leave in time: "
            f"does the daemon at {endpoint} still read, in {mode} mode?"
        )
    if summary["frames_acquired"] and not summary["frames_sent"]:
        return (
            f"nobody listens at {endpoint}, all {summary['dropped']} frames were dropped: "
            f"start `latticewatch run` with source.name {source}, or check --endpoint"
        )
    return ""


def _report(summary: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(summary)
    return "  ".join(f"{name} {value}" for name, value in summary.items())


if __name__ == "__main__":
    sys.exit(main())
