"""The daemon from settings to exit code, in this process; real processes are in tests/system."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from latticewatch.daemon import runtime
from latticewatch.daemon.config import Settings
from latticewatch.daemon.lifecycle import Daemon
from latticewatch.daemon.runtime import Analysis, CannotStartError, run_daemon
from latticewatch.daemon.service import Analyser
from support.daemons import MODELS, make_settings, running_daemon
from support.hostile import good_message
from support.pipelines import MODEL_SET, BrokenPipeline, FakePipeline
from support.zeromq import open_context

pytestmark = pytest.mark.fault


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def use(pipeline: Analyser, monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = Analysis(pipeline=pipeline, model_set=MODEL_SET, models=MODELS)
    monkeypatch.setattr(runtime, "load_analysis", lambda *_, **__: analysis)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_exits_with_0(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakePipeline(), monkeypatch)
    lines: list[dict[str, object]] = []

    def when_ready(line: str) -> None:
        lines.append(json.loads(line))
        os.kill(os.getpid(), number)

    assert run_daemon(make_settings(), announce=when_ready) == 0
    (line,) = lines
    assert line["ready"] is True
    assert isinstance(line["endpoints"], dict)
    assert line["endpoints"].keys() == {"frames", "events"}
    assert str(line["http"]).startswith("http://127.0.0.1:")


def test_without_a_listener_the_ready_line_goes_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(FakePipeline(), monkeypatch)
    original = Daemon.start

    def start_and_stop(daemon: Daemon) -> None:
        original(daemon)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Daemon, "start", start_and_stop)
    assert run_daemon(make_settings()) == 0
    assert json.loads(capsys.readouterr().out)["ready"] is True


def interrupt(*_: object, **__: object) -> Analysis:
    os.kill(os.getpid(), signal.SIGTERM)
    pytest.fail("went on loading")


def interrupt_unheard(*_: object, **__: object) -> Analysis:
    """Swallow the interruption, as a callback of a compiled library does."""
    with suppress(BaseException):
        os.kill(os.getpid(), signal.SIGTERM)
    return Analysis(pipeline=FakePipeline(), model_set=MODEL_SET, models=MODELS)


@pytest.mark.parametrize("load", [interrupt, interrupt_unheard])
def test_asked_to_stop_while_it_loads_it_exits_with_0_and_binds_nothing(
    load: Callable[..., Analysis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "load_analysis", load)
    monkeypatch.setattr(runtime, "build_daemon", pytest.fail)
    assert run_daemon(make_settings(), announce=pytest.fail) == 0


def test_asked_to_stop_while_it_is_built_it_exits_with_0_and_is_never_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(FakePipeline(), monkeypatch)
    original = runtime.build_daemon
    built: list[Daemon] = []

    def build_and_stop(**parts: object) -> Daemon:
        os.kill(os.getpid(), signal.SIGTERM)
        built.append(original(**parts))  # type: ignore[arg-type]  # passed on
        return built[0]

    monkeypatch.setattr(runtime, "build_daemon", build_and_stop)
    assert run_daemon(make_settings(), announce=pytest.fail) == 0
    port = int(built[0].http.url.rpartition(":")[2])
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))


@pytest.mark.parametrize("setting", ["ingest.endpoint", "events.endpoint", "http.port"])
def test_a_port_in_use_is_one_line_that_names_the_setting_and_exit_75(
    setting: str,
    taken_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(FakePipeline(), monkeypatch)
    section, name = setting.split(".")
    value: object = taken_port if name == "port" else f"tcp://127.0.0.1:{taken_port}"
    settings = make_settings(**{section: {name: value}})
    assert run_daemon(settings, announce=pytest.fail) == 75
    (line,) = capsys.readouterr().err.splitlines()
    assert setting in line
    assert str(taken_port) in line


def test_a_folder_that_is_not_there_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakePipeline(), monkeypatch)
    settings = make_settings(ingest={"endpoint": "ipc:///no/such/folder/frames"})
    assert run_daemon(settings, announce=pytest.fail) == 2


def test_a_refused_model_is_one_line_and_exit_78(capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings(detectors={"patterson": {"model": "pretrained:unobtainium"}})
    assert run_daemon(settings, announce=pytest.fail) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert "unobtainium" in line


def test_a_thread_that_dies_stops_the_rest_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(BrokenPipeline(), monkeypatch)
    with open_context() as context:

        def when_ready(line: str) -> None:
            push = context.socket(8)  # PUSH
            push.connect(json.loads(line)["endpoints"]["frames"])
            push.send_multipart(good_message(seq=0))

        assert run_daemon(make_settings(), announce=when_ready) == 1
    err = capsys.readouterr().err
    assert "thread_died" in err
    assert "ZeroDivisionError" in err


def test_a_failed_start_leaves_no_port_bound(taken_port: int) -> None:
    settings = make_settings(http={"port": taken_port})
    with running_daemon(FakePipeline(), settings=make_settings()) as daemon:
        pass
    again = make_settings(ingest={"endpoint": daemon.receiver.endpoint})
    broken: Settings = settings.model_copy(update={"ingest": again.ingest})
    with pytest.raises(CannotStartError), running_daemon(FakePipeline(), settings=broken):
        pass
    with running_daemon(FakePipeline(), settings=again) as second:
        assert second.receiver.endpoint == daemon.receiver.endpoint
