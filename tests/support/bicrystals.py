"""Frames of two simulated crystals that meet in a straight line, with known defects."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.simulator.crystal import CRYSTALS
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from support.composites import beyond_line
from support.crystals import Image


@dataclass(frozen=True, slots=True)
class Bicrystal:
    """A frame and what it shows.

    Attributes
    ----------
    image : (H, W)
        Counts.
    beyond_px : (H, W)
        Signed distance to the boundary, positive in the second crystal.
    defects_yx : (N, 2)
        Pixels.
    depth_px : (N,)
        How far beyond the boundary each defect is, positive in the second crystal.
    period_px
        Shortest lattice vector.
    """

    image: Image
    beyond_px: NDArray[np.float64]
    defects_yx: NDArray[np.float64]
    depth_px: NDArray[np.float64]
    period_px: float

    def deep(self, second: bool, periods: float) -> NDArray[np.float64]:
        """Defects (M, 2) of one crystal that lie so far from the boundary, and in the frame."""
        depth_px = self.depth_px if second else -self.depth_px
        last = np.array(self.image.shape) - 5
        inside = ((self.defects_yx > 4) & (self.defects_yx < last)).all(axis=1)
        return self.defects_yx[inside & (depth_px > periods * self.period_px)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What to draw.

    Attributes
    ----------
    crystal
        Of the simulator.
    rotation_deg, turn_deg
        Of the first, and of the second against the first.
    share
        Of the frame that is the second's.
    angle_rad
        Way from the first to the second: 0 to the right, a quarter turn down.
    dose
        In units of that at which its columns are plain to see.
    vacancies
        In a frame full of either; other defects as the simulator has them.
    """

    crystal: str = "mos2"
    rotation_deg: float = 5.0
    turn_deg: float = 25.0
    share: float = 0.5
    angle_rad: float = 0.4
    dose: float = 1.0
    seed: int = 1
    shape_yx: tuple[int, int] = (512, 512)
    perfect: bool = False
    vacancies: int | None = None


def bicrystal(crystal: str = "mos2", **settings: Any) -> Bicrystal:  # noqa: ANN401 - of a scene
    """Draw two crystals of one kind, turned against each other; equal settings, equal frames."""
    scene = _Scene(crystal=crystal, **settings)
    shape_yx = scene.shape_yx
    one, two = (
        Microscope(
            MicroscopeSettings(
                crystal=crystal,
                seed=scene.seed + 1000 * second,
                rotation_deg=scene.rotation_deg + scene.turn_deg * second,
                shape_yx=shape_yx,
                dose_e_per_ang2=scene.dose * CRYSTALS[crystal].dose_e_per_ang2,
                perfect=scene.perfect,
                vacancies=scene.vacancies,
            )
        )
        for second in (0, 1)
    )
    beyond = beyond_line(shape_yx, scene.angle_rad, 0.0)
    beyond -= np.quantile(beyond, 1.0 - scene.share)
    mean = np.where(beyond > 0, two.expected(0), one.expected(0))
    image = np.random.default_rng([scene.seed, 7]).poisson(mean).astype(np.float32)
    defects, depth = [], []
    for sign, microscope in ((-1, one), (1, two)):
        truth = np.asarray(microscope.truth(0).pixel_yx, np.float64).reshape(-1, 2)
        pixel = np.clip(np.round(truth).astype(int), 0, np.array(shape_yx) - 1)
        depth_px = beyond[pixel[:, 0], pixel[:, 1]]
        defects.append(truth[sign * depth_px > 0])
        depth.append(depth_px[sign * depth_px > 0])
    return Bicrystal(
        image, beyond, np.concatenate(defects), np.concatenate(depth), one.settings.period_px
    )
