"""Scheme one in the pipeline says when its model does not fit, by how much, and not too soon."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.look_patterson import PattersonLooker
from latticewatch.daemon.ports import SystemClock
from latticewatch.daemon.sights import Budget, Scene, Sight
from latticewatch.detectors.follow import FrameLattice
from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import lock_lattice
from support.crystals import image_of, in_force, specimen

BUDGET = Budget(0.05, None)
Image = NDArray[np.float32]


def looker() -> PattersonLooker:
    return PattersonLooker(in_force(), SystemClock())


def scene(image: Image, *, followed: bool = False) -> Scene:
    lattice = find_lattice(image)
    lock = None if lattice is None else lock_lattice(image, lattice)
    nothing = np.empty((0, 2), np.intp)
    if lattice is None or lock is None:
        return Scene(image, nothing, None)
    return Scene(image, nothing, FrameLattice(lattice, lock, followed, None, None))


def frame(**settings: float) -> Image:
    return image_of(specimen(seed=3, **settings)[0])


GOOD = scene(frame(), followed=True)
TURNED = scene(frame(rotation_deg=16.0), followed=True)
BLANK = scene(np.zeros((512, 512), np.float32))


def say(one: PattersonLooker, seen: Scene) -> Sight:
    return one.look(seen, BUDGET)


@pytest.mark.parametrize(
    ("settings", "told", "limit"),
    [
        ({"rotation_deg": 16.0}, "turned by 5.", "limit 1.5"),
        ({"rotation_deg": 7.0}, "turned by -4.", "limit 1.5"),
        ({"pixel_size_nm": 0.0131 / 1.05}, "period +", "limit 2.0%"),
        ({"dose_e_per_ang2": 1e4}, "median score ", "limit 1.5"),
        ({"probe_sigma_ang": 0.47 * 1.5}, "residual ", "limit 2.0"),
    ],
    ids=["rotation", "rotation back", "magnification", "dose", "focus"],
)
def test_first_frame_that_does_not_fit_is_called_out_with_value_and_limit(
    settings: dict[str, float], told: str, limit: str
) -> None:
    sight = say(looker(), scene(frame(**settings)))
    assert (sight.condition, sight.faults, sight.n_scored) == ("stale", ("model_stale",), 0)
    assert sight.findings == ()
    assert sight.note.startswith("patterson: the model does not fit: ")
    assert told in sight.note
    assert limit in sight.note


def test_one_odd_frame_is_not_judged_and_changes_no_condition() -> None:
    one = looker()
    conditions, scored = [], []
    for seen in (GOOD, TURNED, GOOD, TURNED, TURNED, GOOD, GOOD):
        sight = say(one, seen)
        conditions.append(sight.condition)
        scored.append(sight.n_scored > 0)
    assert conditions == ["ok", "ok", "ok", "ok", "stale", "stale", "ok"]
    assert scored == [True, False, True, False, False, False, True]


def test_stale_model_is_trusted_at_once_where_the_lattice_is_found_anew() -> None:
    one = looker()
    assert say(one, TURNED).condition == "stale"
    sight = say(one, scene(frame()))
    assert sight.condition == "ok"
    assert sight.n_scored > 0


def test_blank_frame_says_nothing_of_the_model() -> None:
    one = looker()
    assert say(one, GOOD).condition == "ok"
    sight = say(one, BLANK)
    assert (sight.condition, sight.faults) == ("ok", ("not_periodic",))
    assert say(one, TURNED).condition == "ok"
    assert say(one, BLANK).condition == "ok"
    assert say(one, TURNED).condition == "stale"


def test_warm_up_is_no_frame_of_the_stream() -> None:
    one = looker()
    say(one, GOOD)
    one.warm_up(GOOD.image)
    assert say(one, TURNED).condition == "stale"


def test_every_event_without_scores_has_a_reason() -> None:
    one = looker()
    for seen in (GOOD, TURNED, TURNED, GOOD):
        sight = say(one, seen)
        assert sight.n_scored or sight.faults
        assert sight.n_scored or sight.note
