"""Segments become findings within the limits of the protocol."""

from dataclasses import replace

import numpy as np
import pytest

from latticewatch.daemon.symmetry_findings import PART, symmetry_findings
from support.symmetry_looks import segment

LINE = [(10.0, 20.0), (110.0, 20.0)]
SQUARE = [(10.0, 10.0), (10.0, 40.0), (40.0, 40.0), (40.0, 10.0)]


def test_a_line_has_half_its_length_as_extent_and_its_severity_as_z() -> None:
    (found,) = symmetry_findings([segment(LINE, mean_severity=3.5, p_value=1e-8)])
    assert (found.kind, found.pixel_yx, found.extent_px) == ("boundary", (60.0, 20.0), 50.0)
    assert found.parts == ((PART, 3.5, 1e-8),)
    assert found.p_value == 1e-8
    assert found.outline_px_yx == tuple(LINE)
    assert (found.address, found.intensity_ratio) == (None, None)


def test_a_patch_has_the_radius_of_a_disc_of_its_area() -> None:
    (found,) = symmetry_findings([segment(SQUARE, "amorphous")])
    assert found.extent_px == pytest.approx(np.sqrt(900 / np.pi))
    assert found.outline_px_yx is not None
    assert len(found.outline_px_yx) == 4
    var_yy, cov_yx, var_xx = found.cov_px
    assert var_yy * var_xx >= cov_yx**2


def test_long_outlines_are_thinned_and_keep_their_ends() -> None:
    points = [(0.25 * k, 7.0) for k in range(2000)]
    (found,) = symmetry_findings([segment(points)])
    assert found.outline_px_yx is not None
    assert len(found.outline_px_yx) == 512
    assert (found.outline_px_yx[0], found.outline_px_yx[-1]) == (points[0], points[-1])


def test_where_the_map_is_masked_z_is_that_of_the_chance() -> None:
    (found,) = symmetry_findings([segment(SQUARE, "amorphous", mean_severity=np.nan, p_value=1e-6)])
    assert found.parts[0][1] == pytest.approx(4.75, abs=0.01)


@pytest.mark.parametrize("p_value", [0.0, 5e-324, 1.0, 2.0])
def test_every_chance_can_be_written(p_value: float) -> None:
    (found,) = symmetry_findings([replace(segment(LINE), p_value=p_value)])
    assert 0 < found.p_value <= 1
    assert np.isfinite(found.parts[0][1:]).all()
