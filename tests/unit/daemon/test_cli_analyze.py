"""`analyze`: which lines are written, and who looks."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.cli import app
from latticewatch.daemon.offline_frames import incoming_frame
from support.analyzing import analyze, without_times


def test_every_frame_gets_its_line(crystal: Path, tmp_path: Path) -> None:
    lines = analyze(crystal, out=tmp_path / "events.jsonl")

    assert [line["input"] for line in lines] == [
        {"path": str(crystal), "index": 0},
        {"path": str(crystal), "index": 1},
    ]
    assert [line["outcome"] for line in lines] == ["scored", "scored"]
    assert {"pixel_yx", "score", "p_value", "kind"} <= set(lines[0]["defects"][0])


def test_an_absurd_pixel_size_is_one_line_and_no_event(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, frames=np.zeros((32, 32), np.uint16), pixel_size_nm=1e306)

    assert not analyze(path, out=tmp_path / "events.jsonl")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: pixel size of 1e+306 x 1e+306 nm")


def test_the_header_tells_what_was_added_to_the_pixels(tmp_path: Path) -> None:
    np.save(tmp_path / "signed.npy", np.full((16, 16), -3, np.int16))

    header = incoming_frame(open_recording(tmp_path / "signed.npy"), 0).header

    assert isinstance(header.attrs, msgspec.Raw)
    assert msgspec.msgpack.decode(header.attrs)["added_to_pixels"] == 4


def test_a_frame_gives_the_same_line_again(crystal: Path, tmp_path: Path) -> None:
    first = analyze(crystal, out=tmp_path / "1.jsonl")
    second = analyze(crystal, out=tmp_path / "2.jsonl")

    assert list(map(without_times, first)) == list(map(without_times, second))


@pytest.mark.parametrize(
    "asked", [("reference_cell",), ("patterson",), ("reference_cell", "patterson")]
)
def test_those_detectors_look_that_are_asked_for(
    crystal: Path, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    model = Path("pretrained:mos2") if "patterson" in asked else None
    events = analyze(crystal, out=tmp_path / "events.jsonl", model=model, detectors=asked)

    assert [[state["name"] for state in event["detectors"]] for event in events] == [
        list(asked)
    ] * 2
    assert all(event["outcome"] == "scored" for event in events)


@pytest.mark.slow
def test_symmetry_maps_alone_answer_with_a_model_of_the_recording_itself(
    crystal: Path, tmp_path: Path
) -> None:
    events = analyze(crystal, out=tmp_path / "events.jsonl", model=None, detectors=("symmetry",))

    assert [event["outcome"] for event in events] == ["scored"] * 2
    for event in events:
        (state,) = event["detectors"]
        assert (state["name"], state["state"]) == ("symmetry", "ok")
        assert state["artifact"].startswith("fitted:")
        assert 0 < event["n_scored"] < event["n_sites"]


@pytest.mark.parametrize("asked", ["monitor", "patterson,monitor", ""])
def test_detectors_that_are_not_there_are_refused(crystal: Path, asked: str) -> None:
    done = CliRunner().invoke(app, ["analyze", str(crystal), "--detectors", asked])

    assert done.exit_code == 2
    assert "expected one or more of" in done.output
    assert "patterson" in done.output


def test_one_bad_input_does_not_spoil_the_others(
    crystal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"\x93NUMPY and then nothing")

    lines = analyze(bad, crystal, out=tmp_path / "events.jsonl")

    assert len(lines) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert str(bad) in errors[0]


def test_the_frame_is_presented_as_a_recorded_one(crystal: Path) -> None:
    header = incoming_frame(open_recording(crystal), 1).header

    assert (header.seq, header.shape_yx, header.dtype) == (1, (256, 320), "<u2")
    assert header.t_source == "replay"
    assert not header.calibrated
