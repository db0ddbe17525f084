"""Frames of crystals with known truth, and pipelines that judge them."""

import itertools
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.models import ModelSet, PattersonInForce, load_patterson
from latticewatch.daemon.pipeline import Incoming, Pipeline, PipelineSettings
from latticewatch.simulator.microscope import Microscope, MicroscopeSettings
from latticewatch.simulator.truth import Truth
from latticewatch.wire.codec import decode_event, encode
from latticewatch.wire.events import DefectEvent
from support.headers import T_NS
from support.headers import frame as frame_header

CRYSTALS = ("mos2", "srtio3", "zincblende")
Image = NDArray[np.float32]


@lru_cache(maxsize=64)
def specimen(
    crystal: str = "mos2",
    **settings: Any,  # noqa: ANN401 - settings of the simulator, by name
) -> tuple[NDArray[np.uint16], Truth]:
    """First frame of a simulated specimen, read-only, and what it shows."""
    pixels, truth = Microscope(MicroscopeSettings(crystal=crystal, **settings)).frame(0)
    pixels.flags.writeable = False
    return pixels, truth


def image_of(pixels: NDArray[Any]) -> Image:
    """Writable native float32, as the finder takes it."""
    return np.ascontiguousarray(pixels, dtype=np.float32).copy()


def net_frame(
    basis_px_yx: list[list[float]],
    *,
    shape_yx: tuple[int, int] = (256, 256),
    motif: tuple[tuple[float, float], ...] = ((0.0, 0.0),),
    sigma_px: float = 3.0,
    seed: int | None = 0,
) -> Image:
    """Gaussian columns of 25 counts on 5, drawn without the simulator; no seed, no noise."""
    basis = np.array(basis_px_yx)
    n_steps = int(sum(shape_yx) / np.sqrt(abs(np.linalg.det(basis)))) + 2
    cells = np.array(list(itertools.product(range(-n_steps, n_steps + 1), repeat=2)))
    columns = np.concatenate([(cells + place) @ basis for place in motif])
    near = (columns > -5 * sigma_px) & (columns < np.array(shape_yx) + 5 * sigma_px)
    counts = np.full(shape_yx, 5.0)
    y, x = np.arange(shape_yx[0])[:, None], np.arange(shape_yx[1])
    for column in columns[near.all(axis=1)]:
        counts += 25.0 * (
            np.exp(-(((y - column[0]) / sigma_px) ** 2) / 2)
            * np.exp(-(((x - column[1]) / sigma_px) ** 2) / 2)
        )
    if seed is not None:
        counts = np.random.default_rng(seed).poisson(counts)
    return counts.astype(np.float32)


def spans_the_same_net(found: NDArray[np.float64], truth: NDArray[np.float64]) -> bool:
    """Tell whether two bases differ by whole steps, to a fiftieth of a period."""
    steps = found @ np.linalg.inv(truth)
    whole = np.round(steps)
    return bool(np.abs(steps - whole).max() < 0.02 and round(abs(np.linalg.det(whole))) == 1)


@lru_cache
def in_force(crystal: str = "mos2") -> PattersonInForce:
    """Give a model of the package, loaded once."""
    return load_patterson(f"pretrained:{crystal}")


def shipped(crystal: str = "mos2") -> ModelSet:
    """Let a model of the package look, and nobody else."""
    return ModelSet(in_force(crystal))


def everybody(crystal: str = "mos2") -> ModelSet:
    """Let all detectors look at every frame."""
    return ModelSet(in_force(crystal), reference_cell=True, domains="always")


@dataclass
class TickingClock:
    """Each look is 7 us later than the last, so that durations are never zero."""

    now_ns: int = 1_000
    step_ns: int = 7_000

    def monotonic_ns(self) -> int:
        self.now_ns += self.step_ns
        return self.now_ns

    def utc_ns(self) -> int:
        return T_NS + self.monotonic_ns()


@dataclass
class Bench:
    """A pipeline that is fed pixels and whose events have been through the codec."""

    crystal: str = "mos2"
    settings: PipelineSettings = field(default_factory=PipelineSettings)
    models: ModelSet | None = None
    n_judged: int = 0

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(
            models=self.models or shipped(self.crystal),
            settings=self.settings,
            clock=TickingClock(),
        )

    def judge(
        self,
        pixels: NDArray[Any],
        **fields: Any,  # noqa: ANN401 - fields of a header
    ) -> DefectEvent:
        """Event of a frame as a client reads it, its envelope filled in.

        Each frame is in a session of its own unless told: its lattice is searched, not followed.
        """
        self.n_judged += 1
        fields.setdefault("session", f"{self.n_judged:032x}")
        outcome = self.pipeline.process(incoming(pixels, **fields))
        assert outcome.n_defects == outcome.event.n_defects
        return decode_event(encode(outcome.event))


def incoming(
    pixels: NDArray[Any],
    *,
    seq: int = 0,
    **fields: Any,  # noqa: ANN401 - fields of a header
) -> Incoming:
    """Frame as the receive thread hands it over."""
    dtype = pixels.dtype.str.replace("|", "")
    header = frame_header(seq, shape_yx=pixels.shape, dtype=dtype, **fields)
    return Incoming(header, pixels, t_recv_ns=T_NS + 1_000_000, queue_us=11, validate_us=5)


def places(event: DefectEvent) -> NDArray[np.float64]:
    """Where an event lists defects: (N, 2)."""
    return np.array([defect.pixel_yx for defect in event.defects]).reshape(-1, 2)


def without_times(event: DefectEvent) -> DefectEvent:
    """Same event as from an infinitely fast machine that has seen no frame before."""
    detectors = tuple(msgspec.structs.replace(state, us=0) for state in event.detectors)
    frame = msgspec.structs.replace(event.frame, session="0" * 32)
    return msgspec.structs.replace(
        event, latency_us={}, detectors=detectors, drift=None, frame=frame
    )
