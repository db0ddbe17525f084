"""A boundary becomes one finding with its outline, within the limits of the protocol."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.daemon.domain_findings import (
    BOUNDARY,
    FAULT,
    PATCH,
    domain_findings,
    thinned,
)
from latticewatch.detectors.patterson.boundaries import Boundary, find_boundaries
from latticewatch.detectors.patterson.domains import find_domains
from latticewatch.detectors.patterson.faults import Fault
from latticewatch.detectors.patterson.patches import Patch
from support.twins import twin


def boundary(
    line: NDArray[np.float64],
    *,
    closed: bool = False,
    p_value: float = 1e-20,
    length_px: float = 50,
) -> Boundary:
    return Boundary(
        line,
        closed=closed,
        length_px=length_px,
        width_px=25.0,
        contrast=1.7,
        z=9.5,
        p_value=p_value,
        from_dip=False,
    )


def straight(n_points: int = 6) -> NDArray[np.float64]:
    return np.linspace([0.0, 0.0], [30.0, 40.0], n_points)


def test_open_line_is_placed_at_its_middle() -> None:
    (finding,) = domain_findings([boundary(straight())])
    assert finding.kind == "boundary"
    assert finding.pixel_yx == pytest.approx((15.0, 20.0))
    assert finding.extent_px == pytest.approx(25.0)
    assert finding.outline_px_yx is not None
    assert finding.outline_px_yx[0] == (0.0, 0.0)
    assert finding.outline_px_yx[-1] == (30.0, 40.0)
    assert finding.parts == ((BOUNDARY, 9.5, 1e-20),)
    assert finding.p_value == 1e-20


def test_inclusion_is_placed_at_its_centre() -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.stack([100 + 30 * np.cos(angle), 200 + 30 * np.sin(angle)], axis=1)
    (finding,) = domain_findings([boundary(circle, closed=True)])
    assert finding.pixel_yx == pytest.approx((100.0, 200.0))
    assert finding.extent_px == pytest.approx(30.0)
    assert finding.cov_px == pytest.approx((450.0, 0.0, 450.0), abs=1e-6)


def test_doubtful_lines_are_left_out_and_the_strongest_comes_first() -> None:
    lines = [boundary(straight(), p_value=p) for p in (1e-5, 0.5, 1e-9, 2e-3)]
    assert [finding.p_value for finding in domain_findings(lines)] == [1e-9, 1e-5]
    assert len(domain_findings(lines, limit_p=0.01)) == 3


def test_no_line_is_no_finding() -> None:
    assert domain_findings([]) == []


@pytest.mark.parametrize("n_points", [2, 511, 512, 513, 5000])
def test_outline_keeps_within_the_protocol(n_points: int) -> None:
    kept = thinned(straight(n_points))
    assert 2 <= len(kept) <= 512
    np.testing.assert_array_equal(kept[[0, -1]], straight(n_points)[[0, -1]])


def test_findings_of_a_twin_lie_inside_the_frame() -> None:
    frame = twin(seed=2, share=0.4).frame
    domains = find_domains(frame)
    assert domains is not None
    (finding,) = domain_findings(find_boundaries(domains, (512, 512)))
    outline = np.array(finding.outline_px_yx)
    assert outline.min() >= 0
    assert outline.max() <= 511
    assert 2 <= len(outline) <= 512
    assert min(finding.pixel_yx) >= 0


def test_fault_is_a_boundary_and_a_patch_is_amorphous() -> None:
    fault = Fault(straight(), 50.0, dip=0.6, phase_turns=(0.3, 0.0), z=8.0, p_value=1e-9)
    corners = np.array([[10.0, 10.0], [10.0, 30.0], [30.0, 30.0], [30.0, 10.0]])
    patch = Patch(corners, (20.0, 20.0), 11.3, presence=0.1, brightness=0.9)
    first, second = domain_findings([], [fault], [patch])
    assert (first.kind, first.extent_px, first.parts[0][0]) == ("boundary", 25.0, FAULT)
    assert (second.kind, second.extent_px, second.parts[0][0]) == ("amorphous", 11.3, PATCH)
    assert second.pixel_yx == (20.0, 20.0)
    assert second.outline_px_yx == ((10.0, 10.0), (10.0, 30.0), (30.0, 30.0), (30.0, 10.0))


def test_doubtful_faults_are_left_out() -> None:
    fault = Fault(straight(), 50.0, dip=0.4, phase_turns=(0.3, 0.0), z=2.0, p_value=0.2)
    assert domain_findings([], [fault]) == []
