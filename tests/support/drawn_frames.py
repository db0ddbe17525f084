# Each flaw takes what the others take.
# ruff: noqa: ARG001
"""Whole frames as Hypothesis draws them: crystals, what is no crystal, and all that spoils either.

A frame is told by a few small numbers, so that one that fails shrinks to a sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from support.crystals import CRYSTALS, specimen

Field = NDArray[np.float64]
DTYPES = ("u1", "<u2", ">u2", "<u4", "<f4")
"""All pixel types of the wire."""

# Brighter than all else that is drawn but the wildest pixels.
_SATURATED = 1e6


@dataclass(frozen=True)
class Drawn:
    """One frame in words.

    Attributes
    ----------
    content
        Simulated crystal, plane waves, or something that is no crystal.
    shape_yx, dtype
        As on the wire.
    period_px, angle_rad, skew
        Of plane waves; the simulator takes the angle and makes its period of the size of a pixel.
    flaws
        In this order.
    scale
        Power of ten, of floats alone: integers have the range of their type.
    session, channel
        A digit that makes the identity of a session; name of the microscope's detector.
    seed
        Of all noise, and of the places of flaws.
    """

    content: str
    shape_yx: tuple[int, int]
    dtype: str
    period_px: float
    angle_rad: float
    skew: float
    flaws: tuple[str, ...]
    scale: int
    session: int
    channel: str
    seed: int

    @property
    def model(self) -> str:
        """Name a shipped model, that of the crystal if it shows one."""
        return self.content if self.content in CRYSTALS else CRYSTALS[0]

    @property
    def header(self) -> dict[str, Any]:  # Any: values of a header's fields
        """Say what a header has to."""
        channel = {"channel": self.channel} if self.channel else {}
        return {"session": f"{self.session:032x}", **channel}

    def pixels(self) -> NDArray[Any]:  # Any: every type of the wire
        """Draw it, read-only: as pixels come from the wire."""
        rng = np.random.default_rng(self.seed)
        image = self._content(rng)
        spread = float(np.ptp(image)) or 1.0
        for flaw in self.flaws:
            FLAWS[flaw](image, spread, rng)
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                pixels = (image * 10.0**self.scale).astype(dtype)
        else:
            # As much of 16 bits as goes in: what is brighter saturates, what is none is dark.
            top = float(np.iinfo(dtype).max)
            image = np.nan_to_num(image, nan=0.0, posinf=_SATURATED, neginf=0.0)
            usual = image[image < _SATURATED].max(initial=1.0)
            pixels = np.clip(image * min(1.0, 0.9 * top / usual), 0, top).astype(dtype)
        pixels.flags.writeable = False
        return pixels

    def _content(self, rng: np.random.Generator) -> Field:
        y, x = np.indices(self.shape_yx).astype(np.float64)
        if self.content in CRYSTALS:
            pixels, _ = specimen(
                self.content,
                shape_yx=self.shape_yx,
                # The sites of the three are about 0.3 nm apart.
                pixel_size_nm=float(np.clip(0.32 / self.period_px, 0.0115, 0.045)),
                rotation_deg=float(np.degrees(self.angle_rad)),
                seed=self.seed,
            )
            return pixels.astype(np.float64)
        if self.content == "waves":
            along = np.cos(self.angle_rad) * y + np.sin(self.angle_rad) * x
            across = np.cos(self.angle_rad) * x - np.sin(self.angle_rad) * y
            u, v = along + self.skew * across, across
            turns = 2 * np.pi / self.period_px
            waves: Field = 40.0 * np.exp(np.cos(turns * u) + np.cos(turns * v))
            return waves
        drawn: dict[str, Field] = {
            "constant": np.full(self.shape_yx, 40.0),
            "checkerboard": 40.0 * ((x + y) % 2),
            "ramp": x + 3.0 * y,
            "counts": rng.poisson(3.0, self.shape_yx).astype(np.float64),
            "stripes": 40.0 + 30.0 * np.cos(2 * np.pi * x / self.period_px),
        }
        return drawn[self.content]


def _part(image: Field, rng: np.random.Generator) -> NDArray[np.bool_]:
    """One side of a line somewhere, or a disc."""
    y, x = np.indices(image.shape)
    place, angle = rng.uniform(0, 1, 2) * image.shape, rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        beyond: NDArray[np.bool_] = (y - place[0]) * np.sin(angle) > (place[1] - x) * np.cos(angle)
        return beyond
    radius = rng.uniform(0.05, 0.5) * max(image.shape)
    disc: NDArray[np.bool_] = (y - place[0]) ** 2 + (x - place[1]) ** 2 < radius**2
    return disc


def _two_domains(image: Field, spread: float, rng: np.random.Generator) -> None:
    part = _part(image, rng)
    other = image[:, ::-1] if rng.random() < 0.5 else np.roll(image, 5, axis=1)
    image[part] = other[part]


def _vacuum(image: Field, spread: float, rng: np.random.Generator) -> None:
    part = _part(image, rng)
    image[part] = rng.poisson(1.0, int(part.sum()))


def _amorphous(image: Field, spread: float, rng: np.random.Generator) -> None:
    part = _part(image, rng)
    image[part] = spread * rng.normal(0.4, 0.3, int(part.sum()))


def _bump(image: Field, spread: float, rng: np.random.Generator) -> None:
    (y, x), place = np.indices(image.shape), rng.uniform(0, 1, 2) * image.shape
    away = (y - place[0]) ** 2 + (x - place[1]) ** 2
    image += rng.uniform(-1, 2) * spread * np.exp(-away / (2 * rng.uniform(2, 60) ** 2))


def _gradient(image: Field, spread: float, rng: np.random.Generator) -> None:
    image *= 1.0 + rng.uniform(-1, 3) * np.linspace(0.0, 1.0, image.shape[1])


def _saturated(image: Field, spread: float, rng: np.random.Generator) -> None:
    image[image > np.nanquantile(image, rng.uniform(0.9, 1.0))] = _SATURATED


def _hot_pixel(image: Field, spread: float, rng: np.random.Generator) -> None:
    image[rng.integers(image.shape[0]), rng.integers(image.shape[1])] = (
        10.0 ** rng.uniform(0, 8) * spread
    )


def _dead_rows(image: Field, spread: float, rng: np.random.Generator) -> None:
    image[rng.integers(0, image.shape[0], rng.integers(1, 4))] = rng.choice([0.0, spread])


def _nan_part(image: Field, spread: float, rng: np.random.Generator) -> None:
    few = rng.random(image.shape) < rng.choice([0.001, 0.02])
    image[few if rng.random() < 0.7 else _part(image, rng)] = np.nan


def _infinite(image: Field, spread: float, rng: np.random.Generator) -> None:
    image[rng.random(image.shape) < 0.002] = rng.choice([np.inf, -np.inf])


def _few_levels(image: Field, spread: float, rng: np.random.Generator) -> None:
    step = spread / rng.integers(1, 6)
    image[:] = np.round(image / step) * step


def _negative(image: Field, spread: float, rng: np.random.Generator) -> None:
    image *= -1.0


def _noise(image: Field, spread: float, rng: np.random.Generator) -> None:
    image += rng.choice([0.1, 1.0]) * spread * rng.normal(size=image.shape)


FLAWS: dict[str, Callable[[Field, float, np.random.Generator], None]] = {
    "two domains": _two_domains,
    "vacuum": _vacuum,
    "amorphous": _amorphous,
    "bump": _bump,
    "gradient": _gradient,
    "saturated": _saturated,
    "hot pixel": _hot_pixel,
    "dead rows": _dead_rows,
    "nan part": _nan_part,
    "infinite pixels": _infinite,
    "few levels": _few_levels,
    "negative": _negative,
    "noise": _noise,
}
"""What changes an image in place, told by how much it spreads."""

_CRYSTALLINE = (*CRYSTALS, "waves")
_EMPTY = ("constant", "checkerboard", "ramp", "counts", "stripes")
# Hypothesis likes the ends of a range: most frames are to be large enough for a lattice.
_SIDES = st.one_of(st.integers(96, 160), st.integers(96, 160), st.integers(16, 160))
# Of the shipped models.
_THEIR_PERIOD_PX, _THEIR_ANGLE_RAD = 0.32 / 0.0131, float(np.radians(11.0))


@st.composite
def drawn_frames(draw: st.DrawFn) -> Drawn:
    """One frame of anything; three in four are crystals, a part of these without a flaw."""
    shape_yx = draw(st.tuples(_SIDES, _SIDES))
    periods_px = st.integers(4, 16).map(lambda n_across: max(3.0, min(shape_yx) / n_across))
    flaws = st.lists(st.sampled_from(sorted(FLAWS)), max_size=3)
    return Drawn(
        content=draw(st.sampled_from(_CRYSTALLINE * 4 + _EMPTY)),
        shape_yx=shape_yx,
        dtype=draw(st.sampled_from(DTYPES)),
        period_px=draw(st.one_of(periods_px, periods_px, st.just(_THEIR_PERIOD_PX))),
        angle_rad=draw(st.one_of(st.just(_THEIR_ANGLE_RAD), st.floats(0.0, 3.0))),
        skew=draw(st.sampled_from([0.0, 0.5, 0.577, 0.2])),
        flaws=tuple(draw(st.one_of(st.just([]), flaws))),
        scale=draw(st.one_of(st.just(0), st.integers(-30, 30))),
        session=draw(st.integers(1, 2)),
        channel=draw(st.sampled_from(["", "HAADF"])),
        seed=draw(st.integers(0, 7)),
    )


@st.composite
def crystals(draw: st.DrawFn) -> Drawn:
    """Simulated crystals in single precision with nothing wrong but their defects.

    Of frames much smaller than these, one in two hundred has two lattices that are as good, and
    the last digit decides.
    """
    sides = st.integers(120, 160)
    shape_yx = draw(st.tuples(sides, sides))
    return Drawn(
        content=draw(st.sampled_from(CRYSTALS)),
        shape_yx=shape_yx,
        dtype="<f4",
        period_px=min(shape_yx) / draw(st.integers(5, 14)),
        angle_rad=draw(st.one_of(st.just(_THEIR_ANGLE_RAD), st.floats(0.0, 3.0))),
        skew=0.0,
        flaws=(),
        scale=0,
        session=1,
        channel="",
        seed=draw(st.integers(0, 7)),
    )


_CHANGES: tuple[tuple[str, ...], ...] = (
    ("seed",),
    ("flaws",),
    ("shape_yx",),
    ("session",),
    ("channel",),
    ("angle_rad", "period_px"),
    ("content",),
    ("dtype", "scale"),
    tuple(field.name for field in fields(Drawn)),
)


@st.composite
def sequences(draw: st.DrawFn, n_most: int = 4) -> list[Drawn]:
    """Frames in a row: each is as the one before, but for what a draw changes."""
    frames = [draw(drawn_frames())]
    for _ in range(draw(st.integers(0, n_most - 1))):
        new = draw(drawn_frames())
        changed = {name: getattr(new, name) for name in draw(st.sampled_from(_CHANGES))}
        frames.append(replace(frames[-1], **changed))
    return frames
