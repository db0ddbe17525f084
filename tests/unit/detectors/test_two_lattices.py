"""Two crystals side by side have two lattices, one crystal has one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from support.composites import beyond_line, counted, rendered
from support.crystals import CRYSTALS, Image, image_of, net_frame, spans_the_same_net, specimen
from support.shared_images import real_image, simulated_images
from support.two_domains import find_lattices

OBLIQUE = np.array([[18.0, 3.0], [5.0, 24.0]])


def turned(basis: NDArray[np.float64], angle_deg: float) -> NDArray[np.float64]:
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turned_basis: NDArray[np.float64] = basis @ np.array([[cos, -sin], [sin, cos]])
    return turned_basis


@pytest.mark.parametrize("angle_deg", [12.0, 35.0])
def test_each_of_two_domains_has_its_lattice(angle_deg: float) -> None:
    other = turned(OBLIQUE, angle_deg)
    one, two = (net_frame(net.tolist(), shape_yx=(512, 512), seed=3) for net in (OBLIQUE, other))
    far = beyond_line((512, 512), 0.7, 50.0)

    found = find_lattices(np.where(far > 0, two, one))

    assert len(found) == 2
    assert spans_the_same_net(found[0].basis_px_yx, OBLIQUE)
    assert spans_the_same_net(found[1].basis_px_yx, other)


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_one_crystal_has_one_lattice(crystal: str) -> None:
    assert len(find_lattices(image_of(specimen(crystal, seed=3)[0]))) == 1


@pytest.mark.parametrize("counts", [0.5, 50.0])
@pytest.mark.parametrize("crystal", CRYSTALS)
def test_a_crystal_beside_vacuum_has_one_lattice(crystal: str, counts: float) -> None:
    image = rendered(crystal, rotation_deg=10.0, seed=3)
    half = np.where(beyond_line(image.shape, 0.7, 30.0) > 0, image, 0.03)

    assert len(find_lattices(counted(half, counts, seed=4))) == 1


def test_frame_without_crystal_has_none() -> None:
    noise = np.random.default_rng(1).normal(size=(256, 256)).astype(np.float32)

    assert find_lattices(noise) == ()


def test_real_twin_has_two_lattices() -> None:
    assert len(find_lattices(real_image("zro2_monoclinic.tif"))) == 2


@pytest.mark.slow
def test_no_single_crystal_of_the_simulation_has_two() -> None:
    singles = {
        name: image
        for name, image in simulated_images().items()
        if not name.startswith("cdte_twin")
    }
    found: dict[str, int] = {}
    image: Image
    for name, image in singles.items():
        found[name] = len(find_lattices(image))

    assert set(found.values()) == {1}, found
