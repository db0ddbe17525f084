"""Frames of crystals with faults, twins, grains, patches and vacuum, drawn with exact truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

Places = NDArray[np.float64]

# Lattice vectors, and columns of a cell with their brightness; scaled to cells of area one.
CRYSTALS: dict[str, tuple[list[list[float]], list[tuple[float, float, float]]]] = {
    "square": ([[1.0, 0.0], [0.0, 1.0]], [(0.0, 0.0, 1.0), (0.5, 0.5, 0.45)]),
    "hexagonal": ([[1.0, 0.0], [0.5, 0.866]], [(1 / 3, 1 / 3, 1.0), (2 / 3, 2 / 3, 0.4)]),
    "oblique": ([[1.0, 0.0], [0.35, 0.8]], [(0.0, 0.0, 1.0), (0.4, 0.3, 0.6)]),
    # Zinc blende along [110]: pairs a quarter of the cubic cell apart.
    "dumbbells": ([[0.5, 0.3536], [0.5, -0.3536]], [(0.0, 0.0, 0.9), (0.25, 0.25, 1.0)]),
}
_SIGMA_PERIODS = 0.13
_GAP = 0.2  # of the brightest column
_CLOSEST_PERIODS = 0.3  # columns of two crystals that meet never lie nearer


@dataclass(frozen=True, slots=True)
class Faulted:
    """A frame and what it shows.

    Attributes
    ----------
    frame : (H, W)
        Counts.
    lines
        Points [y, x] of each boundary inside the frame, a pixel apart.
    patch : (H, W) bool
        Amorphous pixels.
    vacuum : (H, W) bool
        Empty pixels.
    period_px
        Root of the area of a lattice cell.
    """

    frame: NDArray[np.float32]
    lines: tuple[Places, ...]
    patch: NDArray[np.bool_]
    vacuum: NDArray[np.bool_]
    period_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What to draw.

    Attributes
    ----------
    crystal
        Key of `CRYSTALS`.
    defect
        none, fault, twin, grain, inclusion, patch, vacuum or points.
    angle_seed
        Of the crystal's angle and of the line's place: frames of one crystal share it.
    counts
        At the top of the brightest column.
    wedge
        Change of the brightness across the frame.
    jitter_px
        Of every column, rms.
    is_dark
        Columns are dark on a bright ground.
    """

    crystal: str = "hexagonal"
    defect: str = "none"
    seed: int = 0
    angle_seed: int | None = None
    shape_yx: tuple[int, int] = (512, 512)
    period_px: float = 18.0
    turn_deg: float = 15.0
    radius_px: float = 60.0
    counts: float = 30.0
    wedge: float = 0.0
    jitter_px: float = 0.2
    is_dark: bool = False


def faulted(crystal: str = "hexagonal", **settings: Any) -> Faulted:  # noqa: ANN401 - of a scene
    """Draw a scene; equal settings give equal frames."""
    scene = Scene(crystal=crystal, **settings)
    rng = np.random.default_rng([scene.seed, 11])
    fixed = np.random.default_rng(
        [scene.seed if scene.angle_seed is None else scene.angle_seed, 13]
    )
    shape = np.array(scene.shape_yx)
    basis = _basis(crystal) * scene.period_px @ _turn(float(fixed.uniform(0, 2 * np.pi)))
    angle = float(fixed.uniform(0, np.pi))
    normal = np.array([np.cos(angle), np.sin(angle)])
    through = (shape - 1) / 2 + fixed.uniform(-0.15, 0.15, 2) * shape
    y, x = np.indices(scene.shape_yx)
    beyond = normal[0] * (y - through[0]) + normal[1] * (x - through[1])
    disc = scene.radius_px - np.hypot(y - through[0], x - through[1])
    none = np.zeros(scene.shape_yx, bool)
    is_line = scene.defect in ("fault", "twin", "grain")
    field = beyond if is_line else disc
    columns = _columns(basis, crystal, np.zeros(2) + fixed.uniform(0, 20, 2), scene.shape_yx)
    if is_line or scene.defect == "inclusion":
        columns = _joined(columns, _other(scene, basis, normal, fixed), field, scene.period_px)
    patch = disc > 0 if scene.defect == "patch" else none
    vacuum = beyond > 0.2 * min(scene.shape_yx) if scene.defect == "vacuum" else none
    if scene.defect == "points":
        columns = _damaged(columns, rng)
    mean = _drawn(columns, scene, rng, patch, vacuum)
    lines: tuple[Places, ...] = ()
    if is_line:
        lines = (_straight(through, normal, scene.shape_yx),)
    elif scene.defect == "inclusion":
        turns = np.arange(0, 2 * np.pi, 1 / scene.radius_px)
        circle = through + scene.radius_px * np.stack([np.sin(turns), np.cos(turns)], axis=1)
        lines = (_inside(circle, scene.shape_yx),)
    frame = rng.poisson(mean).astype(np.float32)
    return Faulted(frame, lines, patch, vacuum, scene.period_px)


def _basis(crystal: str) -> NDArray[np.float64]:
    vectors = np.array(CRYSTALS[crystal][0])
    return np.asarray(vectors / np.sqrt(abs(np.linalg.det(vectors))))


def _turn(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _columns(
    basis: NDArray[np.float64], crystal: str, origin: Places, shape_yx: tuple[int, int]
) -> NDArray[np.float64]:
    """Rows y, x, brightness of all columns in and round a frame."""
    n_steps = int(1.2 * sum(shape_yx) / np.sqrt(abs(np.linalg.det(basis)))) + 3
    cells = np.indices((2 * n_steps + 1, 2 * n_steps + 1)).reshape(2, -1).T - n_steps
    motif = CRYSTALS[crystal][1]
    places = np.concatenate([(cells + part[:2]) @ basis + origin for part in motif])
    weights = np.repeat([part[2] for part in motif], len(cells))
    near = ((places > -40) & (places < np.array(shape_yx) + 40)).all(axis=1)
    return np.concatenate([places[near], weights[near, None]], axis=1)


def _other(
    scene: Scene, basis: NDArray[np.float64], normal: Places, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Columns of the crystal on the other side of a line."""
    origin = rng.uniform(0, scene.period_px, 2)
    if scene.defect == "fault":
        # Along a lattice vector and not by a whole one, so that the rows break at the line.
        rng = np.random.default_rng(0)
        origin = (basis[0] + 0.6 * basis[1]) * 0.4
        return _columns(basis, scene.crystal, origin, scene.shape_yx)
    if scene.defect == "twin":
        mirror = np.eye(2) - 2 * np.outer(normal, normal)
        return _columns(basis @ mirror, scene.crystal, origin, scene.shape_yx)
    turned = basis @ _turn(np.deg2rad(scene.turn_deg))
    return _columns(turned, scene.crystal, origin, scene.shape_yx)


def _joined(
    one: NDArray[np.float64], two: NDArray[np.float64], field: Places, period_px: float
) -> NDArray[np.float64]:
    """Columns of the first crystal where a field is negative, of the second where positive."""
    parts = []
    for sign, columns in ((-1, one), (1, two)):
        at = np.clip(np.round(columns[:, :2]).astype(int), 0, np.array(field.shape) - 1)
        parts.append(columns[sign * field[at[:, 0], at[:, 1]] > 0])
    near, _ = spatial.cKDTree(parts[0][:, :2]).query(parts[1][:, :2])
    return np.concatenate([parts[0], parts[1][near > _CLOSEST_PERIODS * period_px]])


def _damaged(columns: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Take out one column in eighty, and double one in eighty."""
    dice = rng.uniform(size=len(columns))
    columns = columns.copy()
    columns[dice < 1 / 80, 2] *= 2
    return columns[dice < 1 - 1 / 80]


def _drawn(
    columns: NDArray[np.float64],
    scene: Scene,
    rng: np.random.Generator,
    patch: NDArray[np.bool_],
    vacuum: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Mean counts of each pixel."""
    sigma_px = _SIGMA_PERIODS * scene.period_px
    crystal = _spots(columns, scene.shape_yx, sigma_px, scene.jitter_px, rng)
    if patch.any():
        # Ten layers of atoms anywhere, as dense as the crystal.
        n_atoms = 10 * len(columns)
        atoms = np.stack(
            [
                rng.uniform(-40, scene.shape_yx[0] + 40, n_atoms),
                rng.uniform(-40, scene.shape_yx[1] + 40, n_atoms),
                np.full(n_atoms, columns[:, 2].mean() / 10),
            ],
            axis=1,
        )
        crystal = np.where(patch, _spots(atoms, scene.shape_yx, sigma_px, 0.0, rng), crystal)
    mean = 1.2 - np.minimum(crystal, 1.2) + 0.1 if scene.is_dark else crystal + _GAP
    mean = np.where(vacuum, 1.6 if scene.is_dark else 0.05, mean)
    slope = np.linspace(-0.5, 0.5, scene.shape_yx[0])[:, None]
    return np.asarray(scene.counts * np.maximum(mean, 0.0) * (1 + scene.wedge * slope))


def _spots(
    columns: NDArray[np.float64],
    shape_yx: tuple[int, int],
    sigma_px: float,
    jitter_px: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Sum of Gaussians whose tops are the columns' brightness, on a wider field that is cut."""
    rim = 40
    image = np.zeros((shape_yx[0] + 2 * rim, shape_yx[1] + 2 * rim))
    places = columns[:, :2] + rng.normal(0, max(jitter_px, 1e-9), (len(columns), 2)) + rim
    corner = np.floor(places).astype(int)
    rest = places - corner
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = corner + step
        weight = columns[:, 2] * np.abs(1 - np.array(step) - rest).prod(axis=1)
        inside = ((at >= 0) & (at < image.shape)).all(axis=1)
        np.add.at(image, tuple(at[inside].T), weight[inside])
    spots = ndimage.gaussian_filter(image, sigma_px) * 2 * np.pi * sigma_px**2
    return np.asarray(spots[rim:-rim, rim:-rim])


def _straight(through: Places, normal: Places, shape_yx: tuple[int, int]) -> Places:
    along = np.array([-normal[1], normal[0]])
    steps = np.arange(-sum(shape_yx), sum(shape_yx))
    return _inside(through + steps[:, None] * along, shape_yx)


def _inside(line: Places, shape_yx: tuple[int, int]) -> Places:
    inside = ((line >= 0) & (line <= np.array(shape_yx) - 1)).all(axis=1)
    return np.asarray(line[inside])
