"""Scheme one fits itself to the crowd: no labels, few defects do no harm, noise is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.models import ModelSet, PattersonInForce
from latticewatch.detectors.artifact import write_artifact
from latticewatch.detectors.patterson.fit import (
    FitReport,
    _trimmed,
    fit,
)
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import NU_RANGE, PattersonParameters
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.sites import SiteFinder
from latticewatch.detectors.turned import net_change
from support.crystals import Bench, Image, image_of, net_frame, places, specimen

RNG = np.random.default_rng(3)
PARAMETERS = PattersonParameters()
Fitted = tuple[PattersonModel, FitReport]


def frame(seed: int, **settings: object) -> Image:
    return image_of(specimen(seed=seed, **settings)[0])


def refusal_of(frames: list[Image]) -> str:
    with pytest.raises(FitError) as refusal:
        fit(frames, PARAMETERS)
    message = str(refusal.value)
    assert "\n" not in message
    return message


def test_report_says_what_was_fitted(fitted: Fitted) -> None:
    model, report = fitted

    assert report.n_frames == 2
    assert report.n_sites > 700
    assert report.n_components == len(model.components)
    assert report.n_support == len(model.dual) > 0
    assert report.nu == model.nu
    assert NU_RANGE[0] <= report.nu <= NU_RANGE[1]


def test_frames_that_were_left_out_do_not_count_as_used() -> None:
    vacuum = RNG.poisson(3.0, (512, 512)).astype(np.float32)

    _, report = fit([frame(seed=41), vacuum], PARAMETERS)

    assert report.n_frames == 1
    assert any("left out" in warning for warning in report.warnings)


def test_paper_finds_nine_components_and_we_about_as_many(fitted: Fitted) -> None:
    assert 7 <= fitted[1].n_components <= 11


def test_fitted_model_gives_its_own_answer(fitted: Fitted) -> None:
    PattersonDetector(fitted[0]).check_probe("fitted")


def test_fit_is_reproducible_to_the_bit(fitted: Fitted, tmp_path: Path) -> None:
    again = fit([frame(41), frame(42)], PARAMETERS)

    digests = [
        write_artifact(
            tmp_path / f"{k}.model",
            detector="patterson",
            header=model.header(),
            arrays=model.arrays(),
        )
        for k, (model, _) in enumerate((fitted, again))
    ]
    assert again[1] == fitted[1]
    assert digests[0] == digests[1]


def test_fit_does_not_change_the_frames() -> None:
    reference = frame(41)
    before = reference.copy()

    fit([reference], PARAMETERS)

    assert np.array_equal(reference, before)


def test_fitted_model_finds_the_defects_of_other_specimens(fitted: Fitted) -> None:
    bench = Bench(
        models=ModelSet(PattersonInForce(PattersonDetector(fitted[0]), "fitted", "0" * 64))
    )
    n_right = n_listed = n_hidden = 0
    for seed in range(50, 54):
        pixels, truth = specimen(seed=seed)
        event = bench.judge(pixels)
        gaps = np.linalg.norm(places(event)[:, None] - truth.pixel_yx[None], axis=2)
        n_right += int((gaps < 0.25 * truth.period_px).any(axis=1).sum())
        n_listed += event.n_defects
        n_hidden += len(truth.kind)

    assert n_right / n_listed >= 0.9
    assert n_right / n_hidden >= 0.9


def test_reference_full_of_defects_finds_its_own() -> None:
    """Three per cent of the columns, as in the paper, and the frame is its own reference."""
    pixels, truth = specimen(seed=60, vacancies=20, substitutions=0, displaced=0)
    model, _ = fit([image_of(pixels)], PARAMETERS)
    bench = Bench(models=ModelSet(PattersonInForce(PattersonDetector(model), "own", "0" * 64)))

    found = places(bench.judge(pixels))

    gaps = np.linalg.norm(truth.pixel_yx[:, None] - found[None], axis=2)
    assert (gaps.min(axis=1) < 0.25 * truth.period_px).mean() >= 0.8
    assert (gaps.min(axis=0) < 0.25 * truth.period_px).mean() >= 0.9


@pytest.mark.parametrize(
    "empty",
    [
        RNG.normal(size=(256, 256)),
        RNG.poisson(100.0, (256, 256)),
        RNG.poisson(0.02, (256, 256)),
        np.zeros((256, 256)),
        np.full((16, 16), 3.0),
        RNG.normal(size=(16, 900)),
    ],
    ids=["normal", "Poisson", "vacuum", "constant", "tiny", "strip"],
)
def test_reference_without_crystal_is_refused(empty: NDArray[np.floating]) -> None:
    assert "no lattice" in refusal_of([empty.astype(np.float32)])


def test_no_frame_at_all_is_refused() -> None:
    refusal_of([])


def test_too_small_a_piece_of_crystal_is_refused() -> None:
    refusal_of([frame(41)[:128, :160].copy()])


def test_noise_among_the_frames_is_left_out_and_said() -> None:
    noise = RNG.normal(size=(512, 512)).astype(np.float32)

    _, report = fit([noise, frame(41)], PARAMETERS)
    _, alone = fit([frame(41)], PARAMETERS)

    assert report.n_sites == alone.n_sites
    assert any("no lattice" in warning for warning in report.warnings)
    assert any("frame 0" in warning for warning in report.warnings)


def test_frames_of_two_crystals_are_refused_with_their_names() -> None:
    frames = [frame(41), image_of(specimen("srtio3", seed=41)[0]), frame(42)]

    with pytest.raises(FitError) as refusal:
        fit(frames, PARAMETERS, ["clean.npy [0]", "sto.tif", "clean.npy [1]"])

    message = str(refusal.value)
    assert message.startswith("the frames show different lattices: ")
    assert "clean.npy [0], clean.npy [1] 24.1 px at 60 degrees" in message
    assert "sto.tif 29.8 px at 90 degrees" in message
    assert message.endswith(": fit a model for each")


def test_a_frame_at_another_magnification_is_refused() -> None:
    assert "different lattices: frame" in refusal_of([frame(41), frame(42, pixel_size_nm=0.02)])


def test_a_frame_that_was_left_out_is_called_by_its_name() -> None:
    noise = RNG.normal(size=(512, 512)).astype(np.float32)

    _, report = fit([noise, frame(41)], PARAMETERS, ["noise.npy", "clean.npy"])

    assert [warning for warning in report.warnings if "left out" in warning]
    assert all("noise.npy" in warning for warning in report.warnings if "left out" in warning)


def test_given_nu_is_taken() -> None:
    model, report = fit([frame(41)], dataclasses.replace(PARAMETERS, nu=0.02))

    assert (model.nu, report.nu) == (0.02, 0.02)


def test_many_sites_are_thinned_and_the_rest_calibrates() -> None:
    few = dataclasses.replace(PARAMETERS, most_fit_sites=300)

    model, report = fit([frame(41), frame(42)], few)

    assert report.n_sites > 700
    assert len(model.reference_decisions) > 400


def test_reference_of_equal_windows_is_refused_or_judges_them() -> None:
    """A drawing without noise whose period is whole pixels: every window is the same."""
    drawing = net_frame([[16.0, 0.0], [0.0, 16.0]], seed=None)

    try:
        model, _ = fit([drawing], PARAMETERS)
    except FitError:
        return
    scores = PattersonDetector(model).score(SiteFinder(model.rule).prepare(drawing))
    assert scores.scored.any()


def test_trimming_drops_the_strangest_and_at_least_its_share() -> None:
    ordinary = RNG.normal(size=(400, 6))
    strange = RNG.normal(size=(20, 6)) + 15.0

    kept = _trimmed(np.concatenate([ordinary, strange]), PARAMETERS)

    assert not kept[400:].any()
    assert 0.7 < kept[:400].mean() < 0.96


def test_frames_of_one_crystal_turned_against_each_other_are_refused_with_their_angles() -> None:
    frames = [frame(41), frame(42, rotation_deg=16.0), frame(43), frame(44, rotation_deg=7.0)]
    with pytest.raises(FitError) as refusal:
        fit(frames, PARAMETERS, ["a.npy", "b.npy", "c.npy", "d.npy"])
    message = str(refusal.value)
    assert message.startswith("the frames show one crystal turned or magnified: ")
    # Against the clearest of them, whichever that is.
    assert "degrees" in message
    assert len([name for name in ("a.npy", "b.npy", "c.npy", "d.npy") if name in message]) >= 2
    assert message.endswith("(limits 1.5 degrees, 2.0%): fit a model for each")


def test_frames_of_one_crystal_magnified_against_each_other_are_refused() -> None:
    message = refusal_of([frame(41), frame(42, pixel_size_nm=0.0131 / 1.04)])
    assert "magnified by" in message


def test_frames_that_differ_as_frames_of_one_session_do_are_fitted_together() -> None:
    frames = [frame(41), frame(42, rotation_deg=11.7), frame(43, pixel_size_nm=0.0131 / 1.01)]
    assert fit(frames, PARAMETERS)[1].n_frames == 3


@pytest.mark.parametrize("angle_deg", [-29.0, -4.0, 0.0, 4.0, 29.0])
@pytest.mark.parametrize("ratio", [0.95, 1.0, 1.05])
def test_turn_and_ratio_of_a_net_are_found_whatever_its_basis(
    angle_deg: float, ratio: float
) -> None:
    hexagonal = np.array([[0.0, 20.0], [np.sqrt(300.0), 10.0]])
    angle = np.radians(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    # Of [y, x] rows: +x goes towards +y.
    turned = ratio * hexagonal @ turn
    for change in ([[1, 0], [0, 1]], [[0, 1], [-1, 1]], [[-1, 0], [1, -1]]):
        found = net_change(hexagonal, np.array(change) @ turned)
        assert found is not None
        assert found[0] == pytest.approx(ratio)
        assert np.degrees(found[1]) == pytest.approx(angle_deg)


def test_another_net_is_no_turned_one() -> None:
    square = 20.0 * np.eye(2)
    for other in (14.0 * np.eye(2), np.array([[0.0, 20.0], [17.3, 10.0]])):
        assert net_change(square, other) is None


def test_net_half_way_between_symmetric_positions_is_a_turned_one() -> None:
    hexagonal = 10.0 * np.array([[1.0, 0.0], [0.5, 0.8660254]])
    rng = np.random.default_rng(4)
    for angle_deg in (29.8, 30.0, 30.2):
        turn = np.radians(angle_deg)
        turned = hexagonal @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        for _ in range(50):
            found = net_change(hexagonal, turned + rng.normal(0.0, 0.03, (2, 2)))
            assert found is not None
            assert abs(found[1]) == pytest.approx(np.radians(30.0), abs=np.radians(1.0))
