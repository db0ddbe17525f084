"""Of two crystals in a frame, lengths and angle of a model are those of its patch."""

import numpy as np
import pytest

from latticewatch.detectors.symmetry.model_patch import Patch
from latticewatch.detectors.symmetry.own_lattice import clearest_lattices, lattice_of_patch
from latticewatch.detectors.turned import net_change
from support.boundaries import boundary


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.4, 0.5, 0.6])
def test_lattice_of_a_patch_is_that_of_its_own_twin(share: float) -> None:
    drawn = boundary(crystal="oblique", kind="twin", seed=81, period_px=16.0, place=share)
    alone = boundary(crystal="oblique", kind="none", seed=81, period_px=16.0)
    found = clearest_lattices([drawn.frame])
    own = lattice_of_patch([alone.frame], clearest_lattices([alone.frame]), patch_at((0, 0)))
    assert found is not None
    assert own is not None
    here, beyond = (
        lattice_of_patch([drawn.frame], found, patch_at(deepest(drawn.distance_px, sign)))
        for sign in (-1, 1)
    )
    assert here is not None
    assert beyond is not None
    assert here.cell_px == pytest.approx(16.0, rel=0.02)
    assert beyond.cell_px == pytest.approx(16.0, rel=0.02)
    change = net_change(own.basis_px_yx, here.basis_px_yx)
    assert change is not None
    assert abs(change[1]) < 0.01


def test_noise_has_no_lattice() -> None:
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    assert clearest_lattices([noise]) is None
    assert lattice_of_patch([noise], None, patch_at((0, 0))) is None


def test_a_patch_in_another_frame_has_the_lattice_of_that_frame() -> None:
    frames = [
        boundary(kind="none", seed=82, period_px=period_px, shape_yx=(256, 256), counts=20).frame
        for period_px in (12.0, 12.6)
    ]
    clearest = clearest_lattices(frames)
    for number, period_px in enumerate((12.0, 12.6)):
        found = lattice_of_patch(frames, clearest, patch_at((0, 0), number))
        assert found is not None
        assert found.cell_px == pytest.approx(period_px, rel=0.01)


def patch_at(tile: tuple[int, int], frame: int = 0) -> Patch:
    """A patch of 128 px, wherever the others are."""
    return Patch(frame, tile, 128, [np.ones((4, 4), bool)] * (frame + 1))


def deepest(distance_px: np.ndarray, sign: int) -> tuple[int, int]:
    """Tile whose middle lies farthest on one side of a boundary."""
    depth = sign * distance_px[64::128, 64::128]
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return int(row), int(column)
