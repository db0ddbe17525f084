"""What `latticewatch bench` measures of the symmetry maps: each stage, all, and the paper's.

Stages are those of a frame that is not binned, as the paper's is not; as it runs, a frame is binned
to the period of its lattice, and costs less.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.symmetry import published
from latticewatch.detectors.symmetry.cells import CellMaker
from latticewatch.detectors.symmetry.distances import DistanceMeter
from latticewatch.detectors.symmetry.fit import fit
from latticewatch.detectors.symmetry.gate_features import N_THREADS, FeatureNetwork
from latticewatch.detectors.symmetry.gate_input import SIDE_PX
from latticewatch.detectors.symmetry.model import SymmetryModel
from latticewatch.detectors.symmetry.parameters import VARIANCE_PX, SymmetryParameters
from latticewatch.detectors.symmetry.preprocess import Preprocessor
from latticewatch.detectors.symmetry.score import SymmetryDetector
from latticewatch.detectors.symmetry.segments import find_segments
from latticewatch.kernels.box_variance import box_scratch, box_variance
from latticewatch.kernels.moments import grid_shape, moment_scratch, n_moments, second_moments

Cases = list[tuple[str, Callable[[], object]]]
Compared = tuple[str, Callable[[], object], Callable[[], object]]
"""Name, ours, and the paper's."""

REDUCED_PX: Final = 256
_TILE_YX: Final = (0, 0)


def symmetry_cases(
    pixels: NDArray[np.generic],
) -> tuple[Cases, tuple[Compared, ...], tuple[str, ...]]:
    """Name and call of each stage, on one frame of a crystal that the model is fitted to.

    Parameters
    ----------
    pixels : (H, W)
        In a type of the wire.

    Returns
    -------
    tuple of (name, call), (name, ours, published) and str
        What can be measured; the map beside the published one on a reduced frame, which takes
        seconds; and why the rest cannot.
    """
    image = np.ascontiguousarray(pixels, np.float32)
    try:
        whole, binned = (_fitted(image, scaled=scaled) for scaled in (False, True))
        reduced = np.ascontiguousarray(image[:REDUCED_PX, :REDUCED_PX])
        compared = _compared(reduced)
    except FitError as error:
        return [], (), (f"no rows of the symmetry maps: {error}",)
    return [*_stages(image, whole), *_as_it_runs(image, binned)], (compared,), ()


def gate_case(pixels: NDArray[np.generic]) -> tuple[str, Callable[[], object], int] | None:
    """Name, call and threads of the gate on all tiles of a frame; None where it holds none.

    The network is the shipped one without a head, which is fitted to a material and takes no time.
    In the loop the gate is asked only about tiles that a segment touches and whose map has changed.
    """
    rows, columns = (side // SIDE_PX for side in pixels.shape)
    if not rows * columns:
        return None
    cut = pixels[: rows * SIDE_PX, : columns * SIDE_PX]
    blocks = cut.reshape(rows, SIDE_PX, columns, SIDE_PX).transpose(0, 2, 1, 3)
    tiles = np.ascontiguousarray(blocks, np.float32).reshape(-1, SIDE_PX, SIDE_PX)
    network = FeatureNetwork()
    name = f"symmetry: gate of {len(tiles)} tiles of {SIDE_PX}x{SIDE_PX}, {N_THREADS} threads"
    return name, lambda: network.features_of(tiles), N_THREADS


def _fitted(image: NDArray[np.float32], *, scaled: bool) -> SymmetryModel:
    return fit([image], SymmetryParameters(scale_to_lattice=scaled))[0]


def _stages(image: NDArray[np.float32], model: SymmetryModel) -> Cases:
    ready, maker = Preprocessor(model.preprocess), CellMaker(model.preprocess, model.bank)
    meter = DistanceMeter(model.reference, model.usual_trace, model.least_variance)
    detector, shape = SymmetryDetector(model), (image.shape[0], image.shape[1])
    filtered = ready.run(image)[1].copy()
    n_filters = len(model.bank)
    moments = np.empty((*grid_shape(shape), n_moments(n_filters)), np.float32)
    scratch = moment_scratch(shape[1], n_filters)
    boxes = box_scratch(shape[1], VARIANCE_PX)
    mean, variance = (np.empty(grid_shape(shape), np.float32) for _ in range(2))
    cells, found = maker.run(image), detector.score(image, None)

    def everything() -> object:
        return find_segments(detector.score(image, None), model, shape)

    return [
        ("symmetry: difference of Gaussians", lambda: ready.run(image)),
        ("symmetry: variance", lambda: box_variance(filtered, VARIANCE_PX, boxes, mean, variance)),
        (
            f"symmetry: second moments of {n_filters} filters",
            lambda: second_moments(filtered, model.bank, scratch, moments),
        ),
        ("symmetry: distances", lambda: meter.run(cells)),
        ("symmetry: segments", lambda: find_segments(found, model, shape)),
        ("symmetry: map and segments", everything),
    ]


def _as_it_runs(image: NDArray[np.float32], model: SymmetryModel) -> Cases:
    detector, shape = SymmetryDetector(model), (image.shape[0], image.shape[1])
    name = f"symmetry, binned by {model.preprocess.binning} to the lattice: map and segments"
    return [(name, lambda: find_segments(detector.score(image, None), model, shape))]


def _compared(image: NDArray[np.float32]) -> Compared:
    detector = SymmetryDetector(_fitted(image, scaled=False))
    height, width = image.shape
    name = f"symmetry: map of {height}x{width}, against the paper's steps"
    return (
        name,
        lambda: detector.score(image, None),
        lambda: published.published_maps(image, _TILE_YX),
    )
