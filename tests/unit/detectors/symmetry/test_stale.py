"""A frame is stale if its crystal is another one, and not because a second one is beside it."""

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from latticewatch.detectors.symmetry.score import SymmetryDetector
from latticewatch.detectors.symmetry.stale import Freshness, judged
from support.boundaries import Drawn, boundary
from support.likest_lock import likest_lock

Image = NDArray[np.float32]
SOUND = np.full((10, 10), 0.3)


def scene(crystal: str = "simple", **settings: object) -> Drawn:
    usual = {"kind": "none", "period_px": 14.0, "counts": 20.0, "seed": 91}
    return boundary(**{"crystal": crystal, **usual, **settings})


@lru_cache(maxsize=4)
def clean_model(crystal: str = "simple") -> SymmetryModel:
    return fit([scene(crystal).frame], SymmetryParameters())[0]


@pytest.mark.slow
@pytest.mark.parametrize("crystal", ["simple", "dumbbell"])
@pytest.mark.parametrize("kind", ["twin", "grain"])
@pytest.mark.parametrize("share", [0.3, 0.35, 0.5, 0.85])
def test_a_second_crystal_beside_the_model_s_is_no_reason(
    crystal: str, kind: str, share: float
) -> None:
    model = clean_model(crystal)
    drawn = scene(crystal, kind=kind, place=share)
    found = SymmetryDetector(model).score(drawn.frame, likest_lock(model.basis_px_yx, drawn.frame))
    assert not found.stale, found.told
    broken, sound = drawn.truth_at(found.step_px, found.first_px_yx, found.distance.shape)
    assert np.nanmean(found.p_value[sound] < 0.001) < 0.01
    assert np.nanmedian(found.severity[broken]) > 1.0


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_model_of_the_frame_itself_is_never_stale_on_it(share: float) -> None:
    frame = scene(kind="twin", place=share).frame
    model, _ = fit([frame], SymmetryParameters())
    assert not SymmetryDetector(model).score(frame, likest_lock(model.basis_px_yx, frame)).stale


OTHER: dict[str, dict[str, object]] = {
    "turned": {"kind": "grain", "place": 0.0005, "turn_deg": 3.0},
    "magnified": {"period_px": 14.7},
    "another crystal": {"crystal": "hexagonal"},
    "a quarter of the dose": {"counts": 5.0},
    "half the dose": {"counts": 10.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHER)
def test_another_frame_is_stale_or_as_quiet_as_a_clean_one(name: str) -> None:
    frame = scene(**OTHER[name]).frame  # type: ignore[arg-type] # one of them is the crystal
    found = SymmetryDetector(clean_model()).score(
        frame, likest_lock(clean_model().basis_px_yx, frame)
    )
    assert found.stale or np.nanmean(found.p_value < 0.001) < 0.01
    if "dose" not in name:
        assert found.stale


def test_a_lattice_that_is_no_one_s_is_overruled_by_cells_that_fit_beside_some_that_do_not() -> (
    None
):
    mixed = SOUND.copy()
    mixed[:, 7:] = 1e-8
    other = Freshness(float("nan"), other_net=True)
    assert not judged(other, 1.0, mixed).is_stale
    assert judged(other, 1.0, SOUND).is_stale
    assert judged(other, 1.5, mixed).is_stale
    assert judged(other, float("nan"), np.full((3, 3), np.nan)).is_stale


def test_what_speaks_against_a_model_is_told_with_its_limit() -> None:
    fresh = judged(Freshness(float("nan"), 1.05, np.radians(3.0)), 2.0, SOUND)
    assert fresh.told == (
        "cells scatter 2.0 times as usual (limit 1.6)",
        "period +5.0% (limit 2.0%)",
        "turned by 3.0 degrees (limit 1.5)",
    )
    assert judged(Freshness(float("nan")), 1.0, SOUND).told == ()


def test_a_lattice_within_the_limits_is_fresh() -> None:
    assert not judged(Freshness(float("nan"), 1.01, 0.02), 1.1, SOUND).is_stale
