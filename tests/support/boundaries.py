"""Frames with one straight boundary of a known kind, drawn without the simulator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Lattice vectors [y, x] in units of the root of the cell's area, roughly, and columns of a cell
# [along a, along b, brightness].
CRYSTALS: dict[str, tuple[list[list[float]], list[tuple[float, float, float]]]] = {
    "square": ([[0.0, 1.0], [1.0, 0.0]], [(0.0, 0.0, 1.0), (0.5, 0.5, 0.45)]),
    "hexagonal": ([[0.0, 1.0], [0.866, 0.5]], [(1 / 3, 1 / 3, 1.0), (2 / 3, 2 / 3, 0.5)]),
    # Zinc blende along [110]: dumbbells.
    "dumbbell": ([[0.0, 1.0], [1.225, 0.5]], [(0.0, 0.0, 1.0), (0.125, 0.25, 0.8)]),
    # Four columns in an oblique cell, as monoclinic oxides have.
    "oblique": (
        [[0.0, 1.0], [1.0, 0.16]],
        [(0.2, 0.05, 1.0), (0.3, 0.55, 1.0), (0.7, 0.45, 0.9), (0.8, 0.95, 0.9)],
    ),
    "simple": ([[0.0, 1.0], [0.9, 0.3]], [(0.0, 0.0, 1.0)]),
}
KINDS = ("twin", "fault", "antiphase", "grain")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A frame, and the signed distance (H, W) to the boundary, positive beyond it."""

    frame: NDArray[np.float32]
    distance_px: NDArray[np.float64]
    period_px: float
    beyond_differs: bool

    def truth_at(
        self, step_px: float, first_px_yx: tuple[float, float], shape: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Cells of a map that belong to what is broken, and cells that do not; some are neither.

        Broken is what lies within half a period of the boundary, and the second crystal, where its
        texture is another one. Sound is what lies two periods and 24 px from it.
        """
        axes = [
            np.clip(np.rint(first + step_px * np.arange(n)), 0, side - 1).astype(int)
            for first, n, side in zip(first_px_yx, shape, self.frame.shape, strict=True)
        ]
        distance = self.distance_px[np.ix_(*axes)]
        line = np.abs(distance) <= max(0.5 * self.period_px, 0.6 * step_px)
        far = 2.0 * self.period_px + 24.0
        if not self.beyond_differs:
            return line, np.abs(distance) > far
        return line | (distance > 0), distance < -far


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What to draw.

    Attributes
    ----------
    kind
        Of `KINDS`, or "none".
    period_px
        Root of the cell's area.
    counts
        Mean per pixel; None for no noise.
    place
        Of the boundary, as a share of the frame.
    wedge
        Change of the brightness across the frame.
    strain
        Slow displacement, in periods rms.
    jitter_px
        Static disorder of the columns, rms per axis.
    width
        Standard deviation of a column, in periods.
    """

    crystal: str = "square"
    kind: str = "fault"
    seed: int = 0
    shape_yx: tuple[int, int] = (512, 512)
    period_px: float = 14.0
    counts: float | None = 30.0
    place: float = 0.65
    wedge: float = 0.2
    strain: float = 0.0
    jitter_px: float = 0.15
    width: float = 0.12
    turn_deg: float = 5.0


def boundary(**settings: Any) -> Drawn:  # noqa: ANN401 - fields of a scene
    """Draw a scene; equal settings give equal frames."""
    scene = _Scene(**settings)
    rng = np.random.default_rng([scene.seed, 17])
    vectors, motif = CRYSTALS[scene.crystal]
    basis = np.array(vectors)
    basis = basis * scene.period_px / np.sqrt(abs(np.linalg.det(basis)))
    turn = _turn(float(rng.uniform(0, 2 * np.pi)))
    basis = basis @ turn
    along = basis[0] / np.linalg.norm(basis[0])
    normal = np.array([along[1], -along[0]])
    y, x = np.indices(scene.shape_yx)
    distance = normal[0] * y + normal[1] * x
    shift = float(np.quantile(distance, scene.place)) if scene.kind != "none" else 1e6
    distance = distance - shift
    origin = normal * min(shift, 0.0 if scene.kind == "none" else shift)
    places, weights = _columns(basis, motif, scene.shape_yx)
    image = np.zeros(scene.shape_yx)
    moved = [_slow(rng, scene.shape_yx) * scene.strain * scene.period_px for _ in range(2)]
    for side in (-1, 1):
        own_places = places if side < 0 else _beyond(scene, places, basis, (along, normal))
        from_line = own_places @ normal
        own = from_line < 0 if side < 0 else from_line >= 0
        put = own_places[own] + origin
        at = np.clip(np.rint(put), 0, np.array(scene.shape_yx) - 1).astype(int)
        put = put + np.stack([axis[at[:, 0], at[:, 1]] for axis in moved], axis=1)
        _splat(image, put + rng.normal(0, scene.jitter_px, put.shape), weights[own])
    sigma_px = max(scene.width * scene.period_px, 0.8)
    image = ndimage.gaussian_filter(image, sigma_px) * 2 * np.pi * sigma_px**2 + 0.3
    image *= 1 + scene.wedge * np.linspace(-0.5, 0.5, scene.shape_yx[0])[:, None]
    if scene.counts is not None:
        image = rng.poisson(image * scene.counts / image.mean()).astype(np.float64)
    differs = scene.kind == "grain" or (scene.kind == "twin" and scene.crystal in _CHIRAL)
    return Drawn(image.astype(np.float32), distance, scene.period_px, differs)


# A mirror makes another texture of these.
_CHIRAL = ("oblique", "simple", "dumbbell")


def _beyond(
    scene: _Scene,
    places: NDArray[np.float64],
    basis: NDArray[np.float64],
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Columns of the second crystal."""
    normal = axes[1]
    if scene.kind == "fault":
        return np.asarray(places + basis[0] / 3)
    if scene.kind == "antiphase":
        return np.asarray(places + (basis[0] + basis[1]) / 2)
    if scene.kind == "twin":
        return np.asarray(places - 2 * np.outer(places @ normal, normal))
    if scene.kind == "grain":
        return np.asarray(places @ _turn(np.radians(scene.turn_deg)))
    return places


def _turn(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def _slow(rng: np.random.Generator, shape_yx: tuple[int, int]) -> NDArray[np.float64]:
    field = ndimage.gaussian_filter(rng.normal(size=shape_yx), 0.2 * min(shape_yx), mode="wrap")
    return np.asarray(field / field.std())


def _columns(
    basis: NDArray[np.float64], motif: list[tuple[float, float, float]], shape_yx: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns of an unbounded crystal about the origin, as far as a frame may reach."""
    shortest = min(float(np.linalg.norm(basis, axis=1).min()), abs(np.linalg.det(basis)) ** 0.5)
    n_steps = int(1.6 * sum(shape_yx) / shortest) + 3
    steps = np.indices((2 * n_steps + 1, 2 * n_steps + 1)).reshape(2, -1).T - n_steps
    cells = steps + 0.11  # no column on the boundary itself
    near = np.linalg.norm(cells @ basis, axis=1) < 1.5 * sum(shape_yx)
    cells = cells[near]
    places = np.concatenate([(cells + part[:2]) @ basis for part in motif])
    return places, np.repeat([part[2] for part in motif], len(cells))


def _splat(
    image: NDArray[np.float64], places: NDArray[np.float64], weights: NDArray[np.float64]
) -> None:
    """Share each column's weight among the four pixels round it."""
    corner = np.floor(places).astype(int)
    rest = places - corner
    for step in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = corner + step
        weight = weights * np.abs(1 - np.array(step) - rest).prod(axis=1)
        inside = ((at >= 0) & (at < image.shape)).all(axis=1)
        np.add.at(image, tuple(at[inside].T), weight[inside])
