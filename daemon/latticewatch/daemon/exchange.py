"""What goes into the pipeline, and the settings that it goes by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latticewatch.daemon.config import Settings
from latticewatch.detectors.pixel_size import PlaneNet
from latticewatch.wire.frames import FrameHeader


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What decides which places are listed, and how.

    Attributes
    ----------
    fdr, false_alarms_per_frame
        Exactly one is not None: largest q-value, or largest p-value times scored sites.
    max_defects
        Most defects in one event; the best are kept.
    valid_for_ms
        When a controller must treat the event as void.
    dopants_are_defects
        Columns of a second species are judged with all others, and not marked.
    copy_attrs
        Copy the vendor metadata of the header, undecoded.
    pictures
        Whether detectors draw what they could not explain; it takes them some milliseconds more.
    source
        Name of the source.
    material
        Gives the size of a pixel; None leaves it to the header.
    """

    fdr: float | None = 0.05
    false_alarms_per_frame: float | None = None
    max_defects: int = 256
    valid_for_ms: int = 1000
    dopants_are_defects: bool = False
    copy_attrs: bool = False
    pictures: bool = False
    source: str = "haadf1"
    material: PlaneNet | None = None


def pipeline_settings(settings: Settings) -> PipelineSettings:
    """Take what the pipeline asks for from the settings of a daemon."""
    return PipelineSettings(
        fdr=settings.detect.fdr,
        false_alarms_per_frame=settings.detect.false_alarms_per_frame,
        max_defects=settings.events.max_defects,
        valid_for_ms=settings.events.valid_for_ms,
        dopants_are_defects=settings.detect.dopants_are_defects,
        copy_attrs=settings.events.copy_attrs,
        source=settings.source.name,
        material=settings.material.net,
    )


@dataclass(frozen=True, slots=True)
class Incoming:
    """A frame that passed the checks of the wire.

    Attributes
    ----------
    header
        As decoded.
    pixels : (H, W)
        In the type of the wire, any byte order; only read.
    t_recv_ns
        UTC, when it was taken from the socket.
    queue_us, validate_us
        Time that it waited, and that its checks took.
    """

    header: FrameHeader
    pixels: NDArray[np.generic]
    t_recv_ns: int
    queue_us: int = 0
    validate_us: int = 0
