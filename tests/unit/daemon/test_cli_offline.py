import io
import json
import math
import re
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.cli import app
from latticewatch.daemon.config import Settings
from latticewatch.daemon.fitting import FitRefusedError, FitReport, Reference, reference_of
from latticewatch.daemon.models import MODEL_SUFFIX
from latticewatch.daemon.offline import (
    DETECTORS,
    FitOnItself,
    analyze_inputs,
    analyze_recording,
    incoming_frame,
    make_pipeline,
    offline_settings,
    with_detectors,
    with_model,
)
from latticewatch.daemon.offline_report import ADVICE, NO_SITES, Report, reason_of
from latticewatch.daemon.offline_results import Results, title_of
from latticewatch.detectors import pretrained
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.wire.events import Cut
from support.crystals import specimen


@pytest.fixture(scope="module")
def crystal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of the demo's crystal, in a file."""
    microscope = Microscope(MicroscopeSettings(shape_yx=(256, 320)))
    path = tmp_path_factory.mktemp("frames") / "crystal.npy"
    np.save(path, np.stack([microscope.frame(index)[0] for index in range(2)]))
    return path


def analyze(
    *inputs: Path,
    out: Path,
    plot_folder: Path | None = None,
    model: Path | None = Path("pretrained:mos2"),
    detectors: Sequence[str] = DETECTORS,
) -> list[dict[str, Any]]:
    analyze_inputs(list(inputs), model=model, out=out, plot_folder=plot_folder, detectors=detectors)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_frame_gets_its_line(crystal: Path, tmp_path: Path) -> None:
    lines = analyze(crystal, out=tmp_path / "events.jsonl")

    assert [line["input"] for line in lines] == [
        {"path": str(crystal), "index": 0},
        {"path": str(crystal), "index": 1},
    ]
    assert [line["outcome"] for line in lines] == ["scored", "scored"]
    assert {"pixel_yx", "score", "p_value", "kind"} <= set(lines[0]["defects"][0])


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    detectors = [{**entry, "us": 0} for entry in line["detectors"]]
    return {**line, "t_pub_ns": 0, "t_recv_ns": 0, "latency_us": {}, "detectors": detectors}


class CopyingFitter:
    """Fits nothing: every recording gets the shipped model."""

    def fit(self, reference: Reference, *, out: Path) -> FitReport:
        assert reference.images
        with resources.as_file(resources.files(pretrained) / f"mos2{MODEL_SUFFIX}") as path:
            shutil.copy(path, out)
        assert out.suffix == MODEL_SUFFIX
        return FitReport(out, sha256="", n_sites=1, n_components=1, nu=0.1, warnings=())


def analyze_by_itself(path: Path, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir()
    recording, lines = open_recording(path), io.StringIO()
    choose = FitOnItself(fitter=CopyingFitter(), folder=folder, settings=offline_settings())
    analyze_recording(
        recording, choose(recording), Results(lines, plot_folder=None, report=Report(io.StringIO()))
    )
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_a_recording_judged_by_itself_gives_the_same_lines_in_every_run(
    crystal: Path, tmp_path: Path
) -> None:
    first = analyze_by_itself(crystal, tmp_path / "one")
    second = analyze_by_itself(crystal, tmp_path / "another")

    assert first[0]["detectors"][1]["artifact"] == "fitted:crystal.npy"
    assert [json.dumps(without_times(line)) for line in first] == [
        json.dumps(without_times(line)) for line in second
    ]


class RefusingFitter:
    """Fits nothing, and says so."""

    def fit(self, reference: Reference, *, out: Path) -> FitReport:
        raise FitRefusedError(f"{reference.labels[0]}: 12 sites, 60 are needed for {out.name}")


def test_where_no_model_can_be_fitted_the_other_detectors_look(
    crystal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, lines = open_recording(crystal), io.StringIO()
    choose = FitOnItself(fitter=RefusingFitter(), folder=tmp_path, settings=offline_settings())

    analyze_recording(
        recording, choose(recording), Results(lines, plot_folder=None, report=Report(io.StringIO()))
    )

    event = json.loads(lines.getvalue().splitlines()[0])
    assert (event["outcome"], [one["name"] for one in event["detectors"]]) == (
        "scored", ["reference_cell", "domains"]
    )  # fmt: skip
    assert "60 are needed" in (told := capsys.readouterr().err)
    assert "patterson does not look" in told


def test_where_no_model_can_be_fitted_and_nobody_else_looks_that_is_the_answer(
    crystal: Path, tmp_path: Path
) -> None:
    alone = with_detectors(offline_settings(), ("patterson",))
    choose = FitOnItself(fitter=RefusingFitter(), folder=tmp_path, settings=alone)

    with pytest.raises(FitRefusedError, match="60 are needed"):
        choose(open_recording(crystal))


def test_a_line_that_would_be_no_json_is_never_written(crystal: Path) -> None:
    recording, lines = open_recording(crystal), io.StringIO()
    event = make_pipeline(Settings()).process(incoming_frame(recording, 0)).event
    broken = msgspec.structs.replace(event, cut=Cut(rule="fdr", value=math.inf))

    with pytest.raises(ValueError, match="JSON"):
        Results(lines, plot_folder=None, report=Report(io.StringIO())).write(recording, 0, broken)

    assert not lines.getvalue()


def test_people_are_told_of_each_frame_and_of_all(
    crystal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, pictures = tmp_path / "events.jsonl", tmp_path / "pictures"
    noise = tmp_path / "noise.npy"
    np.save(noise, np.random.default_rng(1).poisson(9.0, (256, 320)).astype(np.uint16))

    events = analyze(crystal, noise, out=out)

    told = capsys.readouterr().out.splitlines()
    first = events[0]
    assert told[0].startswith(
        f"{crystal} [0]: {first['n_sites']} sites, {first['n_scored']} scored, "
        f"{first['n_defects']} defects, "
    )
    assert told[0].endswith(" ms")
    assert told[1].startswith(f"{crystal} [1]: ")
    why = f"{noise} [0]: not scored: not_periodic: {ADVICE['not_periodic']}; "
    assert told[2].startswith(why)
    assert re.search(r"\(evidence \d+\.\d, needed \d+\.\d\)$", told[2])
    n_defects = sum(event["n_defects"] for event in events)
    assert told[3:] == [f"3 frames, 2 scored, {n_defects} defects; events in {out}"]
    assert not pictures.exists()


def test_a_frame_that_the_model_does_not_fit_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "other.npy", specimen("srtio3")[0])
    out = tmp_path / "events.jsonl"

    analyze(tmp_path / "other.npy", out=out, detectors=("patterson",))

    assert "not scored: model_stale: " in (told := capsys.readouterr().out)
    assert "`latticewatch fit`" in told


def test_events_on_standard_output_stand_there_alone(
    crystal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze_inputs([crystal], model=Path("pretrained:mos2"), out=None, plot_folder=None)

    told = capsys.readouterr()
    assert [json.loads(line)["input"]["index"] for line in told.out.splitlines()] == [0, 1]
    assert told.err.splitlines()[-1].endswith("; events on standard output")


@pytest.mark.parametrize("name", ["-", None])
def test_a_dash_is_standard_output(
    name: str | None, crystal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["analyze", str(crystal), "--model", "pretrained:mos2"]

    done = CliRunner().invoke(app, arguments if name is None else [*arguments, "--out", name])

    assert done.exit_code == 0
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2
    assert not list(tmp_path.iterdir())


def test_few_bad_pixels_are_not_taken_for_the_cause() -> None:
    assert reason_of(["nonfinite", "model_stale"]).endswith(ADVICE["model_stale"])
    assert reason_of([]) == NO_SITES


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


def test_pictures_of_equal_names_do_not_overwrite_each_other(crystal: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the io extra", exc_type=ImportError)
    other = tmp_path / "crystal.npy"
    np.save(other, np.load(crystal))

    analyze(crystal, other, out=tmp_path / "e.jsonl", plot_folder=tmp_path / "pictures")

    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == [
        "crystal_0000-2.png", "crystal_0000.png", "crystal_0001-2.png", "crystal_0001.png",
    ]  # fmt: skip


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


@pytest.mark.parametrize("asked", ["vae", "patterson,vae", ""])
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


def test_settings_make_room_for_every_defect_and_keep_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATTICEWATCH_DETECT__FDR", "0.2")

    settings = offline_settings()

    assert settings.events.max_defects == 1024
    assert settings.detect.fdr == 0.2


def test_a_named_model_replaces_that_of_the_settings() -> None:
    settings = with_model(Settings(), Path("other.model"))

    assert settings.detectors.patterson.model == "other.model"


def test_title_names_file_sites_defects_and_time(crystal: Path) -> None:
    recording = open_recording(crystal)
    event = make_pipeline(Settings()).process(incoming_frame(recording, 0)).event

    title = title_of(recording, 0, event)

    assert title.startswith("crystal.npy [0]\n")
    assert f"{event.n_sites} sites" in title
    assert f"{event.n_defects} defect" in title
    assert " ms" in title
    assert "replay" not in title


def test_too_many_reference_frames_are_thinned_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.npy"
    np.save(path, np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((1, 16, 16), np.uint8))
    monkeypatch.setattr("latticewatch.daemon.fitting.MOST_REFERENCE_PIXELS", 4 * 256)

    reference = reference_of([open_recording(path)])

    assert [int(image[0, 0]) for image in reference.images] == [0, 3, 6, 9]
    assert reference.provenance == {"inputs": [{"name": "many.npy", "frames": [0, 3, 6, 9]}]}


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "x.npy" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        np.save(path, np.zeros((2, 16, 16), np.uint8))

    reference = reference_of([open_recording(path) for path in paths])

    entry = {"name": "x.npy", "frames": [0, 1]}
    assert reference.provenance == {"inputs": [entry, entry]}


@pytest.mark.parametrize(
    ("names", "polarity"),
    [
        (["HAADF.npy"], "bright"),
        (["a_BF.npy", "b_ABF.npy"], "dark"),
        (["HAADF.npy", "BF.npy"], "auto"),
        (["frame.npy"], "auto"),
    ],
)
def test_names_of_the_files_say_whether_columns_are_bright(
    tmp_path: Path, names: list[str], polarity: str
) -> None:
    for name in names:
        np.save(tmp_path / name, np.ones((32, 32), np.uint16))

    reference = reference_of([open_recording(tmp_path / name) for name in names])

    assert reference.polarity == polarity
