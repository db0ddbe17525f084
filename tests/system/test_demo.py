"""The demo as a user runs it: three processes, one result."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.programs import last_json, run_command
from support.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

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
    assert result["settings"]["model"] == "demo.model"
    assert result["frames_scored"] > 0


def test_a_refused_option_is_one_line() -> None:
    done = run_command("demo", "--headless", "--seconds", "1", "--crystal", "ice")

    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "ice" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interrupted_demo_gives_its_result_and_leaves_no_process(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "latticewatch.daemon", "demo", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as demo:
        children = wait_for_children(demo)
        demo.send_signal(number)
        out, err = demo.communicate(timeout=60)

    assert demo.returncode == 0, err.decode()
    assert last_json(out.decode())["frames_unaccounted"] == 0
    assert [pid for pid in children if is_alive(pid)] == []


def wait_for_children(demo: "subprocess.Popen[bytes]") -> list[int]:
    """Ids of simulator and daemon, once both are there and frames have come."""

    def children() -> list[int]:
        text = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    assert wait_until(lambda: len(children()) == 2, timeout_s=120)
    found = children()
    # Far more than starting takes: by then frames have gone through both.
    assert wait_until(lambda: min(map(cpu_seconds, found)) > 3.0, timeout_s=60)
    return found


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
