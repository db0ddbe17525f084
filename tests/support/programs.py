"""Real programs of ours for tests: run to their end, or started and stopped by their own id."""

import json
import math
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latticewatch.client import DefectClient
from latticewatch.daemon.processes import Child

READY_S = 120.0  # with a cold numba cache
SOURCE = "haadf1"


def run_command(*arguments: object, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run `latticewatch ARGUMENTS` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "latticewatch.daemon", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def last_json(text: str) -> dict[str, Any]:  # Any: JSON
    """Last line of a program's output, as JSON."""
    value = json.loads(text.strip().splitlines()[-1])
    assert isinstance(value, dict)
    return value


@dataclass(frozen=True)
class RunningDaemon:
    """A daemon in a process of its own."""

    child: Child
    frames: str
    events: str
    http: str

    def metrics(self) -> dict[str, float]:
        """Samples by name and labels."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def resident_mib(self) -> float:
        """Memory that the process holds."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


def write_config(
    folder: Path,
    *,
    model: str = "pretrained:mos2",
    mode: str = "live",
    max_defects: int = 256,
    more: str = "",
) -> Path:
    """Write a settings file on free ports; `more` is put at its end."""
    config = folder / "daemon.toml"
    config.write_text(
        f"""\
[source]
name = "{SOURCE}"
[ingest]
endpoint = "tcp://127.0.0.1:*"
mode = "{mode}"
[events]
endpoint = "tcp://127.0.0.1:*"
max_defects = {max_defects}
[http]
port = 0
[detectors.patterson]
model = "{model}"
{more}"""
    )
    return config


@contextmanager
def daemon_process(
    folder: Path,
    *,
    model: str = "pretrained:mos2",
    mode: str = "live",
    max_defects: int = 256,
    more: str = "",
) -> Iterator[RunningDaemon]:
    """Start `latticewatch run` on free ports, wait until it is ready, and stop it after."""
    config = write_config(folder, model=model, mode=mode, max_defects=max_defects, more=more)
    arguments = ["run", str(config)]
    with Child(name="the daemon", module="latticewatch.daemon", arguments=arguments) as child:
        ready = child.receive_json(timeout_s=READY_S)
        endpoints = ready["endpoints"]
        yield RunningDaemon(
            child=child, frames=endpoints["frames"], events=endpoints["events"], http=ready["http"]
        )


def listening_to(daemon: RunningDaemon) -> DefectClient:
    """Give a client that never takes silence for loss: processes stall on a shared computer."""
    return DefectClient(SOURCE, events=daemon.events, lost_after_s=math.inf)


def simulator_process(*arguments: object) -> Child:
    """Start the simulator; use the result as a context manager."""
    return Child(
        name="the simulator",
        module="latticewatch.simulator",
        arguments=[*map(str, arguments), "--source", SOURCE, "--json"],
    )
