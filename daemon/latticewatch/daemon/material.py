"""Nanometres from a known material: headers get the field of view that the lattice tells."""

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.lattice import Lattice, reduce_basis
from latticewatch.detectors.pixel_size import PixelSize, PlaneNet, pixel_size
from latticewatch.wire.frames import FrameHeader
from latticewatch.wire.geometry import Geometry
from latticewatch.wire.scales import PixelSizeState

# A header that is further off than this, and than the scan distorts, is worth a word: microscopes
# are calibrated to a few per cent.
_HEADER_OFF = 0.03
# Sizes that differ by less are noise and distortion; by more, the magnification has changed, which
# not every source says.
_CONTRADICTIONS = 2  # frames running
_CHANGED = 0.01


@dataclass(frozen=True, slots=True)
class Scaled:
    """A header and where its nanometres come from.

    Attributes
    ----------
    header
        Calibrated by the material where that is known, else as it came.
    pixel_size
        By the material; None for nanometres of the header, or none.
    warning
        What an operator should know, once for each field that is looked at; else empty.
    """

    header: FrameHeader
    pixel_size: PixelSizeState | None = None
    warning: str = ""


class MaterialScale:
    """Measures pixels by a material; belongs to one thread.

    The size is measured in the first frame of a field that holds the lattice, and kept: a field of
    view that changes by what noise does would not compare with that of the frame before. Two frames
    running that contradict it change it.

    Parameters
    ----------
    material
        None leaves headers as they are.
    """

    def __init__(self, material: PlaneNet | None) -> None:
        self._material = material
        self._field: tuple[object, ...] = ()
        self._known: PixelSize | None = None
        self._n_contradict = 0
        self._warned: set[bool] = set()

    def geometry(self, header: FrameHeader) -> Geometry:
        """Geometry of a frame, by the material as far as earlier frames of the field tell."""
        self._look_at(header)
        return Geometry.from_header(self._calibrated(header))

    def measure(self, header: FrameHeader, lattice: Lattice | None) -> Scaled:
        """Calibrate the header of a frame by its lattice; without one, as the frames before it.

        A lattice that is not the material's leaves the header as it came.
        """
        self._look_at(header)
        warning = ""
        if self._material is not None and lattice is not None:
            # Pixels need not be square, and then a lattice in pixels has not its own shape.
            sides = Geometry.from_header(header).pixel_sides
            basis_px = lattice.basis_px_yx * sides / np.sqrt(np.prod(sides))
            size = pixel_size(replace(lattice, basis_px_yx=basis_px), self._material)
            self._take(size)
            # Once of a lattice that is not the material's, and once of another size.
            told = self._misfit(header, basis_px, size)
            if told and (size is None) not in self._warned:
                self._warned.add(size is None)
                warning = told
        if self._known is None:
            return Scaled(header, None, warning)
        state = PixelSizeState(
            source="material", size_pm=self._known.size_pm, error_pm=self._known.error_pm
        )
        return Scaled(self._calibrated(header), state, warning)

    def _look_at(self, header: FrameHeader) -> None:
        """Forget what was known of another field."""
        field = (header.session, header.full_context, header.full_roi, header.shape_yx)
        if field != self._field:
            self._field, self._known, self._warned = field, None, set()
            self._n_contradict = 0

    def _take(self, size: PixelSize | None) -> None:
        """Take the size of the first frame, or of the second one running that has another."""
        if self._known is None:
            self._known = size
            return
        agrees = size is not None and abs(size.size_pm / self._known.size_pm - 1.0) <= _CHANGED
        self._n_contradict = 0 if agrees else self._n_contradict + 1
        if self._n_contradict >= _CONTRADICTIONS:
            self._known, self._n_contradict = size, 0

    def _misfit(
        self, header: FrameHeader, basis_px: NDArray[np.float64], size: PixelSize | None
    ) -> str:
        """Say how lattice, material and header contradict each other; empty where they do not."""
        own_pm = None
        if header.calibrated:
            own_pm = float(1000.0 * np.sqrt(np.prod(Geometry.from_header(header).pixel_sides)))
        if size is None and self._material is not None:
            stays_pm = own_pm if self._known is None else self._known.size_pm
            stays = "no size of a pixel is known"
            if stays_pm is not None:
                stays = f"pixels stay {stays_pm:.2f} pm"
            return (
                f"the lattice, {_shape_of(basis_px, 'px')}, is not that of the material, "
                f"{_shape_of(self._material.basis_pm, 'pm')}, or the scan shears it: {stays}"
            )
        if size is None or own_pm is None:
            return ""
        if abs(size.size_pm - own_pm) <= size.error_pm + _HEADER_OFF * own_pm:
            return ""
        return (
            f"pixels are {size.size_pm:.2f} pm by the material and {own_pm:.2f} pm without it: "
            "taken by the material"
        )

    def _calibrated(self, header: FrameHeader) -> FrameHeader:
        if self._known is None:
            return header
        context = Geometry.from_header(header).scaled_context(self._known.size_pm / 1000.0)
        return msgspec.structs.replace(header, calibrated=True, context=context)


def _shape_of(basis: NDArray[np.float64], unit: str) -> str:
    first, second = reduce_basis(basis)
    lengths = np.linalg.norm([first, second], axis=1)
    angle_deg = np.degrees(np.arccos(abs(first @ second) / np.prod(lengths)))
    return f"{lengths[0]:.1f} x {lengths[1]:.1f} {unit} at {angle_deg:.0f} degrees"
