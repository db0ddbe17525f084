"""A fit needs no labels, goes on where it stopped, and refuses what it could not learn."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae import training
from latticewatch.detectors.vae.fit import fit
from latticewatch.detectors.vae.model import DETECTOR, VaeModel
from latticewatch.detectors.vae.null import USUAL_LAW
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.score import VaeDetector
from support.crystals import net_frame
from support.vae_models import nearest_site, square_frame, view_of, without_column

pytest.importorskip("torch")
# Small and quick: learns little, and must not be judged by what it finds.
QUICK = VaeParameters(encoder=(4, 8), latents=6, epochs=3, per_epoch=160, beta=0.5, rate=5e-3)
FRAMES = [square_frame(seed, 400) for seed in range(2)]


@pytest.fixture
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training pass that learned hardly anything."""
    monkeypatch.setattr("latticewatch.detectors.vae.checked.MOST_UNEXPLAINED", 10.0)
    monkeypatch.setattr("latticewatch.detectors.vae.checked.LEAST_KL_NATS", 0.0)


@pytest.mark.usefixtures("easy")
def test_fitted_model_passes_through_its_file_and_gives_its_own_answer(tmp_path: Path) -> None:
    told: list[tuple[float, ...]] = []
    model, report = fit(FRAMES, QUICK, progress=lambda *one: told.append(one))
    assert report.n_frames == 2
    assert report.n_calibration > 200
    assert report.onnx_parity < 1e-6
    assert [one[0] for one in told] == list(range(1, 10))
    assert {one[1] for one in told} == {9}
    path = tmp_path / "a.model"
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    assert path.stat().st_size < 2**20
    detector = VaeDetector(VaeModel.from_artifact(Artifact.read(path), "a.model"))
    detector.check_probe("a.model")
    frame = square_frame(9, 400)
    view = view_of(model, frame)
    place = view.places_yx[nearest_site(view, (200.0, 200.0))].copy()
    view = view_of(model, without_column(frame, place))
    scores = detector.score(view)
    assert int(np.nanargmin(scores.p_value)) == nearest_site(view, (place[0], place[1]))


@pytest.mark.usefixtures("easy")
def test_stopped_fit_goes_on_to_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = fit(FRAMES, QUICK)
    n_epochs = 0

    def stop(*_: float) -> None:
        nonlocal n_epochs
        n_epochs += 1
        if n_epochs == 5:  # in the second of three trainings
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(FRAMES, QUICK, progress=stop, checkpoint=tmp_path / "state")
    n_trained = 0
    run_epoch = training._Training.run_epoch

    def counted(state: training._Training) -> None:
        nonlocal n_trained
        n_trained += 1
        run_epoch(state)

    monkeypatch.setattr(training._Training, "run_epoch", counted)
    again, _ = fit(FRAMES, QUICK, checkpoint=tmp_path / "state")
    assert n_trained == 4
    assert again.network == whole.network
    assert again.header() == whole.header()


def test_collapsed_training_is_refused() -> None:
    settings = VaeParameters(encoder=(4, 8), latents=6, epochs=2, per_epoch=160, beta=1e4)
    with pytest.raises(FitError, match="collapsed"):
        fit(FRAMES, settings)


@pytest.mark.usefixtures("easy")
def test_small_reference_is_fitted_with_the_null_of_usual_crystals() -> None:
    model, report = fit([square_frame(0, 240)], QUICK)
    assert report.n_calibration == 0
    assert "too few" in report.warnings[-1]
    assert model.nulls == (USUAL_LAW, USUAL_LAW)
    assert not model.provenance.folds


def test_reference_of_few_sites_is_refused() -> None:
    frame = net_frame([[20.0, 0.0], [0.0, 20.0]], shape_yx=(150, 150))
    with pytest.raises(FitError, match="at least 60 needed"):
        fit([frame], QUICK)


def test_noise_is_refused() -> None:
    noise = np.random.default_rng(0).poisson(20, (256, 256)).astype(np.float32)
    with pytest.raises(FitError, match="no lattice"):
        fit([noise], QUICK)


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_missing_library_is_named_with_what_helps(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:  # noqa: ANN401 - whatever is imported
        if name == missing:
            raise ImportError(f"No module named {name!r}", name=name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FitError, match=rf"{missing} is not installed.*train.*--scorer pca"):
        fit(FRAMES, QUICK)
