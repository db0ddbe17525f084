"""The linear twin by itself: fitted without a learning library, kept whole, refused in a line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact, write_artifact
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae.linear_model import LinearDetector, LinearModel
from latticewatch.detectors.vae.model import DETECTOR
from latticewatch.detectors.vae.parameters import VaeParameters
from latticewatch.detectors.vae.twin_fit import fit_linear
from support.crystals import net_frame
from support.vae_looks import square_linear
from support.vae_models import nearest_site, square_frame, view_of, without_column


def artifact_with(
    *,
    header: dict[str, object] | None = None,
    without: str = "",
    **arrays: NDArray[Any],  # Any: of any type
) -> Artifact:
    numbers = square_linear().header() | (header or {})
    members = square_linear().arrays() | arrays
    numbers.pop(without, None)
    members.pop(without, None)
    return Artifact(DETECTOR, numbers, members, "0" * 64)


def refusal_of(given: Artifact) -> str:
    with pytest.raises(ModelError) as caught:
        LinearModel.from_artifact(given, "my.model")
    assert str(caught.value).startswith("my.model: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_model_comes_back_from_its_file_and_scores_alike(tmp_path: Path) -> None:
    model, path = square_linear(), tmp_path / "a.model"
    write_artifact(path, detector=DETECTOR, header=model.header(), arrays=model.arrays())
    again = LinearModel.from_artifact(Artifact.read(path), "a.model")
    assert again.header() == model.header()
    frame = square_frame(8)
    one, other = (LinearDetector(each).score(view_of(each, frame)) for each in (model, again))
    np.testing.assert_array_equal(one.p_value, other.p_value)


def test_model_without_its_filter_is_refused() -> None:
    assert "pca = None" in refusal_of(artifact_with(without="pca"))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"score_spread": 0.0}, "score_spread > 0"),
        ({"score_median": None}, "score_median"),
        ({"polarity": 2}, "polarity"),
        ({"polarity": 1.0}, "a whole number"),
        ({"level_low": 0.9, "level_high": 0.1}, "level_low"),
        ({"drawn_px": 22}, "drawn_px odd"),
        ({"scale": float("nan")}, "scale"),
    ],
)
def test_numbers_out_of_range_are_named(header: dict[str, object], told: str) -> None:
    assert told in refusal_of(artifact_with(header=header))


@pytest.mark.parametrize("name", ["usual", "level_weights", "basis_px_yx", "pca_weights"])
def test_missing_arrays_are_named(name: str) -> None:
    assert name in refusal_of(artifact_with(without=name))


def test_arrays_whose_sizes_disagree_are_refused_with_both() -> None:
    told = refusal_of(artifact_with(level_weights=np.zeros((31, 31), np.float32)))
    assert "(31, 31)" in told
    assert "(33, 33)" in told


def test_basis_that_spans_no_cell_is_refused() -> None:
    flat = np.array([[20.0, 0.0], [40.0, 0.0]])
    assert "spans a cell" in refusal_of(artifact_with(basis_px_yx=flat))


def test_level_weights_must_sum_to_one() -> None:
    weights = square_linear().windows.weights
    assert "level_weights sum to 1" in refusal_of(artifact_with(level_weights=2 * weights))


def test_fit_names_its_frames_and_counts_what_it_learned_from() -> None:
    frames = [square_frame(0), square_frame(1)]
    model, report = fit_linear(frames, VaeParameters())
    assert (report.n_frames, report.warnings) == (2, ())
    assert report.rank == model.pca.rank > 0
    assert report.n_sites > 200
    assert len(set(model.provenance.frames)) == 2
    assert model.header()["frames"] == list(model.provenance.frames)


def test_gain_changes_no_p_value() -> None:
    model, frame = square_linear(), square_frame(8)
    bright = (frame * np.float32(3.0)).astype(np.float32)
    one, other = (LinearDetector(model).score(view_of(model, each)) for each in (frame, bright))
    np.testing.assert_allclose(one.p_value, other.p_value, rtol=0.02, atol=1e-4)


def test_second_frame_is_scored_as_if_it_were_the_first() -> None:
    model = square_linear()
    used = LinearDetector(model)
    used.score(view_of(model, square_frame(7, 400)))
    view = view_of(model, square_frame(8))
    np.testing.assert_array_equal(
        used.score(view).p_value, LinearDetector(model).score(view).p_value
    )


def test_missing_column_is_the_strangest_site() -> None:
    model, frame = square_linear(), square_frame(8)
    view = view_of(model, frame)
    place = view.places_yx[nearest_site(view, (160.0, 160.0))].copy()
    view = view_of(model, without_column(frame, place))
    scores = LinearDetector(model).score(view)
    assert int(np.nanargmin(scores.p_value)) == nearest_site(view, (place[0], place[1]))
    assert not scores.scored[np.isnan(scores.p_value)].any()
    assert LinearDetector(model).n_not_finite == 0


def test_few_vacancies_in_the_reference_do_no_harm() -> None:
    first = square_frame(0)
    view = view_of(square_linear(), first)
    place = view.places_yx[nearest_site(view, (100.0, 200.0))].copy()
    spoilt, _ = fit_linear([without_column(first, place), square_frame(1)], VaeParameters())
    frame = square_frame(8)
    view = view_of(spoilt, frame)
    strange = view.places_yx[nearest_site(view, (160.0, 160.0))].copy()
    view = view_of(spoilt, without_column(frame, strange))
    assert np.nanmin(LinearDetector(spoilt).score(view).p_value) < 1e-6


def test_noise_and_frames_that_hold_too_little_are_one_line() -> None:
    noise = np.random.default_rng(0).poisson(20, (256, 256)).astype(np.float32)
    with pytest.raises(FitError, match="no lattice"):
        fit_linear([noise], VaeParameters())
    small = net_frame([[20.0, 0.0], [0.0, 20.0]], shape_yx=(150, 150))
    with pytest.raises(FitError, match="at least 60 needed"):
        fit_linear([small], VaeParameters())


def test_vacuum_beside_the_crystal_is_not_learned_from() -> None:
    frame = square_frame(0, 400).copy()
    frame[:, 300:] = np.random.default_rng(5).poisson(5, (400, 100))
    model, _ = fit_linear([frame], VaeParameters())
    view = view_of(model, square_frame(8))
    place = view.places_yx[nearest_site(view, (160.0, 160.0))].copy()
    view = view_of(model, without_column(square_frame(8), place))
    scores = LinearDetector(model).score(view)
    assert not scores.stale
    assert int(np.nanargmin(scores.p_value)) == nearest_site(view, (place[0], place[1]))
