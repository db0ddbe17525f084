"""The bench of the symmetry maps: every row, or a reason."""

import numpy as np
import pytest

from latticewatch.daemon.bench_symmetry import symmetry_cases
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
