"""Bands of one frame that share no pixel, and defects without seams in them: methods/vae.md 8.1.

A scorer is fitted on one band, gets its threshold from a second and is measured on a third. The
lattice that says where the sites are is that of the whole frame; scorers see their band alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.lattice import find_lattice
from latticewatch.detectors.lock import LatticeLock, lock_lattice
from support.shared_data import shared_image

Image = NDArray[np.float32]
Places = NDArray[np.float64]
Range = tuple[int, int]

FRAME = "real/srtio3_df.jpg"
BLUR_PERIODS = 0.085  # sigma: 2 px at a period of 23.5
WINDOW_PERIODS = 2.7  # 64 px there
COLUMN_PERIODS = 0.19  # width of what a seamless defect changes
WARP_PERIODS = 0.25  # and of what a displacement moves

# First row and the row after the last: fit, calibration, test. 16 rows, two radii of the blur, lie
# between. A dense scorer loses half a window at each border, so its calibration band is larger.
_RANGES: dict[str, tuple[Range, Range, Range]] = {
    "window": ((0, 224), (240, 352), (368, 512)),
    "dense": ((0, 192), (208, 336), (352, 512)),
}
_MIRRORED: dict[str, tuple[Range, Range, Range]] = {
    "window": ((288, 512), (160, 272), (0, 144)),
    "dense": ((320, 512), (176, 304), (0, 160)),
}
SPLITS = ("rows", "mirrored", "columns")


@dataclass(frozen=True, slots=True)
class Band:
    """Part of a frame by itself.

    Attributes
    ----------
    image : (H, W) float32
        Raw grey levels, not blurred.
    sr_yx, ti_yx : (N, 2)
        Columns of both kinds inside the band, [y, x] in its pixels.
    basis_px_yx : (2, 2)
        Lattice vectors, rows.
    rows : (2,)
        First row of the frame (of its transpose, for columns), and the one after the last.
    """

    image: Image
    sr_yx: Places
    ti_yx: Places
    basis_px_yx: NDArray[np.float64]
    rows: Range

    @property
    def period_px(self) -> float:
        """Square root of the cell's area."""
        return float(np.sqrt(abs(np.linalg.det(self.basis_px_yx))))

    @property
    def window_px(self) -> int:
        """Side of the canonical window, even."""
        return 2 * round(WINDOW_PERIODS * self.period_px / 2)


@dataclass(frozen=True, slots=True)
class Split:
    """Three bands of one frame that share no pixel."""

    name: str
    fit: Band
    calibration: Band
    test: Band


@dataclass(frozen=True, slots=True)
class SeamlessDefect:
    """A column dimmed or brightened by a share of what it has above the dark, or displaced."""

    name: str
    column: str
    share: float = 0.0
    shift_periods: float = 0.0


DEFECTS = (
    SeamlessDefect("Sr -100 %", "sr", share=1.0),
    SeamlessDefect("Sr -50 %", "sr", share=0.5),
    SeamlessDefect("Sr -30 %", "sr", share=0.3),
    SeamlessDefect("Ti -100 %", "ti", share=1.0),
    SeamlessDefect("Ti -50 %", "ti", share=0.5),
    SeamlessDefect("Ti +50 %", "ti", share=-0.5),
    SeamlessDefect("Sr 0.1 a off", "sr", shift_periods=0.1),
    SeamlessDefect("Ti 0.1 a off", "ti", shift_periods=0.1),
)


def blurred(image: Image, period_px: float) -> Image:
    """Blur a band as the scorers of methods/vae.md want it, mirrored at its edges."""
    out: Image = ndimage.gaussian_filter(image, BLUR_PERIODS * period_px, mode="reflect")
    return out


def splits(kind: str = "dense", image: Image | None = None) -> Iterator[Split]:
    """Cut the frame of SrTiO3 three times; skips the test where the frame is not there.

    Parameters
    ----------
    kind
        "window": for scorers of single windows; "dense": for those that lose half a window at
        each border of their band, lattice-locked networks included.
    image
        Another frame of SrTiO3 [001], at least 512 x 512.
    """
    frame = shared_image(FRAME) if image is None else image
    lock, (sr_yx, ti_yx) = _columns_of(frame)
    for name in SPLITS:
        ranges = (_MIRRORED if name == "mirrored" else _RANGES)[kind]
        turned = name == "columns"
        pixels = np.ascontiguousarray(frame.T) if turned else frame
        along = slice(None, None, -1) if turned else slice(None)
        bands = [
            Band(
                np.ascontiguousarray(pixels[first:beyond]),
                _inside(sr_yx[:, along], (first, beyond), pixels.shape[1]),
                _inside(ti_yx[:, along], (first, beyond), pixels.shape[1]),
                np.ascontiguousarray(lock.basis_px_yx[:, along]),
                (first, beyond),
            )
            for first, beyond in ranges
        ]
        yield Split(name, *bands)


def with_defect(
    band: Band, place_yx: NDArray[np.float64], defect: SeamlessDefect, angle_rad: float
) -> Image:
    """Raw pixels of a band with one defect at a column; noise is changed as the signal is.

    Parameters
    ----------
    angle_rad
        Where to, for a displacement.
    """
    y, x = np.indices(band.image.shape, np.float64)
    square = (y - place_yx[0]) ** 2 + (x - place_yx[1]) ** 2
    if defect.shift_periods:
        weight = np.exp(-square / (2 * (WARP_PERIODS * band.period_px) ** 2))
        step = defect.shift_periods * band.period_px
        along = step * np.sin(angle_rad), step * np.cos(angle_rad)
        sources = [y - along[0] * weight, x - along[1] * weight]
        moved: Image = ndimage.map_coordinates(band.image, sources, order=3, mode="reflect")
        # Where nothing moves nothing changes, resampling included.
        still: Image = np.where(weight > 1e-3, moved, band.image).astype(np.float32)
        return still
    weight = np.exp(-square / (2 * (COLUMN_PERIODS * band.period_px) ** 2))
    dark = np.quantile(band.image, 0.05)
    changed: Image = band.image + ((dark - band.image) * defect.share * weight).astype(np.float32)
    return changed


def with_defects(band: Band, share: float, seed: int) -> Band:
    """Return a band in which this share of its columns, drawn at random, is damaged in some way."""
    rng = np.random.default_rng(seed)
    damaged = band
    for column, places in (("sr", band.sr_yx), ("ti", band.ti_yx)):
        kinds = [defect for defect in DEFECTS if defect.column == column]
        for site in rng.choice(len(places), round(share * len(places)), replace=False):
            kind = kinds[rng.integers(len(kinds))]
            image = with_defect(damaged, places[site], kind, rng.uniform(0, 2 * np.pi))
            damaged = replace(damaged, image=image)
    return damaged


def _columns_of(frame: Image) -> tuple[LatticeLock, tuple[Places, Places]]:
    """Lock of the frame, and both kinds of columns: the brightest place of the cell is Sr."""
    lattice = find_lattice(frame)
    lock = None if lattice is None else lock_lattice(frame, lattice)
    if lock is None:
        raise AssertionError("the frame has a lattice")
    smooth = blurred(frame, lock.period_px)
    addresses = lock.addresses_in((frame.shape[0], frame.shape[1]))
    fractions = np.stack(np.meshgrid(*2 * [np.arange(24) / 24], indexing="ij"), -1).reshape(-1, 2)
    means = [_mean_at(smooth, lock.places(addresses, one)) for one in fractions]
    sr = fractions[int(np.argmax(means))]
    places = [lock.places(addresses, (sr + offset)) for offset in (0.0, 0.5)]
    return lock, (_at_maxima(smooth, places[0]), _at_maxima(smooth, places[1]))


def _mean_at(image: Image, places: Places) -> float:
    inside = ((places >= 0) & (places <= np.array(image.shape) - 1)).all(axis=1)
    return float(ndimage.map_coordinates(image, places[inside].T, order=1).mean())


def _at_maxima(image: Image, places: Places, reach_px: int = 4) -> Places:
    """Move places to the centre of mass near the brightest pixel within reach; the others stay."""
    out = places.copy()
    for row, (y, x) in enumerate(np.round(places).astype(int)):
        top, left = y - reach_px, x - reach_px
        part = image[max(top, 0) : y + reach_px + 1, max(left, 0) : x + reach_px + 1]
        if top < 0 or left < 0 or part.shape != (2 * reach_px + 1, 2 * reach_px + 1):
            continue
        peak = np.array(np.unravel_index(int(np.argmax(part)), part.shape))
        if (peak % (2 * reach_px) > 0).all():  # else the brightest is on its rim
            out[row] = peak + np.array((top, left))
    return out


def _inside(places: Places, rows: Range, width: int) -> Places:
    first, beyond = rows
    kept = (places[:, 0] >= first) & (places[:, 0] <= beyond - 1)
    kept &= (places[:, 1] >= 0) & (places[:, 1] <= width - 1)
    return np.ascontiguousarray(places[kept] - (first, 0))
