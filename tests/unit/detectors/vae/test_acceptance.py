"""What the autoencoder must reach: methods/vae.md 8, on bands that share no pixel."""

import numpy as np
import pytest

from latticewatch.detectors.vae.fit import fit
from latticewatch.detectors.vae.score import VaeDetector
from support.band_figures import Maker, measure_sites
from support.band_vae import vae, vae_largest, view_of
from support.bands import splits
from support.crystals import image_of, specimen

pytestmark = [pytest.mark.training, pytest.mark.timeout(600)]
pytest.importorskip("torch")


@pytest.mark.parametrize("make", [vae, vae_largest])
def test_defects_of_other_bands_are_told_from_bulk(make: Maker) -> None:
    for split in splits("dense"):
        figures = measure_sites(split, make)
        assert figures.mean_auc >= 0.95, (split.name, figures)


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
def test_p_values_hold_on_new_frames_and_turned_frames_are_stale(crystal: str) -> None:
    frames = [image_of(specimen(crystal, seed=seed)[0]) for seed in (31, 32, 33, 34)]
    model, report = fit(frames)
    assert report.kl > 1.0
    assert report.onnx_parity < 1e-6
    detector = VaeDetector(model)
    p_values = []
    for seed in range(51, 57):
        scores = detector.score(
            view_of(model, image_of(specimen(crystal, seed=seed, perfect=True)[0]))
        )
        assert not scores.stale
        p_values.append(scores.p_value[scores.scored])
    together = np.concatenate(p_values)
    assert (together < 0.01).mean() <= 0.025
    assert (together < 0.05).mean() <= 0.075
    turned = image_of(specimen(crystal, seed=51, perfect=True, rotation_deg=16.0)[0])
    assert detector.score(view_of(model, turned)).stale
