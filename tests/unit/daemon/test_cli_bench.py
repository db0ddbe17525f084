"""The bench compares equals: each kernel gives what the straightforward version gives."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.bench import TWIN, RowMaker, Timing, find_twin, time_calls
from latticewatch.daemon.bench_kernels import Case, Prepared, kernel_cases, prepare
from latticewatch.daemon.models import load_patterson
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from reference import straightforward


@pytest.fixture(scope="module")
def model() -> PattersonModel:
    return load_patterson("pretrained:mos2").detector.model


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint16]:
    return Microscope(MicroscopeSettings(shape_yx=(160, 224))).frame(0)[0]


@pytest.fixture(scope="module")
def ready(pixels: NDArray[np.uint16], model: PattersonModel) -> Prepared:
    return prepare(pixels, model)


def test_conversion_agrees(ready: Prepared) -> None:
    np.testing.assert_array_equal(ready.image, straightforward.to_float32(ready.pixels))


def test_blur_agrees(ready: Prepared, model: PattersonModel) -> None:
    plain = straightforward.smooth(ready.image, model.rule.smooth_sigma_px)

    np.testing.assert_allclose(ready.blurred, plain, rtol=1e-5)


def test_levels_agree_to_a_bin_of_the_histogram(ready: Prepared) -> None:
    full_range = float(np.ptp(ready.blurred))

    np.testing.assert_allclose(
        ready.range_levels, straightforward.levels(ready.blurred), atol=full_range / 2048
    )


def test_sites_agree(ready: Prepared, model: PattersonModel) -> None:
    rule = model.rule
    found = straightforward.find_extrema(
        ready.levelled, rule.floor, rule.min_distance_px, rule.polarity
    )

    np.testing.assert_array_equal(ready.extrema, found)
    # float32 against float64 on flat tops.
    np.testing.assert_allclose(
        ready.places, straightforward.refine(ready.levelled, found), atol=2e-3
    )


def test_features_and_decisions_agree(ready: Prepared, model: PattersonModel) -> None:
    whole = np.abs(ready.patches).sum(axis=(1, 2)) > 0
    size = model.patch_size_px
    patches = straightforward.gather_patches(ready.levelled, ready.places, size)
    power = straightforward.patterson_power(patches, model.cutoff, model.scale)
    z = straightforward.project(power, model.mean, model.components)

    np.testing.assert_allclose(ready.patches[whole], patches, atol=1e-5)
    np.testing.assert_allclose(ready.power[whole], power, rtol=1e-3, atol=1e-4 * power.max())
    np.testing.assert_allclose(ready.z[whole], z, atol=1e-3 * np.abs(z).max())


def test_a_whole_frame_can_be_scored_straightforwardly(
    pixels: NDArray[np.uint16], model: PattersonModel
) -> None:
    decisions, distances = straightforward.score_frame(pixels, model)

    assert len(decisions) == len(distances) > 20
    assert np.isfinite(decisions).all()


def test_every_kernel_of_a_frame_is_measured_both_ways(
    ready: Prepared, model: PattersonModel
) -> None:
    make = RowMaker(frame="160x224", repeats=3, twin=straightforward, tell=list[str]().append)

    rows = [make.of_case(case, n_sites=ready.n_sites) for case in kernel_cases(ready, model)]

    modules = {row["name"].partition(".")[0] for row in rows}
    assert modules == {
        "pixels",
        "smooth",
        "levels",
        "extrema",
        "refine",
        "patches",
        "power",
        "machine",
    }
    assert len({row["name"] for row in rows}) == len(rows)
    assert all(row["median_ms"] > 0 and row["straightforward_ms"] > 0 for row in rows)


def test_a_row_without_a_twin_says_nothing_of_a_ratio() -> None:
    row = RowMaker(frame="16x16", repeats=3, twin=None, tell=list[str]().append)
    case = Case("nothing", lambda: None, lambda _: None)

    measured: dict[str, Any] = row.of_case(case, n_sites=5)

    assert measured["straightforward_ms"] is None
    assert measured["ratio"] is None
    assert measured["threads"] == 1


def test_a_row_with_a_twin_has_a_ratio() -> None:
    row = RowMaker(frame="16x16", repeats=3, twin=straightforward, tell=list[str]().append)

    measured = row.make("sum", Timing(0.5, 0.6), n_sites=1, plain=lambda: sum(range(20_000)))

    assert measured["ratio"] == pytest.approx(measured["straightforward_ms"] / 0.5, abs=0.06)


def test_warm_up_is_not_timed() -> None:
    calls: list[int] = []

    time_calls(lambda: calls.append(1), 4)

    assert len(calls) == 7


def test_the_twin_of_the_checkout_is_found() -> None:
    assert TWIN.exists()
    assert find_twin() is not None
