"""What a model says of a frame as a whole: too far from the reference, and in what."""

from dataclasses import replace

import numpy as np
import pytest

from latticewatch.detectors.lock import own_lock
from latticewatch.detectors.patterson.finder import PattersonFinder
from latticewatch.detectors.patterson.fit import fit
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.patterson.stale import Freshness
from latticewatch.detectors.staleness import Staleness
from support.crystals import image_of, specimen

FRESH = Freshness(
    flagged_share=0.03,
    usual_share=0.02,
    median_score=0.1,
    residual_ratio=1.1,
    period_ratio=1.002,
    turn_rad=0.003,
)


def test_frame_like_the_reference_is_fresh() -> None:
    assert FRESH.reasons == ()
    assert not FRESH.is_stale


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("flagged", {"flagged_share": 0.11}),
        ("score", {"median_score": 1.6}),
        ("score", {"median_score": -1.6}),
        ("residual", {"residual_ratio": 2.1}),
        ("period", {"period_ratio": 1.021}),
        ("period", {"period_ratio": 0.979}),
        ("angle", {"turn_rad": -0.03}),
    ],
)
def test_each_measure_makes_a_model_stale(reason: str, change: dict[str, float]) -> None:
    assert replace(FRESH, **change).reasons == (reason,)


def test_what_is_told_names_value_and_limit() -> None:
    turned = replace(FRESH, turn_rad=float(np.radians(5.1)), residual_ratio=2.45)
    assert turned.told == ("residual 2.5 (limit 2.0)", "turned by 5.1 degrees (limit 1.5)")
    stretched = replace(FRESH, period_ratio=0.95, flagged_share=0.3, median_score=-2.0)
    assert stretched.told == (
        "30% of the sites strange (limit 10%)",
        "median score -2.0 (limit 1.5)",
        "period -5.0% (limit 2.0%)",
    )


@pytest.mark.parametrize(
    ("frames", "states"),
    [
        ("x", "x"),
        (".x.x.x.", "......."),
        (".xx", "..x"),
        ("xx.x..", "xxxxx."),
        ("x.x.x", "xxxxx"),
        ("xN", "x."),
        (".X", ".."),
    ],
)
def test_one_odd_frame_changes_nothing_once_a_model_was_judged(frames: str, states: str) -> None:
    # Capitals: the lattice was found anew, N fits and X does not.
    model = Staleness()
    told = [model.note(against=each in "xX", anew=each in "NX") for each in frames]
    assert "".join("x" if stale else "." for stale in told) == states
    assert model.is_stale == told[-1]


def test_model_without_frames_is_not_stale() -> None:
    assert not Staleness().is_stale


def test_reference_with_many_defects_permits_as_many() -> None:
    assert not replace(FRESH, flagged_share=0.2, usual_share=0.08).is_stale


@pytest.fixture(scope="module")
def model() -> PattersonModel:
    frames = [image_of(specimen(seed=seed)[0]) for seed in (31, 32)]
    return fit(frames, PattersonParameters())[0]


def freshness(model: PattersonModel, **settings: float) -> Freshness:
    image = image_of(specimen(seed=41, **settings)[0])
    detector = PattersonDetector(model)
    view, _ = PattersonFinder(model.rule).prepare(image, own_lock(image))
    assert detector.score(view).stale == (detector.freshness or FRESH).is_stale
    assert detector.freshness is not None
    return detector.freshness


@pytest.mark.parametrize("turn_deg", [5.0, -5.0])
def test_rotation_by_five_degrees_makes_a_model_stale(
    model: PattersonModel, turn_deg: float
) -> None:
    found = freshness(model, rotation_deg=11.0 + turn_deg)
    assert "angle" in found.reasons
    assert np.degrees(found.turn_rad) == pytest.approx(turn_deg, abs=0.3)


@pytest.mark.parametrize("dose", [0.5, 1.0, 2.0])
def test_half_and_twice_the_dose_do_not(model: PattersonModel, dose: float) -> None:
    assert freshness(model, dose_e_per_ang2=1e5 * dose).reasons == ()


def test_magnification_and_focus_do(model: PattersonModel) -> None:
    assert "period" in freshness(model, pixel_size_nm=0.0131 / 1.05).reasons
    assert "residual" in freshness(model, probe_sigma_ang=0.47 * 1.5).reasons


def test_gain_and_offset_do_not(model: PattersonModel) -> None:
    image = image_of(specimen(seed=41)[0])
    detector = PattersonDetector(model)
    for changed in (1.5 * image, image + 2000, 1.5 * image + 20):
        view, _ = PattersonFinder(model.rule).prepare(
            changed.astype(np.float32), own_lock(changed.astype(np.float32))
        )
        assert not detector.score(view).stale


def test_frame_without_scored_sites_is_judged_by_its_lattice_alone(model: PattersonModel) -> None:
    image = image_of(specimen(seed=41)[0])
    detector = PattersonDetector(model)
    view, _ = PattersonFinder(model.rule).prepare(image, own_lock(image))
    scores = detector.score(replace(view, rim=np.ones(len(view.rim), bool)))
    assert not scores.scored.any()
    assert not scores.stale
