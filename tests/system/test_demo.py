"""The demo as a user runs it: three processes, one result."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.programs import last_json, run_command

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ANSWERED = re.compile(r"answered\s+[1-9]")  # by the live view, once frames went all the way
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
JUDGE = Path(__file__).parents[2] / ".ci" / "judge_demo.py"


@pytest.fixture(scope="module")
def result_line() -> str:
    done = run_command("demo", "--headless", "--seconds", "5", "--json")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_the_demo_keeps_its_promises(result_line: str) -> None:
    judged = subprocess.run(
        [sys.executable, str(JUDGE)], input=result_line, capture_output=True, text=True, check=False
    )

    assert judged.returncode == 0, judged.stderr


def test_every_frame_of_the_demo_has_a_fate(result_line: str) -> None:
    result = last_json(result_line)

    assert result["frames_acquired"] == 150
    assert result["frames_unaccounted"] == 0
    assert result["frames_processed"] == result["events_received"] + result["events_missed"]


def test_a_broken_promise_is_named() -> None:
    judged = subprocess.run(
        [sys.executable, str(JUDGE)], input="{}", capture_output=True, text=True, check=False
    )

    assert judged.returncode == 1
    assert "demo: frames_unaccounted: missing" in judged.stderr


def test_a_dose_without_a_shipped_model_is_fitted_first() -> None:
    done = run_command("demo", "--headless", "--seconds", "2", "--json", "--dose", "60000")

    assert done.returncode == 0, done.stderr
    result = last_json(done.stdout)
    assert result["settings"]["models"] == {"patterson": "patterson.model"}
    assert result["frames_scored"] > 0


def test_a_refused_option_is_one_line() -> None:
    done = run_command("demo", "--headless", "--seconds", "1", "--crystal", "ice")

    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "ice" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_demo_gives_its_result_and_leaves_no_process(number: int) -> None:
    terminal, far_end = os.openpty()
    with (
        os.fdopen(terminal, "rb", buffering=0) as screen,
        subprocess.Popen(
            [sys.executable, "-m", "latticewatch.daemon", "demo", "--json"],
            stdout=far_end,
            stderr=subprocess.PIPE,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "50"},
        ) as demo,
    ):
        os.close(far_end)
        read_until(screen, ANSWERED)
        children = children_of(demo.pid)
        demo.send_signal(number)
        out = read_until(screen, None)
        err = demo.communicate(timeout=60)[1]

    assert demo.returncode == 0, err.decode()
    assert last_json(out)["frames_unaccounted"] == 0
    assert len(children) == 2
    assert [pid for pid in children if is_alive(pid)] == []


def read_until(screen: io.FileIO, wanted: "re.Pattern[str] | None") -> str:
    """Read what a terminal shows until it shows this, or without it until its end."""
    shown = ""
    while wanted is None or not wanted.search(shown):
        try:
            shown = STYLE.sub("", shown + screen.read(65_536).decode(errors="replace"))
        except OSError:  # how a terminal ends on Linux
            assert wanted is None, shown
            return shown
    return shown


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
