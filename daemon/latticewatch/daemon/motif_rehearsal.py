"""A drawn frame of a model's own crystal, so that nothing is compiled once frames come."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.sights import Scene
from latticewatch.detectors.follow import LatticeFollower, Refusal
from latticewatch.detectors.motifs.model import MotifModel
from latticewatch.detectors.protocols import Finding

_CELLS = 12  # along each side: sites enough, with room for a patch, to tell the unit of a frame
_LEAST_SIDE_PX = 192


def rehearsal_scene(model: MotifModel) -> Scene | None:
    """Draw the crystal, and find its lattice; None where it cannot be found."""
    image = _drawn(model)
    found = LatticeFollower().look(image)
    if isinstance(found, Refusal):
        return None
    return Scene(image, np.empty((0, 2), np.intp), found)


def rehearsal_findings(scene: Scene) -> tuple[Finding, ...]:
    """Invent findings on a site and on none, in the middle of a frame."""
    middle = (np.array(scene.image.shape) - 1) / 2
    place = (float(middle[0]), float(middle[1]))
    return tuple(
        Finding(
            pixel_yx=place,
            cov_px=(0.1, 0.0, 0.1),
            kind=kind,
            intensity_ratio=None,
            extent_px=5.0,
            p_value=1e-6,
            parts=(),
            tail=False,
        )
        for kind in ("vacancy", "extra")
    )


def _drawn(model: MotifModel) -> NDArray[np.float32]:
    side = int(max(_LEAST_SIDE_PX, _CELLS * model.period_px))
    reach = int(2 * side / model.period_px) + 2
    cells = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    axis = np.arange(side)
    image = np.zeros((side, side))
    sigma_px = model.columns.sigma_px
    for fraction, height in zip(model.columns.fraction, model.columns.height, strict=True):
        places = (cells + fraction) @ model.basis_px_yx
        near = ((places > -5 * sigma_px) & (places < side + 5 * sigma_px)).all(axis=1)
        y, x = (np.exp(-0.5 * np.square((axis - places[near, k, None]) / sigma_px)) for k in (0, 1))
        image += float(height) * (y.T @ x)
    noise = np.random.default_rng(0).normal(0.0, 0.02, image.shape)
    return (model.columns.contrast * (image + noise)).astype(np.float32)
