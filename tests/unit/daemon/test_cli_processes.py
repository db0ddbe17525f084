from pathlib import Path

import pytest

from latticewatch.daemon.processes import Child, CommandError

ECHO = """
import sys
print("not json", flush=True)
for line in sys.stdin:
    print(line, end="", flush=True)
"""
STUBBORN = """
import signal, sys, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"deaf": true}', flush=True)
threading.Event().wait()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    (tmp_path / "program_of_a_test.py").write_text(request.param)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "program_of_a_test"


@pytest.mark.parametrize("module", [ECHO], indirect=True)
def test_lines_that_are_not_json_are_skipped(module: str) -> None:
    with Child(name="the echo", module=module, arguments=[]) as child:
        child.send_json({"number": 1})

        assert child.receive_json(timeout_s=20) == {"number": 1}


@pytest.mark.parametrize("module", ["import sys; sys.exit('line one\\nthe reason')"], indirect=True)
def test_an_early_end_is_told_with_its_last_line(module: str) -> None:
    with (
        Child(name="the program", module=module, arguments=[]) as child,
        pytest.raises(CommandError, match="the program ended with code 1: the reason"),
    ):
        child.receive_json(timeout_s=20)


@pytest.mark.parametrize("module", [ECHO], indirect=True)
def test_silence_ends_in_an_error(module: str) -> None:
    with (
        Child(name="the echo", module=module, arguments=[]) as child,
        pytest.raises(CommandError, match=r"the echo said nothing for 0\.1 s"),
    ):
        child.receive_json(timeout_s=0.1)


@pytest.mark.parametrize("module", [STUBBORN], indirect=True)
def test_a_process_that_ignores_the_request_is_killed(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latticewatch.daemon.processes.STOP_TIMEOUT_S", 0.2)
    child = Child(name="the deaf one", module=module, arguments=[])
    child.receive_json(timeout_s=20)

    assert child.stop() == -9
    assert not child.is_running
