"""Frames that hold no lattice, of every law that a microscope or a test may make."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Frame = NDArray[np.float64]
Shape = tuple[int, int]
Law = Callable[[np.random.Generator, Shape], Frame]


def _grid(shape: Shape) -> tuple[Frame, Frame]:
    y, x = np.indices(shape).astype(np.float64)
    return y, x


def _normal(rng: np.random.Generator, shape: Shape, scale: float = 1.0) -> Frame:
    return scale * rng.normal(size=shape)


def _counts(rng: np.random.Generator, mean: Frame) -> Frame:
    counts: Frame = rng.poisson(np.maximum(mean, 0.0)).astype(np.float64)
    return counts


def _blurred(rng: np.random.Generator, shape: Shape, sigma_px: float) -> Frame:
    blobs: Frame = ndimage.gaussian_filter(rng.normal(size=shape), sigma_px, mode="wrap")
    return blobs / float(blobs.std())


def _amorphous(rng: np.random.Generator, shape: Shape, aspect: float = 1.0) -> Frame:
    """Noise with a broad ring in its spectrum, of unit variance."""
    period_px, width = rng.uniform(8, 25), rng.uniform(0.08, 0.4)
    gy, gx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])
    ring = np.exp(-0.5 * ((np.hypot(aspect * gy, gx) * period_px - 1) / width) ** 2)
    noise: Frame = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * ring, shape)
    return noise / float(noise.std())


def _fringes(
    rng: np.random.Generator, shape: Shape, jitter_px: float = 0.0, bend_rad: float = 0.0
) -> Frame:
    y, x = _grid(shape)
    angle, period_px = rng.uniform(0, np.pi), rng.uniform(6, 30)
    x = x + jitter_px * rng.normal(size=(shape[0], 1))
    way = np.sin(angle) * y + np.cos(angle) * x
    bend = bend_rad * np.sin(2 * np.pi * y / shape[0])
    waves: Frame = np.cos(2 * np.pi / period_px * way + bend)
    return waves


def _columns(rng: np.random.Generator, shape: Shape, apart_px: float = 0.0) -> Frame:
    """Columns anywhere, or as dense as a liquid when they must stay apart."""
    places = rng.uniform(0, 1, (int(3 * shape[0] * shape[1] / 256), 2)) * shape
    kept: list[NDArray[np.float64]] = []
    image = np.zeros(shape)
    cells: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    side = max(apart_px, 16.0)
    for place in places:
        cell = (int(place[0] // side), int(place[1] // side))
        around = [(cell[0] + i, cell[1] + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        near = [other for key in around for other in cells.get(key, [])]
        if any(np.hypot(*(place - other)) < apart_px for other in near):
            continue
        cells.setdefault(cell, []).append(place)
        kept.append(place)
    whole = np.array(kept).astype(int)
    np.add.at(image, (whole[:, 0], whole[:, 1]), 1.0)
    image = ndimage.gaussian_filter(image, 3.0, mode="wrap")
    return _counts(rng, 5 * image / image.mean())


def _edge(rng: np.random.Generator, shape: Shape) -> Frame:
    y, x = _grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    way = np.sin(angle) * (y - shape[0] / 2) + np.cos(angle) * (x - shape[1] / 2)
    return np.where(way > rng.uniform(-0.2, 0.2) * min(shape), 1.0, 0.0)


def _disc(rng: np.random.Generator, shape: Shape) -> Frame:
    y, x = _grid(shape)
    middle = rng.uniform(0.3, 0.7, 2) * shape
    radius = np.hypot(y - middle[0], x - middle[1])
    return np.where(radius < rng.uniform(0.1, 0.3) * min(shape), 1.0, 0.0)


def _rows(rng: np.random.Generator, shape: Shape, *, walk: bool = False) -> Frame:
    steps = rng.normal(size=(shape[0], 1))
    return np.broadcast_to(np.cumsum(steps, axis=0) if walk else steps, shape)


def _mains(rng: np.random.Generator, shape: Shape) -> Frame:
    """Hum: one frequency in time, so slanting fringes in the frame."""
    time = np.arange(shape[0] * shape[1]).reshape(shape)
    hum: Frame = np.sin(2 * np.pi * rng.uniform(0.01, 0.2) * time)
    return hum


def _hot(rng: np.random.Generator, shape: Shape) -> Frame:
    return (rng.random(shape) < 20 / (shape[0] * shape[1])).astype(np.float64)


def _pepper(rng: np.random.Generator, shape: Shape) -> Frame:
    drawn = rng.random(shape)
    return np.where(drawn < 0.02, 255.0, np.where(drawn > 0.98, 0.0, 100.0))


MEASURED: dict[str, Law] = {
    "normal noise": _normal,
    "0.02 counts": lambda rng, shape: _counts(rng, np.full(shape, 0.02)),
    "0.2 counts": lambda rng, shape: _counts(rng, np.full(shape, 0.2)),
    "3 counts": lambda rng, shape: _counts(rng, np.full(shape, 3.0)),
    "100 counts": lambda rng, shape: _counts(rng, np.full(shape, 100.0)),
    "salt and pepper": _pepper,
    "twenty hot pixels": _hot,
    "line noise": lambda rng, shape: _normal(rng, shape) + 3 * _rows(rng, shape),
    "strong line noise": lambda rng, shape: (
        _counts(rng, np.full(shape, 5.0)) + 20 * _rows(rng, shape)
    ),
    "wandering lines": lambda rng, shape: (
        _counts(rng, np.full(shape, 5.0)) + _rows(rng, shape, walk=True)
    ),
    "column noise": lambda rng, shape: _normal(rng, shape) + 3 * _rows(rng, (shape[1], shape[0])).T,
    "hum": lambda rng, shape: _counts(rng, np.full(shape, 4.0)) + 2 * _mains(rng, shape),
    "ramp of counts": lambda rng, shape: _counts(rng, 0.1 + 3 * _grid(shape)[1] / shape[1]),
    "blobs with noise": lambda rng, shape: (
        4 * _blurred(rng, shape, rng.uniform(3, 20)) + _normal(rng, shape)
    ),
    "blobs of counts": lambda rng, shape: _counts(rng, 2 + 2 * _blurred(rng, shape, 8.0)),
    "short-range noise": lambda rng, shape: _blurred(rng, shape, 1.5),
    "amorphous counts": lambda rng, shape: _counts(rng, 3 + _amorphous(rng, shape)),
    "astigmatic amorphous": lambda rng, shape: _counts(
        rng, 5 + 2 * _amorphous(rng, shape, rng.uniform(0.6, 1.6))
    ),
    "edge with noise": lambda rng, shape: 5 * _edge(rng, shape) + _normal(rng, shape),
    "disc with noise": lambda rng, shape: 10 * _disc(rng, shape) + _normal(rng, shape),
    "fringes with noise": lambda rng, shape: _fringes(rng, shape) + _normal(rng, shape, 0.3),
    "sharp fringes": lambda rng, shape: _fringes(rng, shape) ** 4 + _normal(rng, shape, 0.1),
    "fringes of counts": lambda rng, shape: _counts(rng, 1 + _fringes(rng, shape) ** 2),
    "torn fringes": lambda rng, shape: (
        _fringes(rng, shape, jitter_px=0.8) ** 4 + _normal(rng, shape, 0.1)
    ),
    "bent fringes": lambda rng, shape: (
        _fringes(rng, shape, bend_rad=1.0) ** 2 + _normal(rng, shape, 0.3)
    ),
    "disc of fringes": lambda rng, shape: _counts(
        rng, 1.5 + 1.4 * _disc(rng, shape) * _fringes(rng, shape)
    ),
    "columns anywhere": _columns,
    "liquid": lambda rng, shape: _columns(rng, shape, apart_px=13.6),
}
"""With noise, as every detector has it."""

DRAWN: dict[str, Law] = {
    "constant": lambda _, shape: np.full(shape, 700.0),
    "ramp": lambda rng, shape: rng.normal() * _grid(shape)[0] + rng.normal() * _grid(shape)[1],
    "parabola": lambda rng, shape: (
        rng.normal() * _grid(shape)[0] ** 2 + rng.normal() * _grid(shape)[1] ** 2
    ),
    "blobs": lambda rng, shape: _blurred(rng, shape, rng.uniform(3, 20)),
    "amorphous": _amorphous,
    "disc": _disc,
    "fringes": _fringes,
}
"""Without any noise, where leakage and rounding stand out of nothing."""

SHAPES: tuple[Shape, ...] = ((128, 128), (192, 256), (256, 256), (512, 384), (512, 512))


def empty_frames(
    laws: dict[str, Law], n_each: int, shapes: tuple[Shape, ...] = SHAPES
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Frames of each law, of all shapes in turn, each from a seed of its own."""
    for number, (name, law) in enumerate(laws.items()):
        for index in range(n_each):
            rng = np.random.default_rng([number, index])
            yield name, law(rng, shapes[index % len(shapes)]).astype(np.float32)
