"""`analyze`: what people are told, and where lines and pictures go."""

import io
import json
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.cli import app
from latticewatch.daemon.config import Settings
from latticewatch.daemon.offline import analyze_inputs
from latticewatch.daemon.offline_frames import incoming_frame
from latticewatch.daemon.offline_pipeline import make_pipeline, offline_settings
from latticewatch.daemon.offline_report import ADVICE, NO_SITES, Report, reason_of
from latticewatch.daemon.offline_results import Destination, Results, title_of
from latticewatch.wire.events import Cut
from support.analyzing import analyze
from support.crystals import specimen


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
    assert "too few periods" not in told[2]
    n_defects = sum(event["n_defects"] for event in events)
    assert told[3:] == [f"3 frames, 2 scored, {n_defects} defects; events in {out}"]
    assert not pictures.exists()


def test_a_frame_that_is_too_small_is_told_its_size_and_how_many_periods_are_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "small.npy", specimen("mos2")[0][:48, :64])

    analyze(tmp_path / "small.npy", out=tmp_path / "e.jsonl", detectors=("reference_cell",))

    assert (
        "48 x 64 pixels hold too few periods unless they are 10 px or shorter: at least 5 are "
        "needed along each side"
    ) in capsys.readouterr().out


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
    analyze_inputs(
        [crystal],
        settings=offline_settings(),  # whose model is the shipped one
        to_fit=[],
        to=Destination(out=None),
    )

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


def test_pictures_of_equal_names_do_not_overwrite_each_other(crystal: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the io extra", exc_type=ImportError)
    other = tmp_path / "crystal.npy"
    np.save(other, np.load(crystal))

    analyze(crystal, other, out=tmp_path / "e.jsonl", plot_folder=tmp_path / "pictures")

    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == [
        "crystal_0000-2.png", "crystal_0000.png", "crystal_0001-2.png", "crystal_0001.png",
    ]  # fmt: skip


def test_title_names_file_sites_defects_and_time(crystal: Path) -> None:
    recording = open_recording(crystal)
    event = make_pipeline(Settings()).process(incoming_frame(recording, 0)).event

    title = title_of(recording, 0, event)

    assert title.startswith("crystal.npy [0]\n")
    assert f"{event.n_sites} sites" in title
    assert f"{event.n_defects} defect" in title
    assert " ms" in title
    assert "replay" not in title
