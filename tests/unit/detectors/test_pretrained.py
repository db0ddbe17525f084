"""The shipped models are what the repository's command makes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.models import load_vae
from latticewatch.detectors.patterson.fit import fit
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.vae import fit as autoencoder
from latticewatch.detectors.vae.model import VaeModel
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.crystals import CRYSTALS, Image, image_of, in_force

# What deploy/make_models asks of the simulator.
SEEDS = range(101, 109)
FRAMES_EACH = 2


def references(crystal: str) -> list[Image]:
    frames = []
    for seed in SEEDS:
        microscope = Microscope(MicroscopeSettings(crystal=crystal, seed=seed))
        frames += [image_of(microscope.frame(index)[0]) for index in range(FRAMES_EACH)]
    return frames


def aligned(components: NDArray[np.float32], like: NDArray[np.float32]) -> NDArray[np.float32]:
    """Principal components with the signs of others: each is as good as its negative."""
    signs = np.sign((components * like).sum(axis=1, keepdims=True))
    return np.asarray(signs * components)


def assert_close(made: PattersonModel, there: PattersonModel) -> None:
    for name, number in there.header().items():
        if isinstance(number, int | float):
            assert made.header()[name] == pytest.approx(number, rel=1e-2), name
    arrays, expected = made.arrays(), there.arrays()
    for name in ("basis_px_yx", "mean", "mean_patch", "z_mad"):
        assert np.allclose(arrays[name], expected[name], rtol=1e-2, atol=1e-3), name
    components = aligned(arrays["components"], expected["components"])
    assert np.allclose(components, expected["components"], atol=1e-2)
    quantiles = np.linspace(0.01, 0.99, 25)
    assert np.allclose(
        np.quantile(arrays["reference_decisions"], quantiles),
        np.quantile(expected["reference_decisions"], quantiles),
        atol=0.02 * abs(there.offset),
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_shipped_model_is_made_again_by_the_library(crystal: str) -> None:
    made, report = fit(references(crystal), PattersonParameters())

    assert report.n_frames == len(SEEDS) * FRAMES_EACH
    assert_close(made, in_force(crystal).detector.model)


@pytest.mark.training
@pytest.mark.timeout(600)
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_shipped_autoencoder_is_made_again_by_the_library(crystal: str) -> None:
    pytest.importorskip("torch", reason="training needs the extra train")
    loaded = load_vae(f"pretrained:{crystal}-vae").model
    assert isinstance(loaded, VaeModel)

    made, report = autoencoder.fit(references(crystal))

    assert report.n_frames == len(SEEDS) * FRAMES_EACH
    assert np.allclose(made.rule.basis_px_yx, loaded.rule.basis_px_yx, rtol=1e-3)
    assert np.allclose(made.windows.usual, loaded.windows.usual, atol=1e-3)
    for law, there in zip(made.nulls, loaded.nulls, strict=True):
        assert law.width == pytest.approx(there.width, rel=0.05)
    assert made.score_median == pytest.approx(loaded.score_median, abs=0.1)
