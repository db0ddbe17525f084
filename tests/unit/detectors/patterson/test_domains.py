"""Two crystals are told apart and their boundary placed; one crystal is never split."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.patterson.boundaries import find_boundaries, middle_of
from latticewatch.detectors.patterson.domains import DomainMap, find_domains
from latticewatch.detectors.patterson.friedel import Transformer
from support.crystals import image_of, specimen
from support.twins import CRYSTALS, Twin, twin

PERIOD_PX = 20.0


def balanced_accuracy(domains: DomainMap, truth: Twin, *, clear_px: float = 15.0) -> float:
    """Of the places of the map that are not beside the boundary, whichever name a domain has."""
    y, x = np.meshgrid(domains.maps.y_px, domains.maps.x_px, indexing="ij")
    distance = truth.distance_px[np.round(y).astype(int), np.round(x).astype(int)]
    far = (np.abs(distance) > clear_px) & domains.lattice
    second, found = distance[far] > 0, domains.labels[far] == 1
    accuracy = (found[second].mean() + (~found[~second]).mean()) / 2
    return float(max(accuracy, 1 - accuracy))


def misses_px(line: NDArray[np.float64], truth: Twin) -> NDArray[np.float64]:
    """How far from the true boundary each point of a line lies."""
    slope = np.hypot(*np.gradient(truth.distance_px))
    miss: NDArray[np.float64] = ndimage.map_coordinates(truth.distance_px / slope, line.T, order=1)
    return np.abs(miss)


@pytest.mark.parametrize("crystal", sorted(CRYSTALS))
@pytest.mark.parametrize(
    ("shape", "share", "counts"),
    [("line", 0.5, 1.0), ("line", 0.15, 4.0), ("curve", 0.3, 2.0), ("disc", 0.2, 4.0)],
)
def test_two_crystals_are_told_apart(crystal: str, shape: str, share: float, counts: float) -> None:
    truth = twin(crystal, seed=3, shape=shape, share=share, counts=counts, wedge=0.6)
    domains = find_domains(truth.frame)
    assert domains is not None
    assert domains.n_domains == 2
    assert balanced_accuracy(domains, truth) > 0.97
    assert domains.shares[1] == pytest.approx(share, abs=0.03)
    assert {reflection.domain for reflection in domains.reflections} >= {0, 1}
    (boundary,) = find_boundaries(domains, truth.frame.shape)
    assert boundary.closed == (shape == "disc")
    assert boundary.p_value < 1e-6
    # A period of the crystal; typically a fifth of it.
    assert misses_px(boundary.line_px_yx, truth).max() < PERIOD_PX
    assert np.sqrt(np.square(misses_px(boundary.line_px_yx, truth)).mean()) < 0.35 * PERIOD_PX


@pytest.mark.parametrize("crystal", sorted(CRYSTALS))
@pytest.mark.parametrize(
    ("counts", "wedge", "strain"),
    [(0.5, 0.0, 0.0), (None, 0.0, 0.0), (3.0, 1.0, 0.0), (5.0, 0.3, 0.15), (30.0, 0.0, 0.1)],
)
def test_one_crystal_is_never_split(
    crystal: str, counts: float | None, wedge: float, strain: float
) -> None:
    frame = twin(crystal, seed=5, share=0.0, counts=counts, wedge=wedge, strain=strain).frame
    domains = find_domains(frame)
    assert domains is not None
    assert domains.n_domains == 1
    assert find_boundaries(domains, frame.shape) == ()
    assert domains.lattice.mean() > 0.95
    assert {reflection.domain for reflection in domains.reflections} == {-1}


@pytest.mark.parametrize("crystal", ["mos2", "srtio3", "zincblende"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_simulated_crystal_with_defects_is_never_split(crystal: str, seed: int) -> None:
    pixels, _ = specimen(crystal, seed=seed, rotation_deg=17.0 * seed)
    domains = find_domains(image_of(pixels))
    assert domains is not None
    assert domains.n_domains == 1


@pytest.mark.parametrize("gain", [0.25, 40.0])
@pytest.mark.parametrize("offset", [-100.0, 2000.0])
def test_gain_offset_and_contrast_sign_change_nothing(gain: float, offset: float) -> None:
    frame = twin(seed=1, share=0.4).frame
    plain = find_domains(frame)
    for changed in (gain * frame + offset, -gain * frame + offset):
        other = find_domains(changed.astype(np.float32))
        assert plain is not None
        assert other is not None
        assert (plain.labels == other.labels).mean() > 0.995


def test_a_turned_frame_has_the_turned_map() -> None:
    truth = twin(seed=4, share=0.35)
    turned = find_domains(np.ascontiguousarray(np.rot90(truth.frame)))
    assert turned is not None
    assert turned.n_domains == 2
    same = Twin(truth.frame, np.rot90(truth.distance_px))
    assert balanced_accuracy(turned, same) > 0.99


def test_vacuum_belongs_to_no_domain() -> None:
    truth = twin(seed=6, share=0.4, counts=6.0)
    frame = truth.frame.copy()
    frame[:, :150] = np.random.default_rng(0).poisson(0.5, (512, 150))
    domains = find_domains(frame)
    assert domains is not None
    x_px = domains.maps.x_px
    assert (domains.labels[:, x_px < 130] == -1).mean() > 0.98
    assert (domains.labels[:, x_px > 175] >= 0).mean() > 0.98
    far = np.array([[200.0, 40.0], [300.0, 100.0]])
    assert domains.domain_of(far).tolist() == [-1, -1]


@pytest.mark.parametrize("seed", range(3))
def test_noise_and_constants_have_no_domains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for frame in (rng.poisson(4.0, (256, 256)), np.zeros((200, 200)), np.full((128, 400), 9)):
        assert find_domains(frame.astype(np.float32)) is None


def test_a_small_frame_is_refused() -> None:
    assert find_domains(twin(shape_yx=(90, 300)).frame) is None


def test_a_kept_transformer_changes_nothing() -> None:
    transformer = Transformer((512, 512))
    other, frame = twin(seed=7, share=0.0).frame, twin(seed=8, share=0.3).frame
    find_domains(other, transformer=transformer)
    again, fresh = find_domains(frame, transformer=transformer), find_domains(frame)
    assert again is not None
    assert fresh is not None
    np.testing.assert_array_equal(again.level, fresh.level)
    np.testing.assert_array_equal(again.maps.values, fresh.maps.values)


def test_domain_of_a_place_is_that_of_the_map() -> None:
    truth = twin(seed=9, share=0.3)
    domains = find_domains(truth.frame)
    assert domains is not None
    places = np.random.default_rng(1).uniform(0, 511, (500, 2))
    at = np.round(places).astype(int)
    distance = truth.distance_px[at[:, 0], at[:, 1]]
    far = np.abs(distance) > PERIOD_PX
    assert (domains.domain_of(places)[far] == (distance[far] > 0)).mean() > 0.99


def test_an_open_boundary_reaches_from_edge_to_edge() -> None:
    truth = twin(seed=10, share=0.5, counts=6.0)
    domains = find_domains(truth.frame)
    assert domains is not None
    (boundary,) = find_boundaries(domains, (512, 512))
    for end in boundary.line_px_yx[[0, -1]]:
        assert min(*end, *(511 - end)) == pytest.approx(0, abs=1e-6)
    assert 1.2 * domains.maps.resolution_px < boundary.width_px < 2 * domains.maps.resolution_px
    middle = middle_of(boundary.line_px_yx, closed=False)
    ends = np.hypot(*(boundary.line_px_yx[[0, -1]] - middle).T)
    assert ends[0] == pytest.approx(ends[1], rel=0.05)
