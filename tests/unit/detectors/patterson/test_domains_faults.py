"""A shifted half crystal has a line, a missing piece a patch, a whole crystal neither."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.patterson.boundaries import find_boundaries
from latticewatch.detectors.patterson.domains import find_domains
from latticewatch.detectors.patterson.faults import find_faults
from latticewatch.detectors.patterson.patches import find_patches
from support.crystals import image_of, net_frame, specimen
from support.shared_data import DATA, shared_image
from support.twins import CRYSTALS, twin

BASIS_PX = [[20.0, 2.0], [-3.0, 21.0]]
SHIFT = np.array([1 / 3, 0.0])  # of a cell


def shifted_frame(seed: int = 1) -> NDArray[np.float32]:
    """Two halves of one crystal, the lower one moved by a third of a vector; the cut at y = 200."""
    size = (400, 440)
    upper = net_frame(BASIS_PX, shape_yx=size, motif=((0.0, 0.0), (0.4, 0.45)), seed=None)
    moved = tuple((a + SHIFT[0], b + SHIFT[1]) for a, b in ((0.0, 0.0), (0.4, 0.45)))
    lower = net_frame(BASIS_PX, shape_yx=size, motif=moved, seed=None)
    frame = np.where(np.arange(size[0])[:, None] < 200, upper, lower)
    return np.random.default_rng(seed).poisson(frame / 4).astype(np.float32)


def test_shifted_half_has_a_line_with_the_phase_of_the_shift() -> None:
    domains = find_domains(shifted_frame())
    assert domains is not None
    assert domains.n_domains == 1
    (fault,) = find_faults(domains)
    np.testing.assert_allclose(fault.line_px_yx[:, 0], 200, atol=10)
    assert fault.length_px > 0.8 * 440
    assert fault.p_value < 1e-6
    # g.shift in turns, the sign as the line runs; index of a vector = g.a.
    index = domains.maps.g_per_px @ np.array(BASIS_PX).T
    expected = index @ SHIFT
    turns = np.array(fault.phase_turns)
    known = np.isfinite(turns)
    misses = [np.abs((sign * turns - expected + 0.5) % 1.0 - 0.5)[known].max() for sign in (-1, 1)]
    assert min(misses) < 0.1


@pytest.mark.parametrize("crystal", sorted(CRYSTALS))
@pytest.mark.parametrize("strain", [0.0, 0.1])
def test_one_crystal_has_no_faults_and_no_patches(crystal: str, strain: float) -> None:
    frame = twin(crystal, seed=11, share=0.0, counts=2.0, wedge=0.5, strain=strain).frame
    domains = find_domains(frame)
    assert domains is not None
    assert find_faults(domains) == ()
    assert find_patches(domains, frame) == ()


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
def test_point_defects_are_no_faults(crystal: str) -> None:
    frame = image_of(specimen(crystal, seed=3)[0])
    domains = find_domains(frame)
    assert domains is not None
    assert find_faults(domains) == ()


@pytest.mark.parametrize("crystal", sorted(CRYSTALS))
def test_a_boundary_between_domains_is_no_fault(crystal: str) -> None:
    domains = find_domains(twin(crystal, seed=4, share=0.4).frame)
    assert domains is not None
    assert domains.n_domains == 2
    assert find_faults(domains) == ()


@pytest.mark.parametrize(("brightness", "n_found"), [(1.0, 1), (0.1, 0)])
def test_a_bright_patch_is_amorphous_and_a_dark_one_a_hole(brightness: float, n_found: int) -> None:
    frame = twin("square", seed=12, share=0.0, counts=6.0).frame
    y, x = np.indices(frame.shape)
    disc = np.hypot(y - 240, x - 300) < 55
    frame[disc] = np.random.default_rng(0).poisson(6.0 * brightness, int(disc.sum()))
    domains = find_domains(frame)
    assert domains is not None
    found = find_patches(domains, frame)
    assert len(found) == n_found
    for patch in found:
        assert patch.center_px_yx == pytest.approx((240, 300), abs=10)
        assert patch.radius_px == pytest.approx(55, abs=10)


def test_faults_of_the_real_image_meet_in_the_core() -> None:
    domains = find_domains(shared_image("real/cdte_faults.tif"))
    assert domains is not None
    faults = find_faults(domains)
    assert len(faults) == 2
    for fault in faults:
        ends = fault.line_px_yx[[0, -1]]
        # One end at the edge of the frame, the other at the core.
        assert ends.min() < 20
        assert np.hypot(*(ends - [350.0, 335.0]).T).min() < 40
        assert fault.p_value < 1e-3


@pytest.mark.parametrize("dose", ["d1e3", "d5e3", "d3e4"])
def test_fault_and_patch_of_the_simulated_twin_are_placed(dose: str) -> None:
    name = f"cdte_twin_A_{dose}.tif"
    frame = shared_image(f"simulated/{name}")
    truth = json.loads((DATA / "simulated" / "cdte_twin_A_truth.json").read_text(encoding="utf-8"))
    image = next(image for image in truth["images"] if image["file"] == name)
    domains = find_domains(frame)
    assert domains is not None
    (fault,) = find_faults(domains)
    ends = np.array(image["defects_line"]["2"])
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    miss_px = np.abs((fault.line_px_yx - ends[0]) @ np.array([-along[1], along[0]]))
    assert miss_px.max() < 20
    assert len(find_boundaries(domains, (512, 512))) == 1
    dark_adu = np.float32(200.0)
    (patch,) = find_patches(domains, frame - dark_adu)
    place = image["defects_y"][0], image["defects_x"][0]
    assert np.hypot(*(np.array(patch.center_px_yx) - place)) < 10
    assert patch.radius_px == pytest.approx(45, abs=8)
