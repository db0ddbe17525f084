"""A gate is fitted on labelled tiles, chooses the model patch, and travels in the model."""

import numpy as np
import pytest
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry.fit import SymmetryReport
from latticewatch.detectors.symmetry.gate import Gate
from latticewatch.detectors.symmetry.gate_fit import GateFit
from latticewatch.detectors.symmetry.gate_labels import PlacedLabel
from latticewatch.detectors.symmetry.labelled_fit import GateOptions, Labelled, fit_labelled
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.parameters import SymmetryParameters
from support.faulted import faulted

Image = NDArray[np.float32]
NEAR_PX = 20


def scene(seed: int, shape_yx: tuple[int, int]) -> tuple[Image, NDArray[np.uint8]]:
    """Return a frame with a twin, and a mask of what lies near its boundary."""
    drawn = faulted(
        "hexagonal", defect="twin", seed=seed, period_px=14.0, counts=80.0, shape_yx=shape_yx
    )
    mask = np.zeros(shape_yx, np.uint8)
    for line in drawn.lines:
        for y, x in line[::4].astype(int):
            mask[max(0, y - NEAR_PX) : y + NEAR_PX, max(0, x - NEAR_PX) : x + NEAR_PX] = 255
    return drawn.frame, mask


def fitted(
    frames: dict[int, Image], labelled: Labelled
) -> tuple[SymmetryModel, SymmetryReport, GateFit]:
    names = {number: f"frame {number}" for number in frames}
    return fit_labelled(frames, names, labelled, SymmetryParameters(), GateOptions())


@pytest.mark.slow
@pytest.mark.parametrize("shape_yx", [(512, 512), (240, 512)])
def test_masks_teach_a_gate_that_the_model_keeps(shape_yx: tuple[int, int]) -> None:
    drawn = [scene(seed, shape_yx) for seed in range(4)]
    frames = {number: frame for number, (frame, _) in enumerate(drawn)}
    masks = {number: mask for number, (_, mask) in enumerate(drawn)}

    model, report, made = fitted(frames, Labelled(masks=masks))

    assert Gate(model.gate).sha256 == made.gate.sha256
    assert Gate(model.gate).tile_px == (128 if min(shape_yx) >= 256 else 64)
    assert 0 < report.n_clean < report.n_tiles
    assert {"accuracy", "precision", "specificity", "recall"} <= set(made.report.metrics)


@pytest.mark.slow
def test_tiles_teach_the_gate_and_frames_the_map() -> None:
    frame, mask = scene(7, (512, 512))
    spots = [(y, x) for y in range(0, 448, 64) for x in range(0, 448, 64)]
    tiles = {
        number: np.ascontiguousarray(frame[y : y + 64, x : x + 64])
        for number, (y, x) in enumerate(spots, start=1)
    }
    rows = [
        PlacedLabel(k + 1, None, is_defect=bool(mask[y : y + 64, x : x + 64].mean() > 25))
        for k, (y, x) in enumerate(spots)
    ]

    model, report, made = fitted({0: frame, **tiles}, Labelled(rows=rows))

    assert made.gate.tile_px == 64
    assert report.model_frame == 0
    assert model.gate


def test_tiles_alone_are_refused_and_told_what_lacks() -> None:
    dice = np.random.default_rng(1)
    tiles = {k: dice.poisson(20, (64, 64)).astype(np.float32) for k in range(12)}
    rows = [PlacedLabel(k, None, is_defect=k % 2 == 0) for k in tiles]

    with pytest.raises(FitError, match="labelled tiles: the maps learn from frames"):
        fitted(tiles, Labelled(rows=rows))


def test_a_label_of_a_frame_that_holds_nothing_is_refused() -> None:
    frame, _ = scene(7, (256, 256))

    with pytest.raises(FitError, match="labels for frame 3"):
        fitted({0: frame}, Labelled(rows=[PlacedLabel(3, (64, 64), is_defect=True)]))
