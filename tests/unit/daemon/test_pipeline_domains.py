"""The pipeline draws boundaries and patches beside the points."""

import dataclasses

import numpy as np
import pytest
from msgspec import UNSET

from latticewatch.daemon.models import ModelSet
from support.crystals import Bench, net_frame, specimen

SHAPE_YX = (384, 384)
NET = [[0.0, 16.0], [18.0, 3.0]]
BORDER_PX = 200


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(models=ModelSet(None, reference_cell=True, domains="where_lost"))


def twin() -> np.ndarray:
    """Two crystals that mirror each other at a column of pixels."""
    left = net_frame(NET, shape_yx=SHAPE_YX, seed=3)
    frame = left.copy()
    frame[:, BORDER_PX:] = net_frame(NET, shape_yx=SHAPE_YX, seed=4)[::-1, BORDER_PX:]
    return frame.astype("<u2")


def test_twin_has_a_boundary_that_is_drawn(bench: Bench) -> None:
    event = bench.judge(twin())

    lines = [defect for defect in event.defects if defect.kind == "boundary"]
    assert event.outcome == "scored"
    assert event.lattice is not None
    assert event.lattice.domains == 2
    assert len(lines) == 1
    outline = np.array(lines[0].outline_px_yx)
    assert np.abs(outline[:, 1] - BORDER_PX).max() < 16
    assert np.ptp(outline[:, 0]) > 0.9 * (SHAPE_YX[0] - 1)
    assert lines[0].extent_px == pytest.approx(SHAPE_YX[0] / 2, rel=0.1)
    # Both crystals are looked at column by column, the rim between them is not.
    assert 0.6 * event.n_sites < event.n_scored < 0.95 * event.n_sites


def test_frame_that_holds_everywhere_is_not_looked_at_again(bench: Bench) -> None:
    event = bench.judge(specimen(seed=9, shape_yx=SHAPE_YX)[0])

    (state,) = (state for state in event.detectors if state.name == "domains")
    assert state.us == 0
    assert all(defect.outline_px_yx is UNSET for defect in event.defects)


def test_where_asked_every_frame_is_looked_at() -> None:
    always = Bench(models=ModelSet(None, reference_cell=True, domains="always"))
    event = always.judge(specimen(seed=9, shape_yx=SHAPE_YX, perfect=True)[0])

    (state,) = (state for state in event.detectors if state.name == "domains")
    assert state.us > 0
    assert event.lattice is not None
    assert event.lattice.domains == 1
    assert not event.defects


def test_lines_alone_do_not_answer_a_frame() -> None:
    lines_only = Bench(models=dataclasses.replace(ModelSet(None), domains="always"))
    event = lines_only.judge(twin())
    assert (event.outcome, event.n_scored, event.defects) == ("not_scored", 0, ())
