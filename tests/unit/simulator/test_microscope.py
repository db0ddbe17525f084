"""Frames show what their truth says, and follow from the seed alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.settings import SimulatorError
from latticewatch.simulator.truth import Truth

SMALL = MicroscopeSettings(shape_yx=(160, 224), seed=4)


def test_equal_seeds_give_bit_equal_frames() -> None:
    first, _ = Microscope(SMALL).frame(3)
    again, _ = Microscope(SMALL).frame(3)
    np.testing.assert_array_equal(first, again)


def test_a_frame_does_not_depend_on_those_before_it() -> None:
    microscope = Microscope(SMALL)
    for index in (0, 5, 1):
        microscope.frame(index)
    np.testing.assert_array_equal(microscope.frame(2)[0], Microscope(SMALL).frame(2)[0])


def test_other_seeds_and_other_numbers_give_other_frames() -> None:
    pixels, _ = Microscope(SMALL).frame(0)
    assert (pixels != Microscope(SMALL).frame(1)[0]).mean() > 0.5
    assert (pixels != Microscope(replace(SMALL, seed=5)).frame(0)[0]).mean() > 0.5


def test_a_frame_belongs_to_the_caller() -> None:
    microscope = Microscope(SMALL)
    pixels, _ = microscope.frame(0)
    kept = pixels.copy()
    microscope.frame(1)
    np.testing.assert_array_equal(pixels, kept)
    assert pixels.dtype == np.dtype("<u2")
    assert pixels.flags.c_contiguous


def electrons(microscope: Microscope, index: int) -> tuple[NDArray[np.float64], Truth]:
    """Frame in electrons, by inverting the detector."""
    settings = microscope.settings
    pixels, truth = microscope.frame(index)
    counts = (pixels.astype(np.float64) - settings.dark_adu) / settings.electron_adu / truth.gain
    return counts, truth


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
@pytest.mark.parametrize("dose_factor", [0.1, 1.0, 3.0])
def test_noise_is_that_of_the_dose(crystal: str, dose_factor: float) -> None:
    settings = MicroscopeSettings(crystal=crystal, shape_yx=(256, 256))
    microscope = Microscope(replace(settings, dose_e_per_ang2=settings.dose * dose_factor))
    counts, _ = electrons(microscope, 2)
    expected = microscope.expected(2).astype(np.float64)
    # Pearson's statistic of a Poisson field: 1 +- sqrt((2 + 1/mean)/n).
    ratio = ((counts - expected) ** 2 / expected).mean()
    assert ratio == pytest.approx(1.0, abs=5 * np.sqrt((2 + (1 / expected).mean()) / counts.size))
    assert counts.mean() == pytest.approx(expected.mean(), rel=5 / np.sqrt(expected.sum()))


def test_signal_is_proportional_to_the_dose() -> None:
    low, high = (
        Microscope(replace(SMALL, dose_e_per_ang2=dose)).expected(0) for dose in (2e4, 1e5)
    )
    np.testing.assert_allclose(high, 5 * low, rtol=1e-4)


def test_the_demo_counts_about_25_electrons_on_its_columns() -> None:
    settings = MicroscopeSettings()
    peaks = [
        part.cross_section_ang2 * settings.electrons_per_ang2_of_cross_section
        for part in settings.specimen.sublattices
    ]
    assert 20 < np.mean(peaks) < 30
    assert 4 < settings.background_electrons < 6


def brightness_centroid(
    image: NDArray[np.float64], start_yx: NDArray[np.float64], sigma_px: float
) -> NDArray[np.float64]:
    """Place of a bright spot by weighted centroids: knows nothing of how it was drawn."""
    y, x = np.indices(image.shape)
    place = start_yx.copy()
    for _ in range(30):
        weight = image * np.exp(
            -((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * (0.8 * sigma_px) ** 2)
        )
        centroid = np.array([(weight * y).sum(), (weight * x).sum()]) / weight.sum()
        # A weight as wide as the spot halves each step: twice the step is the fixed point sooner.
        place += 2 * (centroid - place)
    return place


@pytest.mark.parametrize("crystal", ["mos2", "srtio3"])
@pytest.mark.parametrize("scan_rotation_deg", [0.0, 40.0])
def test_truth_agrees_with_the_brightness_of_the_frame(
    crystal: str, scan_rotation_deg: float
) -> None:
    settings = MicroscopeSettings(
        crystal=crystal,
        shape_yx=(300, 420),
        drift_nm_s=0.3,
        jitter_px=0.1,
        scan_rotation_deg=scan_rotation_deg,
        vacancies=0,
        substitutions=4,
        displaced=4,
        dose_e_per_ang2=3e5 if crystal == "mos2" else 4e4,
    )
    microscope = Microscope(settings)
    counts, truth = electrons(microscope, 9)
    image = counts - settings.background_electrons
    off = np.array(
        [
            brightness_centroid(image, np.rint(place), settings.sigma_px) - place
            for place, part in zip(truth.pixel_yx, truth.sublattice, strict=True)
            if part in ("Mo", "Sr")
            and ((place > 20) & (place < np.array(settings.shape_yx) - 20)).all()
        ]
    )
    assert len(off) >= 4
    assert np.hypot(off[:, 0], off[:, 1]).max() < 0.6
    assert np.abs(off.mean(axis=0)).max() < 0.2


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
def test_each_kind_looks_like_itself(crystal: str) -> None:
    settings = MicroscopeSettings(crystal=crystal, vacancies=6, substitutions=6, deficits=6)
    perfect = Microscope(replace(settings, perfect=True)).expected(0)
    harmed = Microscope(settings)
    truth, image = harmed.truth(0), harmed.expected(0)
    ratio: dict[str, list[float]] = {}
    for (y, x), kind in zip(np.rint(truth.pixel_yx).astype(int), truth.kind, strict=True):
        if 0 <= y < 512 and 0 <= x < 512:
            ratio.setdefault(kind, []).append(image[y, x] / perfect[y, x])
    assert max(ratio["vacancy"]) < 0.7
    assert max(ratio["deficit"]) < 0.9
    assert min(ratio["excess"]) > 1.5


def test_away_from_defects_a_harmed_crystal_is_perfect() -> None:
    settings = MicroscopeSettings(seed=8)
    harmed = Microscope(settings)
    difference = harmed.expected(0) - Microscope(replace(settings, perfect=True)).expected(0)
    truth = harmed.truth(0)
    y, x = np.indices(difference.shape)
    far = np.ones(difference.shape, np.bool_)
    for place in truth.pixel_yx:
        far &= np.hypot(y - place[0], x - place[1]) > 26
    border = 26
    far[:border], far[-border:], far[:, :border], far[:, -border:] = False, False, False, False
    assert np.abs(difference[far]).max() < 1e-4


def test_columns_in_view_are_counted() -> None:
    truth = Microscope(MicroscopeSettings(disorder_pm=0.0)).truth(0)
    cell_px2 = truth.period_px**2 * np.sqrt(0.75)
    assert truth.n_columns == pytest.approx(2 * 512**2 / cell_px2, rel=0.02)


def test_jitter_moves_rows_and_nothing_else() -> None:
    still = Microscope(replace(SMALL, jitter_px=0.0)).expected(0)
    shaken = Microscope(replace(SMALL, jitter_px=1.0)).expected(0)
    assert not np.allclose(still, shaken)
    # A sideways shift leaves the sum of a row alone, but for what crosses the two ends.
    np.testing.assert_allclose(shaken.sum(axis=1), still.sum(axis=1), rtol=0.05)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"crystal": "ice"}, r"^crystal = ice: must be one of mos2, srtio3, zincblende$"),
        ({"shape_yx": (8, 512)}, r"^size = \(8, 512\): each side must be 16 to 8192 px$"),
        ({"background": -1.0}, r"^background = -1.0: must be 0 to 10$"),
        ({"drift_nm_s": float("nan")}, r"^drift_nm_s = nan: must be 0 to 10$"),
        ({"pixel_size_nm": 0.2}, r"^probe_sigma_ang = 0.47 at pixel_size_nm = 0.2 is 0.2"),
        ({"dose_e_per_ang2": 1e8}, r"^dose_e_per_ang2 = 1e\+08 puts \d+ electrons .* lower the"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulatorError, match=message):
        MicroscopeSettings(**setting)


@pytest.mark.benchmark
def test_a_large_frame_takes_less_than_a_sixtieth_of_a_second() -> None:
    from time import process_time

    microscope = Microscope(MicroscopeSettings(shape_yx=(1024, 1024)))
    microscope.frame(0)
    start = process_time()
    for index in range(60):
        microscope.frame(index)
    assert process_time() - start < 1.0
