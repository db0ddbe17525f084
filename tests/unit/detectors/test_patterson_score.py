"""Scores of a frame's sites: those of scikit-learn, whatever gain and offset the detector has."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.patterson.features import WindowFeatures
from latticewatch.detectors.patterson.fit import FitReport, _train
from latticewatch.detectors.patterson.model import PattersonModel
from latticewatch.detectors.patterson.parameters import PattersonParameters
from latticewatch.detectors.patterson.reference import collect
from latticewatch.detectors.patterson.score import PattersonDetector
from latticewatch.detectors.protocols import Scores
from latticewatch.detectors.sites import SiteFinder, View
from latticewatch.detectors.staleness import turn_rad
from latticewatch.detectors.windows import margin_px
from support.crystals import CRYSTALS, Image, image_of, in_force, specimen


@dataclasses.dataclass
class Judged:
    """A frame's sites with all that was found out about them."""

    view: View
    scores: Scores
    decisions: NDArray[np.float32]


def judged(frame: Image, detector: PattersonDetector) -> Judged:
    view = SiteFinder(detector.model.rule).prepare(frame)
    z, inside = detector.features(view)
    scores = detector.judge(view, z, inside)
    decisions = np.empty(len(z), np.float32)
    detector._decide(z, decisions)
    return Judged(view, scores, decisions)


def perfect(crystal: str, seed: int) -> Image:
    return image_of(specimen(crystal, seed=seed, perfect=True, shape_yx=(640, 640))[0])


def test_decisions_are_those_of_scikit_learn() -> None:
    model = in_force().detector.model
    frame = image_of(specimen(seed=21)[0])
    parameters = PattersonParameters(site_source="extrema")
    looked_at = WindowFeatures(
        kind="patterson",
        size_px=model.patch_size_px,
        step_px=model.step_px,
        cutoff=model.cutoff,
        scale=model.scale,
    )
    features, _, _ = collect([frame], model.rule, looked_at, parameters, [])
    machine = _train(features, parameters, nu=0.03)
    detector = PattersonDetector(dataclasses.replace(model, **machine.as_arrays()))

    ours = judged(frame, detector)

    theirs = machine.svm.decision_function((features - machine.mean) @ machine.components.T)
    assert np.abs(ours.decisions[ours.scores.scored] - theirs).max() < 1e-4


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize(
    ("gain", "offset"), [(1.5, 0.0), (1.0, 20.0), (1.5, 20.0), (0.01, 0.0), (100.0, -5000.0)]
)
def test_gain_and_offset_leave_decisions_unchanged(
    crystal: str, gain: float, offset: float
) -> None:
    """Measured below 7e-5: levels are float32, and their percentiles come from a histogram."""
    detector = PattersonDetector(in_force(crystal).detector.model)
    frame = image_of(specimen(crystal, seed=22)[0])
    plain = judged(frame, detector)

    changed = judged(frame * np.float32(gain) + np.float32(offset), detector)

    scored = plain.scores.scored
    assert np.array_equal(changed.scores.scored, scored)
    assert np.abs(changed.decisions - plain.decisions)[scored].max() < 1e-3
    assert np.array_equal(changed.scores.p_value < 1e-3, plain.scores.p_value < 1e-3)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_frames_without_defects_have_few_small_p_values(crystal: str) -> None:
    detector = PattersonDetector(in_force(crystal).detector.model)

    p_values = np.concatenate(
        [
            scores.p_value[scores.scored]
            for scores in (judged(perfect(crystal, seed), detector).scores for seed in range(4))
        ]
    )

    assert len(p_values) > 900
    assert (p_values < 0.002).mean() <= 0.004
    assert (p_values < 0.05).mean() <= 0.075


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_frames_without_defects_have_few_outliers_of_the_machine(crystal: str) -> None:
    detector = PattersonDetector(in_force(crystal).detector.model)
    decisions = []
    for seed in range(4):
        one = judged(perfect(crystal, seed), detector)
        decisions.append(one.decisions[one.scores.scored])

    assert (np.concatenate(decisions) < 0).mean() <= 0.03


def test_p_value_of_a_defect_is_far_below_that_of_any_other_site() -> None:
    pixels, truth = specimen(seed=22)
    one = judged(image_of(pixels), PattersonDetector(in_force().detector.model))
    gaps = np.linalg.norm(one.view.places_yx[:, None] - truth.pixel_yx[None], axis=2).min(axis=1)
    scored = one.scores.scored

    beside = one.scores.p_value[scored & (gaps < 0.3 * truth.period_px)]
    elsewhere = one.scores.p_value[scored & (gaps > 1.5 * truth.period_px)]

    assert np.median(beside) < 1e-6
    assert elsewhere.min() > np.median(beside)


@pytest.mark.parametrize("crystal", CRYSTALS)
@pytest.mark.parametrize("angle_deg", [5.0, -5.0])
def test_crystal_turned_by_five_degrees_is_stale_or_no_crystal(
    crystal: str, angle_deg: float
) -> None:
    detector = PattersonDetector(in_force(crystal).detector.model)
    turned = specimen(crystal, seed=22, rotation_deg=11.0 + angle_deg)[0]

    one = judged(image_of(turned), detector)

    assert one.scores.stale or not one.view.is_periodic


def test_crystal_of_the_model_is_not_stale() -> None:
    for crystal in CRYSTALS:
        one = judged(image_of(specimen(crystal, seed=22)[0]), in_force(crystal).detector)
        assert one.view.is_periodic
        assert not one.scores.stale


def test_sites_near_the_edge_are_unscored_and_all_others_scored() -> None:
    model = in_force().detector.model
    one = judged(image_of(specimen(seed=22)[0]), PattersonDetector(model))
    margin = margin_px(model.patch_size_px, model.rule.smooth_sigma_px)
    places = one.view.places_yx

    inside = ((places >= margin) & (places <= 511 - margin)).all(axis=1)

    assert np.array_equal(one.scores.scored, inside)
    for values in (one.scores.p_value, *(part for _, *pair in one.scores.parts for part in pair)):
        assert np.isnan(values[~inside]).all()
        assert np.isfinite(values[inside]).all()


def test_chance_beyond_the_reference_is_marked() -> None:
    model = in_force().detector.model
    scores = judged(image_of(specimen(seed=22)[0]), PattersonDetector(model)).scores
    countable = 1.0 / (len(model.reference_decisions) + 1)

    assert scores.tail.any()
    (distance,) = [p for name, _, p in scores.parts if name == "patterson_distance"]
    assert np.array_equal(scores.tail, distance < countable)


def test_window_that_is_not_finite_is_unscored() -> None:
    detector = PattersonDetector(in_force().detector.model)
    view = SiteFinder(detector.model.rule).prepare(image_of(specimen(seed=22)[0]))
    z, inside = detector.features(view)
    broken = z.copy()
    site = int(np.flatnonzero(inside)[7])
    broken[site] = np.nan

    scores = detector.judge(view, broken, inside)

    assert not scores.scored[site]
    assert np.isnan(scores.p_value[site])
    assert np.count_nonzero(scores.scored) == np.count_nonzero(inside) - 1


def test_no_site_has_no_scores() -> None:
    detector = PattersonDetector(in_force().detector.model)
    view = SiteFinder(detector.model.rule).prepare(image_of(specimen(seed=22)[0]))
    nothing = dataclasses.replace(
        view,
        **{
            name: getattr(view, name)[:0]
            for name in ("places_yx", "predicted", "rim")
            if hasattr(view, name)
        },
    )

    scores = detector.score(nothing)

    assert (len(scores.p_value), len(scores.scored)) == (0, 0)


def test_change_of_dose_raises_no_alarms() -> None:
    """Half the dose makes every site a little strange, and none more than the others."""
    detector = PattersonDetector(in_force().detector.model)
    dose = 0.5 * 5e5
    frame = specimen(seed=22, perfect=True, dose_e_per_ang2=dose)[0]

    one = judged(image_of(frame), detector)

    scored = one.scores.scored
    assert one.scores.stale or (one.scores.p_value[scored] * scored.sum() < 0.05).sum() <= 1


def test_turn_is_that_of_the_basis() -> None:
    cos, sin = np.cos(0.05), np.sin(0.05)
    before = np.array([[20.0, 3.0], [-4.0, 19.0]])
    # [y, x] with +x towards +y.
    after = before @ np.array([[cos, -sin], [sin, cos]])

    assert turn_rad(before, after) == pytest.approx(0.05)
    assert turn_rad(after, before) == pytest.approx(-0.05)


def test_fitted_model_scores_as_the_shipped_one_does(
    fitted: tuple[PattersonModel, FitReport],
) -> None:
    frame = image_of(specimen(seed=23)[0])
    ours = judged(frame, PattersonDetector(fitted[0]))
    theirs = judged(frame, in_force().detector)

    defects = [one.view.places_yx[one.scores.p_value < 1e-6] for one in (ours, theirs)]
    gaps = np.linalg.norm(defects[0][:, None] - defects[1][None], axis=2)

    assert (gaps.min(axis=1) < 2.0).mean() > 0.8
    assert (gaps.min(axis=0) < 2.0).mean() > 0.8
