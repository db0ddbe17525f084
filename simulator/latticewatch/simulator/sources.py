"""What is sent: simulated frames, or recorded ones as if they were live."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.adapters.recorded import Recording, WireFrame, expand_inputs, open_recording
from latticewatch.simulator.microscope import Microscope
from latticewatch.simulator.scan import field_of_view_nm_yx
from latticewatch.wire.frames import Context

MAX_KEPT_BYTES = 512 * 2**20
"""Recorded frames that fit into this are read once, however often they are sent."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame that is ready to be sent.

    Parameters
    ----------
    pixels : (H, W)
        Of a wire type. The socket reads it later: it must not change.
    fields
        Header fields that do not depend on the moment of sending.
    """

    pixels: NDArray[Any]  # one of five pixel types
    fields: dict[str, Any]  # values of many types; the sender checks them


def simulated_shots(
    microscope: Microscope, *, n_frames: int | None, tell_truth: bool
) -> Iterator[Shot]:
    """Scan frame after frame.

    Parameters
    ----------
    microscope
        Where they come from.
    n_frames
        None goes on for ever.
    tell_truth
        Put the defects into the header's `attrs`, which no detector reads.
    """
    settings = microscope.settings
    rows, columns = settings.shape_yx
    fields: dict[str, Any] = {
        "t_source": "software",
        "channel": "HAADF",
        "calibrated": True,
        "context": Context(
            size_yx=settings.shape_yx,
            fov_nm_yx=field_of_view_nm_yx(settings),
            center_nm_yx=(0.0, 0.0),
            rotation_rad=settings.scan_rotation_rad,
        ),
        "dwell_ns": 1e9 / settings.fps / (rows * columns),
        "polarity": "bright",
        "full_scale": float(np.iinfo(np.uint16).max),
    }
    for index in count() if n_frames is None else range(n_frames):
        pixels, truth = microscope.frame(index)
        yield Shot(
            pixels,
            fields | {"frame_index": index} | ({"attrs": truth.attrs()} if tell_truth else {}),
        )


def recorded_shots(
    paths: Sequence[Path], *, n_frames: int | None, is_looped: bool
) -> Iterator[Shot]:
    """Read recorded images, converted to a wire type where they have none.

    Parameters
    ----------
    paths
        Files, or folders of them.
    n_frames
        Stop after so many; None stops with the last image, or never if looped.
    is_looped
        Begin again after the last image.

    Raises
    ------
    InputError
        A file cannot be read; one line says why. Files are opened before the first shot.
    """
    recordings = [open_recording(path) for path in expand_inputs(paths)]
    return _shots_of(recordings, n_frames=n_frames, is_looped=is_looped)


def _shots_of(
    recordings: Sequence[Recording], *, n_frames: int | None, is_looped: bool
) -> Iterator[Shot]:
    kept: dict[tuple[int, int], WireFrame] = {}
    places = [(i, k) for i, recording in enumerate(recordings) for k in range(recording.n_frames)]
    n_all = len(places)
    n_shots = n_frames if is_looped else min(n_all, n_all if n_frames is None else n_frames)
    n_kept_bytes = 0
    for index in count() if n_shots is None else range(n_shots):
        place = places[index % n_all]
        recording = recordings[place[0]]
        frame = kept.get(place)
        if frame is None:
            frame = recording.wire_frame(place[1])
            n_kept_bytes += frame.pixels.nbytes
            if is_looped and n_kept_bytes <= MAX_KEPT_BYTES:
                kept[place] = frame
        yield Shot(frame.pixels, _recorded_fields(recording, frame, index=index))


def _recorded_fields(recording: Recording, frame: WireFrame, *, index: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"t_source": "software", "frame_index": index, "attrs": frame.attrs}
    context = recording.context
    return fields if context is None else fields | {"calibrated": True, "context": context}
