"""`analyze`: how large a pixel is, by a material, by the user, by the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from latticewatch.daemon.cli import app


def analyze(path: Path, *arguments: str) -> tuple[list[dict[str, Any]], str]:  # Any: JSON
    """Events, and what people are told."""
    done = CliRunner().invoke(
        app, ["analyze", str(path), "--detectors", "reference_cell", *arguments]
    )
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def refusal_of(path: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["analyze", str(path), *arguments])
    assert done.exit_code == 2
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.fixture(scope="module")
def sized(crystal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frame of the crystal in a file that says how large its pixels are, wrongly."""
    path = tmp_path_factory.mktemp("sized") / "sized.npz"
    np.savez(path, frames=np.load(crystal)[0], pixel_size_nm=0.02)
    return path


@pytest.mark.parametrize("material", ["MoS2", "mos2", "316,316,120"])
def test_a_material_gives_nanometres_to_a_file_without(crystal: Path, material: str) -> None:
    events, told = analyze(crystal, "--material", material)

    assert all(event["calibrated"] for event in events)
    assert events[0]["pixel_size"]["source"] == "material"
    assert events[0]["pixel_size"]["size_pm"] == pytest.approx(13.1, rel=0.01)
    assert events[0]["lattice"]["period_nm"] == pytest.approx(0.316, rel=1e-3)
    assert all(defect["nm_yx"] is not None for event in events for defect in event["defects"])
    assert events[1]["context"] == events[0]["context"]
    assert "material" not in told


def test_a_file_that_contradicts_the_material_is_told_once(sized: Path) -> None:
    (event,), told = analyze(sized, "--material", "MoS2")

    assert event["pixel_size"]["size_pm"] == pytest.approx(13.1, rel=0.01)
    assert told.count("pm by the material and 20.00 pm without it") == 1


def test_a_material_that_is_not_there_leaves_the_file_its_word(sized: Path) -> None:
    (event,), told = analyze(sized, "--material", "SrTiO3")

    assert "pixel_size" not in event
    assert event["context"]["fov_nm_yx"] == [256 * 0.02, 320 * 0.02]
    assert told.count("is not that of the material") == 1


def test_a_size_that_is_given_is_taken(crystal: Path) -> None:
    events, told = analyze(crystal, "--pixel-size-pm", "13.1")

    assert events[0]["calibrated"]
    assert events[0]["context"]["fov_nm_yx"] == pytest.approx([256 * 0.0131, 320 * 0.0131])
    assert "pixel_size" not in events[0]
    assert "the file says" not in told


@pytest.mark.parametrize(("given", "notes"), [("13.1", 1), ("20.0", 0)])
def test_a_size_that_is_given_wins_over_the_file_which_is_told(
    sized: Path, given: str, notes: int
) -> None:
    (event,), told = analyze(sized, "--pixel-size-pm", given)

    fov_nm_yx = [side * float(given) / 1000 for side in (256, 320)]
    assert event["context"]["fov_nm_yx"] == pytest.approx(fov_nm_yx)
    assert told.count("the file says 20 x 20 pm") == notes


@pytest.mark.parametrize("size", ["0", "-13.1", "nan", "inf", "1e9"])
def test_a_size_that_is_none_is_refused(crystal: Path, size: str) -> None:
    assert "must be a number from 0.5 to 1e+06 pm" in refusal_of(crystal, "--pixel-size-pm", size)


@pytest.mark.parametrize(
    ("material", "words"),
    [
        ("mud", ["'mud': expected one of graphene, MoS2", "or a_pm[,b_pm[,angle_deg]]"]),
        ("1,2,3,4", ["expected one of graphene"]),
        ("3,nan", ["a_pm = 3.0: must be at least 50 pm", "b_pm = nan: must be finite"]),
    ],
)
def test_a_material_that_is_none_is_refused_with_every_mistake(
    crystal: Path, material: str, words: list[str]
) -> None:
    refusal = refusal_of(crystal, "--material", material)

    assert [word for word in words if word not in refusal] == []
