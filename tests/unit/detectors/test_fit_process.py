"""The fitting process answers every line: a bad job with one line, and then the next job."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.models import load_patterson
from latticewatch.detectors import fit
from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.fit import Fitted, Lot, serve
from support.crystals import specimen

Answer = dict[str, Any]  # Any: JSON


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "reference.npz"
    np.savez(path, f0=specimen(seed=41)[0])
    return path


def answers_to(*lines: str) -> list[Answer]:
    out = io.StringIO()
    serve(lines, out)
    texts = out.getvalue().splitlines()
    return [json.loads(text) for text in texts]


def refusal_of(line: str) -> str:
    """What a bad job is answered, the process still answering the one after it."""
    first, second = answers_to(line, json.dumps({"detector": "none at all"}))
    assert first.keys() == {"ok", "error"}
    assert (first["ok"], second["ok"]) == (False, False)
    assert "none at all" in second["error"]
    assert first["error"]
    assert "\n" not in first["error"]
    return str(first["error"])


def job(frames: Path, out: Path, **changes: object) -> str:
    plain: dict[str, object] = {"detector": "patterson", "frames": str(frames), "out": str(out)}
    return json.dumps(plain | changes)


def stored(folder: Path, **arrays: NDArray[Any]) -> Path:  # Any: also what is refused
    path = folder / "frames.npz"
    np.savez(path, allow_pickle=True, **arrays)
    return path


def test_good_job_writes_a_model_and_says_so(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.model"

    (answer,) = answers_to(job(frames, out, provenance={"frames": ["reference.npz"]}))

    assert answer["ok"]
    assert answer["out"] == str(out)
    assert answer["sha256"] == load_patterson(str(out)).sha256
    assert answer.keys() >= {"n_frames", "n_sites", "n_components", "nu", "n_support", "warnings"}
    header = Artifact.read(out).header
    assert header["provenance"] == {"frames": ["reference.npz"]}
    assert header["parameters"]["variance_kept"] == 0.98


def test_parameters_of_the_job_are_used(frames: Path, tmp_path: Path) -> None:
    (answer,) = answers_to(job(frames, tmp_path / "a.model", parameters={"nu": 0.05}))

    assert answer["nu"] == 0.05


def test_empty_lines_are_no_jobs() -> None:
    assert answers_to("", "\n", "   ") == []


@pytest.mark.parametrize(
    "line",
    [
        "not JSON",
        "{",
        "[]",
        "7",
        "null",
        '"patterson"',
        "{}",
        '{"detector": "patterson"}',
        '{"detector": null}',
        '{"detector": ["patterson"]}',
        '{"detector": "vae"}',
        '{"detector": "patterson", "frames": 3, "out": "x"}',
        "[" * 50_000,
        '{"detector": ' + "[" * 50_000,
    ],
    ids=lambda line: line[:40],
)
def test_line_that_is_no_job_is_refused(line: str) -> None:
    refusal_of(line)


@pytest.mark.parametrize(
    "parameters",
    [
        {"colour": 1},
        {"Nu": 0.1},
        [],
        "fast",
        3,
        {"nu": 7.0},
        {"nu": -1.0},
        {"nu": "much"},
        {"cutoff": 0},
        {"cutoff": -2},
        {"cutoff": 6.5},
        {"smooth_sigma": 0.0},
        {"smooth_sigma": -1.0},
        {"smooth_sigma": "0.1"},
        {"patch_size": -1.0},
        {"patch_size": 0.0},
        {"extremum_min_distance": "0.2"},
        {"extremum_min_distance": -1.0},
        {"variance_kept": 5.5},
        {"variance_kept": -0.5},
        {"variance_kept": 0.0},
        {"trim": 2.0},
        {"trim": 1.0},
        {"trim": -0.5},
        {"most_fit_sites": 0},
        {"most_fit_sites": -10},
        {"most_fit_sites": 3},
        {"seed": -1},
        {"seed": "one"},
    ],
    ids=str,
)
def test_parameter_that_makes_no_sense_is_refused(
    frames: Path, tmp_path: Path, parameters: object
) -> None:
    refusal_of(job(frames, tmp_path / "a.model", parameters=parameters))

    assert not list(tmp_path.iterdir())


def test_frames_that_are_not_there_are_named(tmp_path: Path) -> None:
    error = refusal_of(job(tmp_path / "absent.npz", tmp_path / "a.model"))

    assert "absent.npz" in error


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x04N.", None])
def test_frames_in_no_npz_are_refused(frames: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(frames.read_bytes()[:5000] if content is None else content)

    refusal_of(job(path, tmp_path / "a.model"))


@pytest.mark.parametrize("n_damaged", [30, 1000, 200_000])
def test_damaged_npz_is_refused(frames: Path, tmp_path: Path, n_damaged: int) -> None:
    content = bytearray(frames.read_bytes())
    content[n_damaged] ^= 0xFF
    path = tmp_path / "bad.npz"
    path.write_bytes(content)

    refusal_of(job(path, tmp_path / "a.model"))


def test_folder_is_no_npz(tmp_path: Path) -> None:
    refusal_of(job(tmp_path, tmp_path / "a.model"))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 64, 64), "f4"),
        np.zeros(64, "f4"),
        np.float32(1),
        np.zeros((0, 64), "f4"),
        np.zeros((64, 0), "f4"),
        np.zeros((1, 1), "f4"),
        np.zeros((64, 64), "c8"),
        np.zeros((64, 64), "u8"),
        np.array([["a", "b"]]),
        np.array([[{"a": 1}]], object),
        np.full((64, 64), np.nan, "f4"),
        np.full((64, 64), np.inf, "f8"),
        np.zeros((64, 64), ">u2"),
        np.full((64, 64), 1e300, "f8"),
        np.random.default_rng(0).normal(size=(128, 128)),
    ],
    ids=lambda array: f"{array.dtype.str} {array.shape}",
)
def test_frame_that_cannot_be_fitted_is_refused(tmp_path: Path, array: NDArray[Any]) -> None:
    refusal_of(job(stored(tmp_path, f0=np.asarray(array)), tmp_path / "a.model"))

    assert not (tmp_path / "a.model").exists()


def test_stack_is_refused_with_its_name_and_its_axes(tmp_path: Path) -> None:
    error = refusal_of(job(stored(tmp_path, stack=np.zeros((3, 64, 64))), tmp_path / "a.model"))

    assert "stack" in error
    assert "3 axes" in error


def test_npz_without_frames_is_refused(tmp_path: Path) -> None:
    refusal_of(job(stored(tmp_path), tmp_path / "a.model"))


def test_model_that_cannot_be_written_is_said(frames: Path, tmp_path: Path) -> None:
    refusal_of(job(frames, tmp_path / "absent" / "a.model"))


def test_dead_pixels_of_a_frame_do_no_harm(tmp_path: Path) -> None:
    pixels = specimen(seed=41)[0].astype("f4")
    pixels[100:103, 200] = np.nan
    pixels[300, 4] = np.inf

    (answer,) = answers_to(job(stored(tmp_path, f0=pixels), tmp_path / "a.model"))

    assert answer["ok"]
    load_patterson(str(tmp_path / "a.model"))


def test_process_answers_line_by_line_and_ends_with_its_input(frames: Path, tmp_path: Path) -> None:
    lines = ["not JSON", json.dumps({"detector": "vae"}), job(frames, tmp_path / "a.model")]
    with subprocess.Popen(
        [sys.executable, "-m", "latticewatch.detectors.fit"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for line in lines:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(timeout=20) == 0

    assert [answer["ok"] for answer in answers] == [False, False, True]


def test_preset_and_settings_are_those_of_the_model(frames: Path, tmp_path: Path) -> None:
    published, pixels = tmp_path / "a.model", tmp_path / "b.model"

    answers = answers_to(
        job(frames, published, parameters={"preset": "as_published"}),
        job(frames, pixels, parameters={"features": "pixels", "polarity": "dark"}),
    )

    assert [answer["ok"] for answer in answers] == [True, True]
    header = Artifact.read(published).header
    assert header["parameters"]["site_source"] == "extrema"
    assert (header["level_low"], header["level_high"]) == (0.0, 1.0)
    assert header["parameters"]["nu"] is None
    header = Artifact.read(pixels).header
    assert (header["features"], header["contrast"]) == ("pixels", -1)
    assert load_patterson(str(pixels)).detector.model.features == "pixels"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"preset": "mine"}, "preset"),
        ({"features": "maps"}, "features"),
        ({"polarity": "grey"}, "polarity"),
        ({"image": "atoms"}, "image"),
        ({"site_source": "guess"}, "site_source"),
        ({"level_low": 0.9, "level_high": 0.1}, "level_low"),
    ],
)
def test_unknown_word_is_refused_by_name(
    frames: Path, tmp_path: Path, parameters: dict[str, object], named: str
) -> None:
    assert named in refusal_of(job(frames, tmp_path / "a.model", parameters=parameters))


def test_a_long_fit_says_how_far_it_is_before_it_answers(
    frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(_: Answer, __: Lot, tell: Callable[[Answer], None]) -> Fitted:
        for done in (1, 2):
            tell({"done": done, "of": 2, "seconds_left": 2.0 - done, "text": "loss 1"})
        return Fitted({}, {"a": np.zeros(1)}, {"warnings": ()}, "two rounds")

    monkeypatch.setitem(fit._FITS, "slow", slow)

    told = answers_to(job(frames, tmp_path / "slow.model", detector="slow"))

    assert [one["progress"]["done"] for one in told[:-1]] == [1, 2]
    assert told[-1]["told"] == "two rounds"
