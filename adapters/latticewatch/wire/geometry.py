"""The one chain from pixel to fraction to nanometre.

Vectors are [y, x], y down. One matrix serves for all rotations, acting on (y, x)::

    M(t) = [[cos t, sin t], [-sin t, cos t]]

so a positive angle turns +x towards +y, clockwise on a screen. The formulas are protocol.md 8.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from latticewatch.wire.frames import Context, FrameHeader, Roi

Vectors = NDArray[np.float64]


def turn(vectors_yx: Vectors, angle_rad: float) -> Vectors:
    """Apply M(t) to (..., 2) vectors of lengths.

    >>> turn(np.array([0.0, 1.0]), np.pi / 2).round(9).tolist()  # +x goes to +y
    [1.0, 0.0]
    """
    # Spelled out: a matrix product rounds differently for one place and for many.
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    y, x = vectors_yx[..., 0], vectors_yx[..., 1]
    return np.stack([y * cos + x * sin, x * cos - y * sin], axis=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the pixels of one frame lie in the context and, if calibrated, on the specimen.

    All methods take and return (..., 2) float64 arrays of [y, x].

    Parameters
    ----------
    shape_yx : px
        Of the frame.
    context
        The full field. If `calibrated`, with fov and centre.
    roi
        The part of it that the frame shows.
    calibrated
        Nanometres are trustworthy. If not, square context pixels are assumed and `to_nm`,
        `from_nm` and `covariance_nm` raise ValueError.

    Examples
    --------
    >>> geometry = Geometry(
    ...     shape_yx=(128, 192), calibrated=True,
    ...     context=Context(size_yx=(512, 1024), fov_nm_yx=(8.0, 16.0),
    ...                     center_nm_yx=(1.5, -2.0), rotation_rad=0.3),
    ...     roi=Roi(center_frac_yx=(0.40, 0.65), size_frac_yx=(0.25, 0.1875), rotation_rad=0.2))
    >>> geometry.to_fraction(np.array([40.25, 150.5])).round(8).tolist()
    [0.37683646, 0.7071511]
    >>> geometry.to_nm(np.array([40.25, 150.5])).round(8).tolist()
    [1.53817634, 1.45756256]
    >>> (1e6 * geometry.covariance_nm(np.array([0.04, 0.01, 0.09]))).round(3).tolist()  # pm2
    [14.626, 6.455, 17.113]
    """

    shape_yx: tuple[int, int]
    context: Context
    roi: Roi
    calibrated: bool

    def __post_init__(self) -> None:
        if self.calibrated and (
            self.context.fov_nm_yx is None or self.context.center_nm_yx is None
        ):
            raise ValueError("a calibrated context needs fov_nm_yx and center_nm_yx")

    @classmethod
    def from_header(cls, header: FrameHeader) -> "Geometry":
        """Take the geometry of a frame from its header, defaults filled in."""
        return cls(
            shape_yx=header.shape_yx,
            context=header.full_context,
            roi=header.full_roi,
            calibrated=header.calibrated,
        )

    def to_fraction(self, pixel_yx: NDArray[Any]) -> Vectors:
        """Pixels to fractions of the context; (0, 0) is the centre of the first pixel."""
        frac_of_roi = (np.asarray(pixel_yx, np.float64) + 0.5) / np.asarray(self.shape_yx)
        # Lengths are turned, never fractions: on a field that is not square the two differ.
        length = self._field() * self.roi.size_frac_yx * (frac_of_roi - 0.5)
        turned = turn(length, self.roi.rotation_rad)
        return np.asarray(self.roi.center_frac_yx + turned / self._field())

    def from_fraction(self, frac_yx: NDArray[Any]) -> Vectors:
        """Fractions of the context to pixels of this frame, inside it or not."""
        length = self._field() * (np.asarray(frac_yx, np.float64) - self.roi.center_frac_yx)
        turned = turn(length, -self.roi.rotation_rad)
        frac_of_roi = 0.5 + turned / (self._field() * self.roi.size_frac_yx)
        return np.asarray(np.asarray(self.shape_yx) * frac_of_roi - 0.5)

    def to_nm(self, pixel_yx: NDArray[Any]) -> Vectors:
        """Pixels to nanometres in the specimen plane."""
        return self.fraction_to_nm(self.to_fraction(pixel_yx))

    def from_nm(self, nm_yx: NDArray[Any]) -> Vectors:
        """Nanometres in the specimen plane to pixels of this frame."""
        return self.from_fraction(self.nm_to_fraction(nm_yx))

    def fraction_to_nm(self, frac_yx: NDArray[Any]) -> Vectors:
        """Fractions of the context to nanometres in the specimen plane."""
        fov, center = self._nanometres()
        length = fov * (np.asarray(frac_yx, np.float64) - 0.5)
        return np.asarray(center + turn(length, self.context.rotation_rad))

    def nm_to_fraction(self, nm_yx: NDArray[Any]) -> Vectors:
        """Nanometres in the specimen plane to fractions of the context."""
        fov, center = self._nanometres()
        length = np.asarray(nm_yx, np.float64) - center
        return np.asarray(0.5 + turn(length, -self.context.rotation_rad) / fov)

    def covariance_nm(self, cov_px: NDArray[Any]) -> Vectors:
        """Covariances [var_yy, cov_yx, var_xx], (..., 3), from square pixels to square nm."""
        self._nanometres()
        angle_rad = self.context.rotation_rad + self.roi.rotation_rad
        # J; the rows of turn(eye, -t) are those of M(t).
        (a, b), (c, d) = self.pixel_sides * turn(np.eye(2), -angle_rad)
        yy, yx, xx = np.moveaxis(np.asarray(cov_px, np.float64), -1, 0)
        # J C J^T, which is symmetric again.
        return np.stack(
            [
                a * a * yy + 2 * a * b * yx + b * b * xx,
                a * c * yy + (a * d + b * c) * yx + b * d * xx,
                c * c * yy + 2 * c * d * yx + d * d * xx,
            ],
            axis=-1,
        )

    @property
    def pixel_sides(self) -> Vectors:
        """Sides (2,) of a pixel of the frame: nanometres if calibrated, else context pixels."""
        return np.asarray(self._field() * self.roi.size_frac_yx / self.shape_yx)

    def scaled_context(self, side_nm: float) -> Context:
        """Give the context a field of view by which pixels have the area of such a square.

        Both axes are scaled by one factor, so that fractions stay what they were. A centre that
        nobody knows is the origin.
        """
        field_y, field_x = self._field() * side_nm / np.sqrt(np.prod(self.pixel_sides))
        center = self.context.center_nm_yx if self.calibrated else None
        return structs.replace(
            self.context,
            fov_nm_yx=(float(field_y), float(field_x)),
            center_nm_yx=center or (0.0, 0.0),
        )

    def _field(self) -> Vectors:
        """W: the context's extent, in any one unit per frame."""
        if self.calibrated:
            return self._nanometres()[0]
        return np.asarray(self.context.size_yx, np.float64)

    def _nanometres(self) -> tuple[Vectors, Vectors]:
        if not self.calibrated or self.context.fov_nm_yx is None:
            raise ValueError("nanometres are known only for a calibrated frame")
        return np.asarray(self.context.fov_nm_yx), np.asarray(self.context.center_nm_yx)
