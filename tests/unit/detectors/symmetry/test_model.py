"""A model file gives the same model back, and nothing else is taken for one."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.model import DETECTOR, SymmetryModel
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.symmetry.score import SymmetryDetector
from support.boundaries import Drawn, boundary
from support.gate_tiles import drawn_fit


@lru_cache(maxsize=1)
def drawn() -> Drawn:
    return boundary(crystal="dumbbell", kind="fault", period_px=12.0, counts=20.0, seed=3)


@lru_cache(maxsize=1)
def fitted() -> SymmetryModel:
    return fit([drawn().frame], SymmetryParameters())[0]


def stored(
    path: Path,
    model: SymmetryModel,
    header: dict[str, Any] | None = None,
    **arrays: Any,  # noqa: ANN401 - also what no model may hold
) -> SymmetryModel:
    """Write a model, changed, and read it."""
    write_artifact(
        path,
        detector=DETECTOR,
        header=model.header() | (header or {}),
        arrays={k: v for k, v in (model.arrays() | arrays).items() if v is not None},
    )
    return SymmetryModel.from_artifact(Artifact.read(path), path.name)


def test_what_is_read_maps_as_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    network = drawn_fit().gate.network
    model = replace(fitted(), gate=network)
    again = stored(tmp_path / "a.model", model)
    assert again.header() == model.header()
    assert again.gate == network
    one = SymmetryDetector(model).score(drawn().frame, None)
    two = SymmetryDetector(again).score(drawn().frame, None)
    np.testing.assert_array_equal(one.distance, two.distance)
    np.testing.assert_array_equal(one.p_value, two.p_value)


def test_a_model_without_a_lattice_is_read(tmp_path: Path) -> None:
    assert stored(tmp_path / "a.model", replace(fitted(), basis_px_yx=None)).basis_px_yx is None


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "mode": ({"mode": "energies"}, {}, "mode = 'energies'"),
    "no gain": ({"usual_trace": None}, {}, "usual_trace = None, expected a finite number"),
    "text": ({"limit": "ten"}, {}, "limit = 'ten'"),
    "half a pixel": ({"binning": 1.5}, {}, "binning = 1.5, expected a whole number"),
    "no binning": ({"binning": 0}, {}, "1 <= binning"),
    "huge binning": ({"binning": 10**6}, {}, "binning <= 64"),
    "true": ({"patch_frame": True}, {}, "patch_frame = True"),
    "huge": ({"limit": 1e300}, {}, "limit = 1e\\+300"),
    "wide filter": ({"outer_sigma_px": 1e4}, {}, "outer_sigma_px <= 50"),
    "levels": ({"low": 1.0, "high": 1.0}, {}, "low < high"),
    "no bank": ({}, {"bank": None}, "array bank has shape None"),
    "flat bank": ({}, {"bank": np.zeros(490, np.float32)}, "array bank has shape"),
    "large windows": ({}, {"bank": np.zeros((10, 81), np.float32)}, r"expected \(10, 49\)"),
    "many filters": ({}, {"bank": np.zeros((500, 49), np.float32)}, "expected"),
    "mean": ({}, {"mean": np.zeros(54)}, r"expected \(55,\)"),
    "knots": ({}, {"knots": np.zeros(48)}, "knots rise"),
    "shares": ({}, {"shares": np.ones(48)}, "shares fall"),
    "no gate": ({}, {"gate": np.frombuffer(b"no network", np.uint8)}, "gate"),
    "huge cell": ({}, {"basis_px_yx": 1e8 * np.eye(2)}, "within 4096 px"),
    "line for a cell": ({}, {"basis_px_yx": np.zeros((2, 2))}, "basis_px_yx spans a cell"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_hostile_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    header, arrays, words = BROKEN[name]
    with pytest.raises(ModelError, match=words) as refusal:
        stored(tmp_path / "bad.model", fitted(), header, **arrays)
    assert "\n" not in str(refusal.value)
    assert str(refusal.value).startswith("bad.model: ")


def test_the_model_of_another_detector_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.model"
    write_artifact(path, detector="vae", header=fitted().header(), arrays=fitted().arrays())
    with pytest.raises(ModelError, match="a vae model, expected symmetry"):
        SymmetryModel.from_artifact(Artifact.read(path), path.name)
