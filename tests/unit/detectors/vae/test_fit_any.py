"""Which fit a job asks for: contradictions are refused, and what it writes can be loaded."""

import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.models import load_vae
from latticewatch.detectors.fit import serve
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae import window_fit
from latticewatch.detectors.vae.fit_any import Made, fit_any
from latticewatch.detectors.vae.linear_model import LinearModel
from latticewatch.detectors.vae.window_fit import (
    CROP_PX,
    WindowFit,
    WindowFitReport,
    WindowFitSettings,
    is_stack,
    random_crops,
)
from latticewatch.detectors.vae.window_fit import fit_on_windows as real_fit
from support.vae_models import square_frame
from support.windows_networks import lattice_windows

Plain = dict[str, Any]  # Any: JSON
FRAMES = [square_frame(0), square_frame(1)]
STACK = list(lattice_windows(60, 1).astype(np.float32))


def ask(given: Plain, frames: list[NDArray[np.float32]] | None = None) -> Made:
    chosen = FRAMES if frames is None else frames
    return fit_any(given, chosen, [f"frame {k}" for k in range(len(chosen))], lambda _: None)


def refusal_of(given: Plain, frames: list[NDArray[np.float32]] | None = None) -> str:
    with pytest.raises(FitError) as caught:
        ask(given, frames)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch be a library that is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Plain]:
    """What the fit on windows was asked for; it is not run."""
    notebook: list[Plain] = []

    def note(frames: list[object], how: WindowFitSettings, **more: object) -> WindowFit:
        notebook.append(dataclasses.asdict(how) | more)
        return WindowFit({}, {}, WindowFitReport(how.mode, len(frames), 0.0, ()))

    monkeypatch.setattr("latticewatch.detectors.vae.fit_any.fit_on_windows", note)
    monkeypatch.setattr("latticewatch.detectors.vae.fit_any.fit.require_torch", lambda: None)
    return notebook


# Contradictions


def test_twin_needs_frames_of_a_lattice_and_not_windows() -> None:
    assert "--scorer pca" in refusal_of({"scorer": "pca"}, STACK)
    assert "--as-published" in refusal_of({"scorer": "pca", "preset": "as_published"})


@pytest.mark.parametrize("given", [{"scorer": "svm"}, {"preset": "best"}, {"scorer": None}])
def test_scorers_and_presets_that_are_unknown_are_named_with_those_there_are(given: Plain) -> None:
    told = refusal_of(given)
    assert repr(next(iter(given.values()))) in told
    assert "both or pca" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"latens": 3}, "latens"),
        ({"latents": 0}, "latents = 0"),
        ({"epochs": "7"}, "epochs"),
        ({"encoder": 8}, "encoder"),
        ({"window_px": 32, "trim": 0.9}, "trim = 0.9"),
    ],
)
@pytest.mark.parametrize("scorer", ["both", "pca"])
def test_settings_that_make_no_sense_are_named(given: Plain, told: str, scorer: str) -> None:
    assert told in refusal_of({"scorer": scorer, **given})


@pytest.mark.parametrize(
    ("given", "told"),
    [({"latents": 9}, "latents"), ({"epochs": 0}, "epochs = 0"), ({"seed": -1}, "seed = -1")],
)
@pytest.mark.usefixtures("asked")
def test_settings_that_a_fit_on_windows_does_not_take_are_named(given: Plain, told: str) -> None:
    assert told in refusal_of(given, STACK)
    assert told in refusal_of({"preset": "as_published", **given})


# Who is asked


def test_stack_of_windows_is_fitted_without_a_lattice_unless_told(asked: list[Plain]) -> None:
    made = ask({"epochs": 5, "seed": 3}, STACK)
    ask({"preset": "as_published"}, STACK)
    ask({"preset": "as_published", "checkpoint": "state.npz"})
    assert [one["mode"] for one in asked] == ["unlocked", "as_published", "as_published"]
    assert (asked[0]["epochs"], asked[0]["seed"]) == (5, 3)
    assert (asked[1]["epochs"], asked[1]["seed"]) == (None, 0)
    assert [one["checkpoint"] for one in asked] == [None, None, Path("state.npz")]
    assert "60 windows, mode unlocked" in made.told


def test_given_settings_are_left_as_they_were(asked: list[Plain]) -> None:
    given: Plain = {"scorer": "both", "preset": "as_published", "seed": 1}
    ask(given)
    assert asked
    assert given == {"scorer": "both", "preset": "as_published", "seed": 1}


def test_lists_of_json_are_taken_for_tuples() -> None:
    made = ask({"scorer": "pca", "encoder": [4, 8], "decoder": []})
    assert made.header["parameters"]["encoder"] == (4, 8)
    assert made.header["parameters"]["decoder"] == ()


# Without the learning libraries


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize("frames", [FRAMES, STACK], ids=["frames", "windows"])
def test_training_without_torch_is_one_line_that_says_what_helps(
    frames: list[NDArray[np.float32]],
) -> None:
    told = refusal_of({}, frames)
    assert "torch is not installed" in told
    assert "latticewatch[train]" in told
    assert "--scorer pca" in told


@pytest.mark.usefixtures("without_torch")
def test_twin_is_fitted_without_torch() -> None:
    made = ask({"scorer": "pca"})
    assert made.header["mode"] == "pca"
    assert "components" in made.told


# The process that fits


def served(folder: Path, parameters: Plain, frames: list[NDArray[np.float32]]) -> list[Plain]:
    stored = {f"{k:03d}": frame for k, frame in enumerate(frames)}
    np.savez(folder / "frames.npz", **stored)  # type: ignore[arg-type] # any names but its own
    job = {
        "detector": "vae",
        "frames": str(folder / "frames.npz"),
        "out": str(folder / "my.model"),
        "parameters": parameters,
        "provenance": {"who": "me"},
    }
    answers = io.StringIO()
    serve([json.dumps(job)], answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


@pytest.mark.usefixtures("without_torch")
def test_job_for_the_twin_writes_a_model_that_can_be_loaded(tmp_path: Path) -> None:
    (answer,) = served(tmp_path, {"scorer": "pca", "encoder": [4, 8]}, FRAMES)
    assert answer["ok"], answer
    assert answer["warnings"] == []
    loaded = load_vae(answer["out"])
    assert isinstance(loaded.model, LinearModel)
    assert loaded.sha256 == answer["sha256"]
    assert loaded.model.provenance.frames
    assert answer["rank"] == loaded.model.pca.rank


@pytest.mark.usefixtures("without_torch")
def test_job_without_torch_is_answered_in_one_line(tmp_path: Path) -> None:
    (answer,) = served(tmp_path, {}, FRAMES)
    assert not answer["ok"]
    assert answer["error"].startswith("torch is not installed")
    assert not (tmp_path / "my.model").exists()


# Windows of frames


@pytest.mark.parametrize(
    ("shape_yx", "n", "told"),
    [
        ((64, 64), 50, True),
        ((128, 128), 50, True),
        ((64, 64), 49, False),
        ((129, 129), 60, False),
        ((64, 65), 60, False),
    ],
)
def test_many_small_squares_are_a_stack(shape_yx: tuple[int, int], n: int, told: bool) -> None:
    assert is_stack([np.zeros(shape_yx, np.float32)] * n) is told


def test_squares_of_several_sizes_and_nothing_at_all_are_no_stack() -> None:
    assert not is_stack([np.zeros((64 + k % 2,) * 2, np.float32) for k in range(60)])
    assert not is_stack([])


def test_crops_are_parts_of_the_frames_in_proportion_and_repeat() -> None:
    small, large = (
        np.arange(side * side, dtype=np.float32).reshape(side, side) + 1e6 * k
        for k, side in enumerate((80, 160))
    )
    tiny = np.full((63, 500), -1.0, np.float32)
    crops = random_crops([small, tiny, large], 3)
    assert crops.shape == (1000, CROP_PX, CROP_PX)
    np.testing.assert_array_equal(crops, random_crops([small, tiny, large], 3))
    assert not np.array_equal(crops, random_crops([small, tiny, large], 4))
    of_large = crops[:, 0, 0] >= 1e6
    assert 0.75 < of_large.mean() < 0.85  # four fifths of the pixels
    for crop, frame, start in ((crops[~of_large][0], small, 0.0), (crops[of_large][0], large, 1e6)):
        y, x = divmod(int(crop[0, 0] - start), len(frame))
        np.testing.assert_array_equal(crop, frame[y : y + CROP_PX, x : x + CROP_PX])


def test_frame_of_the_size_of_a_crop_is_cut_as_a_whole() -> None:
    frame = np.arange(CROP_PX**2, dtype=np.float32).reshape(CROP_PX, CROP_PX)
    assert (random_crops([frame], 0) == frame).all()


def test_frames_smaller_than_a_crop_are_refused() -> None:
    with pytest.raises(FitError, match="64 x 64"):
        random_crops([np.zeros((63, 500), np.float32)], 0)


def test_fit_on_frames_says_that_its_windows_were_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fitted:
        header: Plain = {}  # noqa: RUF012 - not shared
        arrays: Plain = {}  # noqa: RUF012
        network, rule, parity = b"", None, 0.0

    monkeypatch.setattr(window_fit, "fit_unlocked", lambda *_, **__: Fitted())
    monkeypatch.setattr(window_fit, "detector_of", lambda *_: None)
    monkeypatch.setattr(window_fit, "residuals_of", lambda *_: np.ones((1, 2, 2), np.float32))
    unlocked = window_fit.WindowFitSettings()
    cut, given = (real_fit(one, unlocked) for one in (FRAMES, STACK))
    assert "cut at random places" in cut.report.warnings[0]
    assert given.report.warnings == ()
    assert (cut.report.n_windows, given.report.n_windows) == (1000, 60)
