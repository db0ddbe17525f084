"""The bench of the symmetry maps: every row, or a reason."""

import numpy as np
import pytest

from latticewatch.daemon.bench_symmetry import gate_case, symmetry_cases
from latticewatch.detectors.symmetry.published import PublishedMaps
from support.symmetry_looks import scene

pytestmark = pytest.mark.slow


def test_every_row_can_be_run_and_the_papers_map_stands_beside_ours() -> None:
    cases, compared, missing = symmetry_cases(scene().frame.astype("<u2"))
    assert missing == ()
    assert len(cases) == 7
    for _, call in cases:
        call()
    ((name, ours, theirs),) = compared
    assert "256x256" in name
    ours()
    assert isinstance(theirs(), PublishedMaps)


def test_what_cannot_be_measured_has_a_reason() -> None:
    cases, compared, missing = symmetry_cases(np.zeros((64, 64), "<u2"))
    assert (cases, compared) == ([], ())
    assert len(missing) == 1
    assert missing[0].startswith("no rows of the symmetry maps: ")


def test_gate_is_asked_about_every_whole_tile_of_the_frame() -> None:
    case = gate_case(scene().frame.astype("<u2"))
    assert case is not None
    name, call, threads = case
    assert "9 tiles of 128x128" in name
    assert threads == 2
    features = call()
    assert isinstance(features, np.ndarray)
    assert features.shape == (9, 80)
    assert np.isfinite(features).all()


def test_frame_smaller_than_a_tile_has_no_row_of_the_gate() -> None:
    assert gate_case(np.zeros((100, 300), "<u2")) is None
