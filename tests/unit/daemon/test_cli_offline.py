import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latticewatch.adapters.recorded import open_recording
from latticewatch.daemon.config import Settings
from latticewatch.daemon.fitting import reference_of
from latticewatch.daemon.offline import (
    analyze_inputs,
    incoming_frame,
    make_pipeline,
    offline_settings,
    with_model,
)
from latticewatch.daemon.offline_results import title_of
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings


@pytest.fixture(scope="module")
def crystal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of the demo's crystal, in a file."""
    microscope = Microscope(MicroscopeSettings(shape_yx=(256, 320)))
    path = tmp_path_factory.mktemp("frames") / "crystal.npy"
    np.save(path, np.stack([microscope.frame(index)[0] for index in range(2)]))
    return path


def analyze(*inputs: Path, out: Path, plot_folder: Path | None = None) -> list[dict[str, Any]]:
    analyze_inputs(list(inputs), model=Path("pretrained:mos2"), out=out, plot_folder=plot_folder)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_frame_gets_its_line(crystal: Path, tmp_path: Path) -> None:
    lines = analyze(crystal, out=tmp_path / "events.jsonl")

    assert [line["input"] for line in lines] == [
        {"path": str(crystal), "index": 0},
        {"path": str(crystal), "index": 1},
    ]
    assert [line["outcome"] for line in lines] == ["scored", "scored"]
    assert {"pixel_yx", "score", "p_value", "kind"} <= set(lines[0]["defects"][0])


def test_a_frame_gives_the_same_line_again(crystal: Path, tmp_path: Path) -> None:
    def without_times(line: dict[str, Any]) -> dict[str, Any]:
        detectors = [{**entry, "us": 0} for entry in line["detectors"]]
        return {**line, "t_pub_ns": 0, "t_recv_ns": 0, "latency_us": {}, "detectors": detectors}

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
