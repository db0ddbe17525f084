"""The simulated microscope: settings and a frame number to pixels with truth.

Every frame can be had by its number alone: no frame depends on another.
"""

from math import hypot

import numpy as np
from numpy.typing import NDArray

from latticewatch.simulator.crystal import lay_columns
from latticewatch.simulator.damage import KINDS, damage_columns
from latticewatch.simulator.dose import detect, detector_response
from latticewatch.simulator.optics import REACH_SIGMAS, draw_columns, tabulate_profile
from latticewatch.simulator.scan import (
    DRIFT_RANGE_NM,
    drift_nm_yx,
    gain,
    row_shifts_px,
    specimen_to_pixel,
)
from latticewatch.simulator.settings import MicroscopeSettings
from latticewatch.simulator.truth import Truth

__all__ = ["Microscope", "MicroscopeSettings"]


class Microscope:
    """Scans a specimen whose defects are known.

    Parameters
    ----------
    settings
        Everything about it. Columns, defects, the probe's profile and the noise tables are made
        here, once; a frame then costs one drawing of the columns and one pass of noise.

        One thread uses a microscope.

    Raises
    ------
    SimulatorError
        The defects asked for do not fit into the field of view.

    Examples
    --------
    >>> microscope = Microscope(MicroscopeSettings(shape_yx=(128, 192), vacancies=1))
    >>> pixels, truth = microscope.frame(0)
    >>> pixels.shape, pixels.dtype, truth.kind
    ((128, 192), dtype('uint16'), ('vacancy',))
    """

    def __init__(self, settings: MicroscopeSettings) -> None:
        self.settings = settings
        rng = np.random.default_rng([settings.seed, 1])
        crystal = settings.specimen
        cell = np.array([crystal.a_nm_yx, crystal.b_nm_yx])
        # A circle round the field, wide enough for any rotation and the whole drift.
        reach_nm = REACH_SIGMAS * settings.sigma_px * settings.pixel_size_nm
        half_diagonal_nm = hypot(*settings.shape_yx) * settings.pixel_size_nm / 2.0
        intact = lay_columns(
            crystal,
            rotation_rad=np.deg2rad(settings.rotation_deg),
            origin_nm_yx=rng.random(2) @ cell,
            radius_nm=half_diagonal_nm + hypot(DRIFT_RANGE_NM, DRIFT_RANGE_NM) + reach_nm,
        )
        frac_yx = specimen_to_pixel(intact.nm_yx, settings) + 0.5
        columns, self._damage = damage_columns(
            intact, frac_yx=frac_yx / settings.shape_yx, settings=settings
        )
        disorder_nm = rng.normal(0.0, settings.disorder_pm / 1000.0, columns.nm_yx.shape)
        self._nm_yx = columns.nm_yx + disorder_nm
        self._sublattice = columns.sublattice
        peaks = columns.ang2 * settings.electrons_per_ang2_of_cross_section
        self._peaks = peaks.astype(np.float32)
        self._profile = tabulate_profile(settings.sigma_px)
        # Kept, for fresh memory costs a page fault every 4 KiB.
        self._image = np.empty(settings.shape_yx, np.float32)

    def expected(self, index: int) -> NDArray[np.float32]:
        """Give the mean number of electrons on every pixel of a frame: (H, W), without noise."""
        image = np.empty(self.settings.shape_yx, np.float32)
        self._draw_expected(index, image)
        return image

    def frame(self, index: int) -> tuple[NDArray[np.uint16], Truth]:
        """Scan one frame.

        Parameters
        ----------
        index
            Its number, from 0. It sets drift, gain, row jitter and noise.

        Returns
        -------
        tuple of (H, W) array and Truth
            A new array that the caller owns, and what it shows.
        """
        settings = self.settings
        response = detector_response(
            electron_adu=settings.electron_adu * gain(settings, index), dark_adu=settings.dark_adu
        )
        state = np.random.SeedSequence([settings.seed, 4, index]).generate_state(1, np.uint64)
        self._draw_expected(index, self._image)
        pixels = detect(self._image, response, random_state=int(state[0]))
        return pixels, self.truth(index)

    def truth(self, index: int) -> Truth:
        """Say what a frame shows, without scanning it."""
        settings = self.settings
        pixel_yx = self._pixel_yx(index)
        shown = _is_inside(pixel_yx[self._damage.column], settings.shape_yx)
        column = self._damage.column[shown]
        parts = settings.specimen.sublattices
        return Truth(
            pixel_yx=pixel_yx[column],
            kind=tuple(KINDS[kind] for kind in self._damage.kind[shown]),
            sublattice=tuple(parts[part].name for part in self._sublattice[column]),
            magnitude=self._damage.magnitude[shown],
            crystal=settings.crystal,
            period_px=settings.period_px,
            n_columns=int(_is_inside(pixel_yx, settings.shape_yx).sum()),
            drift_px_yx=self._drift_px_yx(index),
            gain=gain(settings, index),
        )

    def _draw_expected(self, index: int, image: NDArray[np.float32]) -> None:
        settings = self.settings
        image[:] = settings.background_electrons
        draw_columns(
            self._pixel_yx(index),
            self._peaks,
            self._profile,
            row_shifts_px(settings, index),
            settings.sigma_px,
            image,
        )

    def _pixel_yx(self, index: int) -> NDArray[np.float64]:
        return specimen_to_pixel(self._nm_yx + drift_nm_yx(self.settings, index), self.settings)

    def _drift_px_yx(self, index: int) -> NDArray[np.float64]:
        settings = self.settings
        origin = np.zeros(2)
        moved = specimen_to_pixel(drift_nm_yx(settings, index), settings)
        return moved - specimen_to_pixel(origin, settings)


def _is_inside(pixel_yx: NDArray[np.float64], shape_yx: tuple[int, int]) -> NDArray[np.bool_]:
    """Centres on a pixel of the frame: the first pixel reaches from -0.5 to 0.5."""
    inside = (pixel_yx >= -0.5) & (pixel_yx < np.array(shape_yx) - 0.5)
    return np.logical_and(inside[:, 0], inside[:, 1])
