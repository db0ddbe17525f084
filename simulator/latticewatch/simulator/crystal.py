"""Where the atomic columns of three crystals are, and how brightly each scatters."""

from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray

Z_EXPONENT = 1.7
"""Annular dark field goes as Z^1.6 to Z^1.9, depending on the inner angle of the detector."""

ANG2_PER_Z = 5e-5
"""Chosen so that one Mo atom scatters 0.029 square angstrom on the detector, the usual order."""


@dataclass(frozen=True, slots=True)
class Sublattice:
    """One kind of column.

    Parameters
    ----------
    name
        As written in truth records.
    cell_ab
        Place in the cell, fractions of the two lattice vectors.
    atoms
        Atomic numbers met along the beam within one repeat.
    n_repeats
        Repeats along the beam.
    substitute
        The same with the heavier impurity in place; empty where none is simulated.
    damaged
        False for columns too faint for their loss to be seen; they get no defects.
    """

    name: str
    cell_ab: tuple[float, float]
    atoms: tuple[int, ...]
    n_repeats: int = 1
    substitute: tuple[int, ...] = ()
    damaged: bool = True

    @property
    def cross_section_ang2(self) -> float:
        """Scattering of the whole column."""
        return self.n_repeats * _cross_section_ang2(self.atoms)

    @property
    def substitute_ang2(self) -> float:
        """Scattering of the column with the heavier impurity in it."""
        return self.n_repeats * _cross_section_ang2(self.substitute)

    @property
    def brightest_ang2(self) -> float:
        """The larger of the two."""
        return max(self.cross_section_ang2, self.substitute_ang2)


@dataclass(frozen=True, slots=True)
class Crystal:
    """A projected crystal: two lattice vectors and the columns of one cell.

    Parameters
    ----------
    name
        As given to `--crystal`.
    a_nm_yx, b_nm_yx
        Lattice vectors.
    sublattices
        Columns of one cell.
    dose_e_per_ang2
        Electrons per square angstrom at which its columns are plain to see.
    """

    name: str
    a_nm_yx: tuple[float, float]
    b_nm_yx: tuple[float, float]
    sublattices: tuple[Sublattice, ...]
    dose_e_per_ang2: float

    @property
    def period_nm(self) -> float:
        """Shortest lattice vector."""
        return min(hypot(*self.a_nm_yx), hypot(*self.b_nm_yx))


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a piece of crystal.

    Parameters
    ----------
    nm_yx : (N, 2)
        Positions in the specimen plane.
    ang2 : (N,)
        Scattering cross-sections; 0 is an empty column.
    sublattice : (N,)
        Index into `Crystal.sublattices`.
    """

    nm_yx: NDArray[np.float64]
    ang2: NDArray[np.float64]
    sublattice: NDArray[np.int64]


def lay_columns(
    crystal: Crystal,
    *,
    rotation_rad: float,
    origin_nm_yx: NDArray[np.float64],
    radius_nm: float,
) -> Columns:
    """Fill a disc about (0, 0) of the specimen plane with perfect crystal.

    Parameters
    ----------
    crystal
        What to lay.
    rotation_rad
        Turn of the lattice vectors, clockwise with y down.
    origin_nm_yx : (2,)
        Where cell (0, 0) begins.
    radius_nm
        Of the disc.

    Returns
    -------
    Columns
        In a fixed order, the columns of a cell together.
    """
    basis = rotate(np.array([crystal.a_nm_yx, crystal.b_nm_yx]), rotation_rad)
    # The rows of the inverse are as long as one over the distance of lattice lines.
    spacing = np.linalg.norm(np.linalg.inv(basis), axis=0)
    reach = np.ceil((radius_nm + np.linalg.norm(origin_nm_yx)) * spacing).astype(int) + 1
    steps = [np.arange(-n, n + 1, dtype=np.float64) for n in reach]
    cells = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    inside_cell = np.array([part.cell_ab for part in crystal.sublattices])
    nm_yx = ((cells + inside_cell) @ basis + origin_nm_yx).reshape(-1, 2)
    sublattice = np.tile(np.arange(len(crystal.sublattices)), len(cells))
    kept = np.hypot(nm_yx[:, 0], nm_yx[:, 1]) <= radius_nm
    ang2 = np.array([part.cross_section_ang2 for part in crystal.sublattices])
    return Columns(nm_yx[kept], ang2[sublattice[kept]], sublattice[kept])


def rotate(yx: NDArray[np.float64], angle_rad: float) -> NDArray[np.float64]:
    """Turn (..., 2) vectors so that +x goes towards +y: clockwise on a screen.

    >>> bool(np.allclose(rotate(np.array([0.0, 1.0]), np.pi / 2), [1.0, 0.0]))
    True
    """
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    y, x = yx[..., 0], yx[..., 1]
    return np.stack([y * cosine + x * sine, x * cosine - y * sine], axis=-1)


def _cross_section_ang2(atoms: tuple[int, ...]) -> float:
    return float(sum(ANG2_PER_Z * atom**Z_EXPONENT for atom in atoms))


_MO, _S, _SE, _W = 42, 16, 34, 74
_SR, _TI, _O, _LA, _NB = 38, 22, 8, 57, 41
_CD, _TE, _HG = 48, 52, 80

_MOS2_NM, _SRTIO3_NM, _CDTE_NM = 0.316, 0.3905, 0.648

# About 4 nm along the beam: 10 cells of SrTiO3, 9 of the 0.458 nm repeats of CdTe [110].
_SRTIO3_REPEATS, _CDTE_REPEATS = 10, 9

CRYSTALS: dict[str, Crystal] = {
    "mos2": Crystal(
        "mos2",
        (0.0, _MOS2_NM),
        (_MOS2_NM * sqrt(0.75), _MOS2_NM / 2),
        (
            Sublattice("Mo", (1 / 3, 1 / 3), (_MO,), substitute=(_W,)),
            Sublattice("S2", (2 / 3, 2 / 3), (_S, _S), substitute=(_SE, _SE)),
        ),
        dose_e_per_ang2=1e5,
    ),
    "srtio3": Crystal(
        "srtio3",
        (0.0, _SRTIO3_NM),
        (_SRTIO3_NM, 0.0),
        (
            Sublattice("Sr", (0.0, 0.0), (_SR,), _SRTIO3_REPEATS, (_LA,)),
            Sublattice("TiO", (0.5, 0.5), (_TI, _O), _SRTIO3_REPEATS, (_NB, _O)),
            # Each scatters 7 % of a Sr column: in dark field its loss drowns in the noise.
            Sublattice("O", (0.5, 0.0), (_O,), _SRTIO3_REPEATS, damaged=False),
            Sublattice("O", (0.0, 0.5), (_O,), _SRTIO3_REPEATS, damaged=False),
        ),
        dose_e_per_ang2=1.5e4,
    ),
    # Seen along [110] the cell is a centred rectangle, a by a/sqrt(2); the two columns of a
    # dumbbell are a quarter of a apart along [001], here y.
    "zincblende": Crystal(
        "zincblende",
        (_CDTE_NM / 2, _CDTE_NM / sqrt(8)),
        (_CDTE_NM / 2, -_CDTE_NM / sqrt(8)),
        (
            Sublattice("Cd", (0.0, 0.0), (_CD,), _CDTE_REPEATS, (_HG,)),
            Sublattice("Te", (0.25, 0.25), (_TE,), _CDTE_REPEATS),
        ),
        dose_e_per_ang2=1e4,
    ),
}
