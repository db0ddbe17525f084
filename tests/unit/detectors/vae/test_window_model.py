"""Models of windows are taken from their files, or refused in one line that names the file."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae import published_rule, unlocked
from latticewatch.detectors.vae.graph import MOST_BYTES
from latticewatch.detectors.vae.published import PublishedDetector
from latticewatch.detectors.vae.published_rule import PublishedRule
from latticewatch.detectors.vae.unlocked import UnlockedDetector, UnlockedRule
from latticewatch.detectors.vae.window_model import WindowModel
from support.windows_networks import network

pytest.importorskip("onnx")
SIDE = 32
USUAL = {"usual_square": 0.1}
UNLOCKED = USUAL | unlocked.header_of(
    UnlockedRule(window_px=SIDE, step_px=16, middle=0.5, spread=0.2)
)
PUBLISHED = USUAL | published_rule.header_of(PublishedRule(window_px=SIDE, step_px=16))


def artifact(
    header: dict[str, object],
    stored: NDArray[Any] | bytes | None = None,  # Any: whatever a file may hold
    detector: str = "vae",
) -> Artifact:
    if stored is None:
        stored = network(SIDE, "plain")
    if isinstance(stored, bytes):
        stored = np.frombuffer(stored, np.uint8)
    return Artifact(detector, header, {"network_onnx": stored}, "0" * 64)


def refusal_of(given: Artifact) -> str:
    with pytest.raises(ModelError) as caught:
        WindowModel.from_artifact(given, "my.model")
    told = str(caught.value)
    assert told.startswith("my.model: ")
    assert not told.startswith("my.model: model: ")
    assert "\n" not in told
    return told


def test_each_mode_has_its_detector() -> None:
    for header, kind in ((UNLOCKED, UnlockedDetector), (PUBLISHED, PublishedDetector)):
        model = WindowModel.from_artifact(artifact(header), "my.model")
        assert (model.mode, model.digest) == (header["mode"], "0" * 64)
        assert isinstance(model.detector(), kind)


@pytest.mark.parametrize("mode", ["default", "pca", None])
def test_modes_that_need_a_lattice_are_refused(mode: object) -> None:
    assert "mode" in refusal_of(artifact({**UNLOCKED, "mode": mode}))


def test_other_detectors_are_refused() -> None:
    assert "a patterson model" in refusal_of(artifact(UNLOCKED, detector="patterson"))


@pytest.mark.parametrize("header", [UNLOCKED, PUBLISHED], ids=["unlocked", "published"])
@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (np.zeros(9, np.float32), "network_onnx"),
        (np.zeros((3, 3), np.uint8), "network_onnx"),
        (b"nothing of the kind", "no ONNX file"),
        (b"\0" * (MOST_BYTES + 1), str(MOST_BYTES)),
    ],
)
def test_what_is_no_network_is_named(
    header: dict[str, object],
    stored: NDArray[Any] | bytes,
    told: str,
) -> None:
    assert told in refusal_of(artifact(header, stored))


def test_network_that_is_missing_is_named() -> None:
    assert "network_onnx" in refusal_of(Artifact("vae", UNLOCKED, {}, "0" * 64))


@pytest.mark.parametrize("header", [UNLOCKED, PUBLISHED], ids=["unlocked", "published"])
def test_network_for_windows_of_another_side_is_refused_with_both(
    header: dict[str, object],
) -> None:
    told = refusal_of(artifact(header, network(24, "plain")))
    assert "24" in told
    assert "32" in told


def test_network_that_takes_noise_is_for_samples_alone() -> None:
    sampling = network(SIDE, "plain", sampled=True)
    assert "noise" in refusal_of(artifact(PUBLISHED, sampling))
    assert "noise" in refusal_of(artifact({**PUBLISHED, "latent": "sample"}))
    WindowModel.from_artifact(artifact({**PUBLISHED, "latent": "sample"}, sampling), "my.model")


@pytest.mark.parametrize(("name", "value"), [("spread", 0.0), ("tail_scale", None), ("zero", "1")])
def test_numbers_that_no_fit_can_have_made_are_named(name: str, value: object) -> None:
    assert name in refusal_of(artifact({**UNLOCKED, name: value}))
