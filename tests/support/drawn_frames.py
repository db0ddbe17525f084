"""Whole frames as Hypothesis draws them: crystals, what is no crystal, and all that spoils either.

A frame is told by a few small numbers, so that one that fails shrinks to a sentence.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from support.crystals import CRYSTALS, specimen

Field = NDArray[np.float64]
DTYPES = ("u1", "<u2", ">u2", "<u4", "<f4")
"""All pixel types of the wire."""

FLAWS = (
    "two domains",
    "vacuum",
    "amorphous",
    "bump",
    "gradient",
    "saturated",
    "hot pixel",
    "dead rows",
    "nan part",
    "infinite pixels",
    "few levels",
    "negative",
    "noise",
)


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
            _spoil(image, flaw, spread, rng)
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


def _part(shape_yx: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    """One side of a line somewhere, or a disc."""
    y, x = np.indices(shape_yx)
    place, angle = rng.uniform(0, 1, 2) * shape_yx, rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.5:
        beyond: NDArray[np.bool_] = (y - place[0]) * np.sin(angle) > (place[1] - x) * np.cos(angle)
        return beyond
    radius = rng.uniform(0.05, 0.5) * max(shape_yx)
    disc: NDArray[np.bool_] = (y - place[0]) ** 2 + (x - place[1]) ** 2 < radius**2
    return disc


def _spoil(image: Field, flaw: str, spread: float, rng: np.random.Generator) -> None:
    """Put one flaw into an image."""
    y, x = np.indices(image.shape)
    part, finite = _part(image.shape, rng), image[np.isfinite(image)]
    middle = float(finite.mean()) if len(finite) else 0.0
    if flaw == "two domains":
        other = image[:, ::-1] if rng.random() < 0.5 else np.roll(image, 5, axis=1)
        image[part] = other[part]
    elif flaw == "vacuum":
        image[part] = rng.poisson(1.0, int(part.sum()))
    elif flaw == "amorphous":
        image[part] = middle + 0.3 * spread * rng.normal(size=int(part.sum()))
    elif flaw == "bump":
        place, width = rng.uniform(0, 1, 2) * image.shape, rng.uniform(2, 60)
        away = (y - place[0]) ** 2 + (x - place[1]) ** 2
        image += rng.uniform(-1, 2) * spread * np.exp(-away / (2 * width**2))
    elif flaw == "gradient":
        image *= 1.0 + rng.uniform(-1, 3) * x / image.shape[1]
    elif flaw == "saturated":
        image[image > np.nanquantile(image, rng.uniform(0.9, 1.0))] = _SATURATED
    elif flaw == "hot pixel":
        size = 10.0 ** rng.uniform(0, 8)
        image[rng.integers(image.shape[0]), rng.integers(image.shape[1])] = size * spread
    elif flaw == "dead rows":
        image[rng.integers(0, image.shape[0], rng.integers(1, 4))] = rng.choice([0.0, middle])
    elif flaw == "nan part":
        few = rng.random(image.shape) < rng.choice([0.001, 0.02])
        image[few if rng.random() < 0.7 else part] = np.nan
    elif flaw == "infinite pixels":
        image[rng.random(image.shape) < 0.002] = rng.choice([np.inf, -np.inf])
    elif flaw == "few levels":
        step = spread / rng.integers(1, 6)
        image[:] = np.round(image / step) * step
    elif flaw == "negative":
        image *= -1.0
    else:
        image += rng.choice([0.1, 1.0]) * spread * rng.normal(size=image.shape)


_SIDES = st.integers(16, 160)
_CONTENTS = st.sampled_from(
    [*CRYSTALS, "waves", *CRYSTALS, "waves", "constant", "checkerboard", "ramp", "counts"]
    + ["stripes"]
)


@st.composite
def drawn_frames(draw: st.DrawFn) -> Drawn:
    """One frame of anything."""
    return Drawn(
        content=draw(_CONTENTS),
        shape_yx=draw(st.tuples(_SIDES, _SIDES)),
        dtype=draw(st.sampled_from(DTYPES)),
        period_px=draw(st.floats(3.0, 40.0)),
        angle_rad=draw(st.floats(0.0, 3.0)),
        skew=draw(st.sampled_from([0.0, 0.5, 0.577, 0.2])),
        flaws=tuple(draw(st.lists(st.sampled_from(FLAWS), max_size=3))),
        scale=draw(st.one_of(st.just(0), st.integers(-30, 30))),
        session=draw(st.integers(1, 2)),
        channel=draw(st.sampled_from(["", "HAADF"])),
        seed=draw(st.integers(0, 7)),
    )


@st.composite
def sequences(draw: st.DrawFn, n_most: int = 4) -> list[Drawn]:
    """Frames in a row: each is as the one before, but for what a draw changes."""
    frames = [draw(drawn_frames())]
    for _ in range(draw(st.integers(0, n_most - 1))):
        new = draw(drawn_frames())
        last = frames[-1]
        changed = draw(
            st.sampled_from(
                [
                    {"seed": new.seed},
                    {"flaws": new.flaws},
                    {"shape_yx": new.shape_yx},
                    {"session": new.session, "channel": new.channel},
                    {"angle_rad": new.angle_rad, "period_px": new.period_px},
                    {"content": new.content},
                    {"dtype": new.dtype, "scale": new.scale},
                    None,
                ]
            )
        )
        frames.append(new if changed is None else replace(last, **changed))
    return frames
