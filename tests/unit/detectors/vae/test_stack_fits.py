"""Fits on a stack of windows: what they make, keep, refuse and repeat."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae import published_rule, unlocked
from latticewatch.detectors.vae.patch_fit import PublishedFitSettings, fit_windows
from latticewatch.detectors.vae.published import PublishedDetector
from latticewatch.detectors.vae.shape import Step
from latticewatch.detectors.vae.stack import split, usable_windows
from latticewatch.detectors.vae.unlocked import UnlockedDetector
from latticewatch.detectors.vae.unlocked_fit import UnlockedFitSettings, fit_unlocked
from support.windows_networks import lattice_windows

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
# Of two threads on a busy machine one waits for the other: 1 s becomes 40.
torch.set_num_threads(1)

# Four times the usual rate, so that a second of training tells one window from another.
SHORT = PublishedFitSettings(epochs=20, rate=4e-3)
WINDOWS = lattice_windows(200, 1)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File by which the one training of these tests is shared."""
    return tmp_path_factory.mktemp("fits") / "training.npz"


@pytest.mark.slow
def test_published_fit_gives_a_model_that_a_file_can_keep(kept: Path) -> None:
    steps: list[Step] = []
    kept.unlink(missing_ok=True)
    fit = fit_windows(WINDOWS, SHORT, progress=steps.append, checkpoint=kept)
    assert [step.epoch for step in steps] == list(range(1, 21))
    assert fit.parity < 1e-5
    header = json.loads(json.dumps(fit.header))
    assert published_rule.rule_from(header) == fit.rule
    assert "may overlap" in header["calibrated_on"]
    network = fit.arrays["network_onnx"].tobytes()
    verdicts = PublishedDetector(network, fit.rule).score_windows(WINDOWS)
    assert verdicts.is_scored.all()


@pytest.mark.slow
def test_published_fit_goes_on_from_its_checkpoint_and_decodes_samples_where_asked(
    kept: Path,
) -> None:
    first = fit_windows(WINDOWS, SHORT, checkpoint=kept)
    again = fit_windows(WINDOWS, SHORT, checkpoint=kept)
    assert first.network == again.network
    assert first.rule == again.rule
    sampled = fit_windows(WINDOWS, replace(SHORT, latent="sample"), checkpoint=kept)
    detector = PublishedDetector(sampled.network, sampled.rule, "digest")
    assert detector.score_windows(WINDOWS[:3]).is_scored.all()


def test_default_fit_finds_a_column_that_is_missing() -> None:
    fit = fit_unlocked(WINDOWS, UnlockedFitSettings(epochs=15, latents=10))
    told = json.loads(json.dumps(fit.header))
    assert unlocked.rule_from(told) == fit.rule
    fresh = lattice_windows(60, 2)
    missing = fresh.copy()
    missing[:, 9:15, 9:15] = 200
    detector = UnlockedDetector(fit.network, fit.rule)
    assert detector.score_windows(missing).is_defect.mean() > 0.9
    assert detector.score_windows(fresh).is_defect.mean() < 0.1


def test_windows_that_come_twice_are_learned_from_or_judged_by_but_not_both() -> None:

    usable = usable_windows(np.concatenate([WINDOWS, WINDOWS[::-1]]))
    np.testing.assert_array_equal(usable, WINDOWS)
    learned, held_out = split(usable, 0.2, 0)
    assert len(learned) + len(held_out) == len(WINDOWS)
    both = np.concatenate([learned, held_out]).reshape(len(WINDOWS), -1)
    assert len(np.unique(both, axis=0)) == len(WINDOWS)


def test_spoilt_and_dark_windows_are_left_out() -> None:
    windows = WINDOWS.astype(np.float32)
    windows[3, 0, 0] = np.nan
    windows[5] = 0.0
    np.testing.assert_array_equal(usable_windows(windows), np.delete(windows, [3, 5], axis=0))


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        (np.zeros((90, 32, 30), np.uint8), "square"),
        (np.zeros((64, 64), np.uint8), "square"),
        (np.zeros((0, 32, 32), np.uint8), "0 different windows"),
        (np.zeros((90, 32, 32), np.uint8), "0 different windows"),
        (np.full((90, 32, 32), 7, np.uint8), "1 different windows"),
        (WINDOWS[:49], "49 different windows"),
        (WINDOWS.astype(np.complex64), "complex64"),
    ],
)
def test_a_stack_that_cannot_be_fitted_is_refused(windows: NDArray[np.generic], told: str) -> None:
    with pytest.raises(FitError, match=told):
        fit_windows(windows, SHORT)


def test_a_side_that_the_published_network_cannot_draw_is_refused() -> None:
    with pytest.raises(FitError, match="multiple of 8"):
        fit_windows(lattice_windows(60, 3, side=30), SHORT)


def test_a_training_that_learned_nothing_is_refused() -> None:
    windows = np.random.default_rng(4).poisson(1000, (60, 32, 32)).astype(np.uint16)
    with pytest.raises(FitError, match="the training collapsed"):
        fit_windows(windows, PublishedFitSettings(epochs=1))
