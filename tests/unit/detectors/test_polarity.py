"""Whether columns are bright follows from the channel's name, or from the frame."""

import dataclasses

import numpy as np
import pytest

from latticewatch.detectors.patterson.fit import fit
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.polarity import contrast_of_channel, contrast_of_frame
from support.crystals import CRYSTALS, image_of, in_force, specimen
from support.honeycomb import honeycomb, perfect_honeycomb
from support.judging import judge_honeycomb


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("HAADF", 1),
        ("haadf1", 1),
        ("HAADF 1024x1024.tif", 1),
        ("MAADF", 1),
        ("ADF-2", 1),
        ("BF", -1),
        ("sample_abf_03.npy", -1),
        ("Bright Field", -1),
        ("dark field", 1),
        ("EELS", None),
        ("buffer", None),
        ("", None),
    ],
)
def test_channel_says_the_contrast_of_columns(name: str, contrast: int | None) -> None:
    assert contrast_of_channel(name) == contrast


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_columns_of_simulated_crystals_are_bright_and_of_their_negatives_dark(crystal: str) -> None:
    image = image_of(specimen(crystal, seed=2)[0])
    period_px = in_force(crystal).detector.model.rule.period_px
    assert contrast_of_frame(image, period_px) == 1
    assert contrast_of_frame(image.max() - image, period_px) == -1


def test_columns_of_a_honeycomb_are_bright_though_its_holes_are_the_rarer() -> None:
    assert contrast_of_frame(perfect_honeycomb(1), 22.6) == 1


def test_wild_pixel_and_constant_frame_have_no_say() -> None:
    image = perfect_honeycomb(1)
    image = image.max() - image
    image[100, 100] = 1e6
    assert contrast_of_frame(image, 22.6) == -1
    assert contrast_of_frame(np.full((64, 64), 7.0, np.float32), 22.6) == 1


@pytest.mark.slow
def test_bright_field_frame_is_judged_as_its_negative_is() -> None:
    drawn = honeycomb(1, dopants=0.0)
    model, _ = fit([perfect_honeycomb(100, dopants=0.0)], PattersonParameters())
    dark = PattersonParameters(polarity="dark")
    negative, _ = fit([100.0 - perfect_honeycomb(100, dopants=0.0)], dark)

    one = judge_honeycomb(model, drawn)
    other = judge_honeycomb(negative, dataclasses.replace(drawn, counts=100.0 - drawn.counts))

    assert negative.rule.contrast == -1
    assert one.auc > 0.999
    assert other.auc > 0.999
