"""A model is taken whole and consistent, or refused in one line that names what is wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae.model import DETECTOR, VaeModel
from latticewatch.detectors.vae.pca import DensePca
from latticewatch.detectors.vae.provenance import Provenance
from latticewatch.detectors.vae.score import VaeDetector
from support.vae_models import flat_model, flat_network, with_network

pytest.importorskip("onnx")
WHERE = "my.model"


def artifact_with(
    *,
    detector: str = DETECTOR,
    header: dict[str, object] | None = None,
    arrays: dict[str, NDArray[Any]] | None = None,  # Any: floats and bytes
    without: str = "",
) -> Artifact:
    """Make the artifact of the flat model with a change."""
    numbers = flat_model().header() | (header or {})
    members = flat_model().arrays() | (arrays or {})
    numbers.pop(without, None)
    members.pop(without, None)
    return Artifact(detector=detector, header=numbers, arrays=members, sha256="0" * 64)


def refusal_of(artifact: Artifact) -> str:
    with pytest.raises(ModelError) as refusal:
        VaeModel.from_artifact(artifact, WHERE)
    message = str(refusal.value)
    assert message.startswith(f"{WHERE}: ")
    assert "\n" not in message
    return message


def test_model_comes_back_from_its_file(tmp_path: Path) -> None:
    model, path = flat_model(), tmp_path / "a.model"
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    again = VaeModel.from_artifact(Artifact.read(path), WHERE)
    assert again.header() == model.header()
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def with_twin() -> VaeModel:
    twin = DensePca(np.eye(55, dtype=np.float32), 0.25, np.diag([20.0, 20.0]), 40, 800)
    return replace(flat_model(), pca=twin)


def test_linear_twin_comes_back_from_its_file(tmp_path: Path) -> None:
    model, path = with_twin(), tmp_path / "a.model"
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    twin = VaeModel.from_artifact(Artifact.read(path), WHERE).pca
    assert twin is not None
    np.testing.assert_array_equal(twin.weights, np.eye(55))
    assert (twin.bias, twin.rank, twin.n_windows) == (0.25, 40, 800)


@pytest.mark.parametrize(
    ("header", "arrays", "told"),
    [
        ({"pca": {"bias": 0.1}}, {}, "pca"),
        ({"pca": 3}, {}, "pca"),
        ({}, {"pca_weights": np.eye(4)}, "pca_weights"),
        ({}, {"pca_basis_px_yx": np.eye(3)}, "pca_basis_px_yx"),
        ({}, {"pca_basis_px_yx": np.eye(2) * 1e9}, "pca_basis_px_yx"),
        ({}, {"pca_basis_px_yx": np.zeros((2, 2))}, "pca_basis_px_yx"),
    ],
)
def test_broken_twins_are_refused(
    header: dict[str, object], arrays: dict[str, NDArray[Any]], told: str
) -> None:
    twin = with_twin()
    refused = artifact_with(header=twin.header() | header, arrays=twin.arrays() | arrays)
    assert told in refusal_of(refused)


def test_other_detectors_are_refused() -> None:
    assert "patterson" in refusal_of(artifact_with(detector="patterson"))


@pytest.mark.parametrize("name", ["step_px", "scale", "polarity", "score_median", "n_tests"])
@pytest.mark.parametrize("value", [None, "1", True, float("inf")])
def test_missing_and_foreign_numbers_are_named(name: str, value: object) -> None:
    assert name in refusal_of(artifact_with(header={name: value}))


@pytest.mark.parametrize("name", ["usual", "network_onnx", "probe_window", "basis_px_yx"])
def test_missing_arrays_are_named(name: str) -> None:
    assert name in refusal_of(artifact_with(without=name))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"mode": "best"}, "mode"),
        ({"step_px": -1.0}, "step_px"),
        ({"scale": 0.0}, "scale"),
        ({"n_tests": 3.0}, "n_tests"),
        ({"drawn_px": 22}, "(22, 22)"),
        ({"nulls": {"largest": {"width": 1.0}}}, "nulls"),
        ({"folds": [["a", 1, 2]]}, "folds"),
        ({"folds": None}, "folds"),
        ({"frames": [1]}, "frames"),
    ],
)
def test_values_out_of_range_are_named(header: dict[str, object], told: str) -> None:
    assert told in refusal_of(artifact_with(header=header))


def test_network_with_another_digest_is_refused() -> None:
    other = np.frombuffer(flat_network(33, 21), np.uint8)
    assert "SHA-256" in refusal_of(artifact_with(arrays={"network_onnx": other}))


def test_windows_of_another_size_than_the_usual_one_are_refused() -> None:
    message = refusal_of(artifact_with(arrays={"probe_window": np.zeros((31, 31), np.float32)}))
    assert "(31, 31)" in message
    assert "(33, 33)" in message


def test_network_for_windows_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"33.*35|35.*33"):
        VaeDetector(with_network(flat_network(35, 23)), WHERE)


def test_network_that_draws_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match="redrawn"):
        VaeDetector(with_network(flat_network(33, 21)), WHERE)


def test_calibration_on_what_was_learned_is_refused() -> None:
    leak = Provenance({}, ("abc",), (("abc", 0, 100, 90, 200),))
    assert leak.in_sample
    model = replace(flat_model(), provenance=leak)
    artifact = Artifact(detector=DETECTOR, header=model.header(), arrays=model.arrays(), sha256="")
    assert "fitted on" in refusal_of(artifact)


def test_halves_that_judge_each_other_are_no_leak() -> None:
    folds = (("abc", 0, 100, 110, 200), ("abc", 110, 200, 0, 100))
    assert not Provenance({}, ("abc",), folds).in_sample


def test_model_that_no_longer_gives_its_own_answer_is_refused() -> None:
    model = flat_model()
    VaeDetector(model).check_probe(WHERE)
    other = replace(model, probe_residual=model.probe_residual + np.float32(0.5))
    with pytest.raises(ModelError, match="probe"):
        VaeDetector(other).check_probe(WHERE)
