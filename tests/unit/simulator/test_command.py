"""The command line, with files and with a real socket."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import msgspec
import numpy as np
import pytest

from latticewatch.adapters import native
from latticewatch.adapters.native import FrameReceiver
from latticewatch.adapters.recorded import open_recording
from latticewatch.simulator import __main__ as command_module
from latticewatch.simulator.__main__ import main
from latticewatch.simulator.arguments import (
    make_parser,
    microscope_settings,
    number_of_frames,
    parse_size,
)
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.settings import SimulatorError
from latticewatch.simulator.sources import Shot
from latticewatch.wire.codec import decode_source_message, pixel_array
from latticewatch.wire.frames import FrameHeader, SourceEnd, SourceHeartbeat
from support.zeromq import open_context


def test_without_options_the_settings_are_the_defaults() -> None:
    assert microscope_settings(make_parser().parse_args([])) == MicroscopeSettings()


def test_every_option_reaches_its_setting() -> None:
    text = (
        "--crystal srtio3 --size 256x512 --dose 9e3 --pixel-size-nm 0.02 --rotation-deg 5 "
        "--scan-rotation-deg 6 --probe-width 0.6 --background 0.2 --disorder-pm 1 --jitter-px 0.3 "
        "--drift-nm-s 0.1 --gain-change 4 --seed 7 --vacancies 1 --substitutions 2 --displaced 3 "
        "--deficits 4 --perfect --fps 50"
    )
    assert microscope_settings(make_parser().parse_args(text.split())) == MicroscopeSettings(
        crystal="srtio3",
        shape_yx=(256, 512),
        dose_e_per_ang2=9e3,
        pixel_size_nm=0.02,
        rotation_deg=5.0,
        scan_rotation_deg=6.0,
        probe_sigma_ang=0.6,
        background=0.2,
        disorder_pm=1.0,
        jitter_px=0.3,
        drift_nm_s=0.1,
        gain_change_percent=4.0,
        seed=7,
        vacancies=1,
        substitutions=2,
        displaced=3,
        deficits=4,
        perfect=True,
        fps=50.0,
    )


@pytest.mark.parametrize(
    ("text", "n_frames"),
    [("", None), ("--frames 7", 7), ("--seconds 2", 60), ("--seconds 0.25 --fps 10", 3)],
)
def test_length_is_frames_or_seconds(text: str, n_frames: int | None) -> None:
    assert number_of_frames(make_parser().parse_args(text.split())) == n_frames


@pytest.mark.parametrize("text", ["", "512x", "a", "1x2x3", "-5"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SimulatorError, match="must be a number of px, or ROWSxCOLUMNS"):
        parse_size(text)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_saved_frames_are_those_of_the_microscope(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"simulated{ending}"
    command = f"--save {path} --frames 3 --size 64x96 --seed 5 --json"
    assert main(command.split()) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames_saved"] == 3
    recording = open_recording(path)
    microscope = Microscope(MicroscopeSettings(shape_yx=(64, 96), seed=5))
    truth = (
        json.loads((tmp_path / "simulated.truth.json").read_text())
        if ending == ".npy"
        else json.loads(str(np.load(path)["truth"]))
    )
    assert recording.n_frames == len(truth) == 3
    for index in range(3):
        pixels, expected = microscope.frame(index)
        np.testing.assert_array_equal(recording.frame(index), pixels)
        assert truth[index] == expected.record()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("--save x.tif", "save = x.tif: must end in .npy or .npz\n"),
        ("--size 4", "size = (4, 4): each side must be 16 to 8192 px\n"),
        ("--images no.npy", "no.npy: no such file or folder\n"),
        ("--frames 0", "frames = 0: must be positive\n"),
        ("--fps -1", "fps = -1.0: must be positive\n"),
        (
            "--source Bad --wait-s 0",
            "source = Bad: must be a name like [a-z0-9][a-z0-9_-]{0,31}\n",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == 2
    assert capsys.readouterr().err == message


def test_a_frame_that_the_daemon_would_refuse_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test runner keeps its own
    refused = Shot(np.zeros((4, 4), np.uint8), {"t_source": "software"})
    monkeypatch.setattr(command_module, "_make_shots", lambda _: iter([refused]))

    # Nobody listens there: port 9 belongs to a service that throws everything away.
    assert main(["--source", "sim1", "--wait-s", "0", "--endpoint", "tcp://127.0.0.1:9"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("frame 0 of sim1")


@pytest.fixture
def nobodys_endpoint() -> str:
    with (
        open_context() as context,
        FrameReceiver(context=context, endpoint="tcp://127.0.0.1:*") as gone,
    ):
        return gone.endpoint


def test_nobody_who_listens_is_one_line(
    nobodys_endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test runner keeps its own
    monkeypatch.setattr(native, "END_WAIT_MS", 20)
    command = f"--endpoint {nobodys_endpoint} --size 64 --frames 2 --fps 100 --wait-s 0 --json"
    assert main([*command.split(), "--source", "sim1"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["frames_sent"] == 0
    assert said.err == (
        f"nobody listens at {nobodys_endpoint}, all 2 frames were dropped: "
        "start `latticewatch run` with source.name sim1, or check --endpoint\n"
    )


def test_a_recording_that_nobody_takes_is_counted_and_exit_code_1(
    nobodys_endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test runner keeps its own
    monkeypatch.setattr(native, "BLOCK_MS", 20)
    command = f"--endpoint {nobodys_endpoint} --size 64 --frames 2 --fps 100 --wait-s 0 --json"
    assert main([*command.split(), "--mode", "lossless"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["undelivered"] == 2
    assert said.err.startswith("2 of 2 frames did not leave in time: ")


def taken(receiver: FrameReceiver, messages: list[tuple[object, object]]) -> None:
    """Take messages until the end of the session."""
    while parts := receiver.receive(20_000):
        message = decode_source_message([part.buffer for part in parts])
        pixels = (
            pixel_array(message, parts[1].buffer).copy()
            if isinstance(message, FrameHeader)
            else None
        )
        messages.append((message, pixels))
        if isinstance(message, SourceEnd):
            return


def test_frames_arrive_whole_numbered_and_with_their_truth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test runner keeps its own
    messages: list[tuple[object, object]] = []
    with (
        open_context() as context,
        FrameReceiver(context=context, endpoint="tcp://127.0.0.1:*") as receiver,
    ):
        reader = Thread(target=taken, args=(receiver, messages))
        reader.start()
        command = f"--endpoint {receiver.endpoint} --source sim1 --size 64 --frames 6 --fps 100 "
        assert main((command + "--truth --mode lossless --json").split()) == 0
        reader.join(20)
    summary = json.loads(capsys.readouterr().out)
    headers = [(message, p) for message, p in messages if isinstance(message, FrameHeader)]
    microscope = Microscope(MicroscopeSettings(shape_yx=(64, 64), fps=100.0))
    for index, (header, pixels) in enumerate(headers):
        expected, truth = microscope.frame(index)
        assert header.seq == index
        assert header.source == "sim1"
        assert header.session == summary["session"]
        assert isinstance(header.attrs, msgspec.Raw)
        assert msgspec.msgpack.decode(header.attrs) == truth.attrs()
        np.testing.assert_array_equal(pixels, expected)
    assert len(headers) == summary["frames_sent"] == 6
    end = messages[-1][0]
    assert isinstance(end, SourceEnd)
    assert (end.total, end.dropped, end.reason) == (6, 0, "stopped")
    assert any(isinstance(message, SourceHeartbeat) for message, _ in messages)


@pytest.mark.system
def test_sigterm_ends_the_session_properly() -> None:
    with (
        open_context() as context,
        FrameReceiver(context=context, endpoint="tcp://127.0.0.1:*") as receiver,
    ):
        command = [sys.executable, "-m", "latticewatch.simulator", "--endpoint", receiver.endpoint]
        with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
            assert receiver.receive(30_000) is not None
            process.terminate()
            messages: list[tuple[object, object]] = []
            taken(receiver, messages)
            output, _ = process.communicate(timeout=20)
    end = messages[-1][0]
    assert isinstance(end, SourceEnd)
    assert end.reason == "stopped"
    assert end.total == json.loads(output)["frames_acquired"]
    assert process.returncode == 0
