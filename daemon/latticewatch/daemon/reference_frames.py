"""Frames that a fit is given, and what is known of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from latticewatch.adapters.recorded import Recording, expand_inputs, open_recording, wire_pixels
from latticewatch.detectors.polarity import contrast_of_channel

# 64 frames of 1024 x 1024: more than the fit takes sites from, and 256 MB in the other process.
MOST_REFERENCE_PIXELS = 64 * 2**20


Frame = NDArray[Any]  # Any: one of the wire's pixel types


@dataclass(frozen=True, slots=True)
class Reference:
    """Frames to fit on, and where they came from.

    Attributes
    ----------
    images : list of (H, W)
        In wire types, as the daemon would receive them.
    provenance
        For the model file: names of the inputs and the frames taken of each.
    labels : list of str
        What messages call each image.
    polarity
        "bright" or "dark" columns, where the names of all files say the channel and agree; else
        "auto", and the frames decide.
    """

    images: list[Frame]
    provenance: dict[str, Any]  # Any: JSON
    labels: list[str]
    polarity: str = "auto"


def gather_frames(inputs: Iterable[Path]) -> Reference:
    """Read all frames of the inputs, evenly thinned where they would be too many.

    Raises
    ------
    InputError
        One of them cannot be read.
    """
    recordings = [open_recording(path) for path in expand_inputs(inputs)]
    return reference_of(recordings)


def reference_of(recordings: list[Recording]) -> Reference:
    """Read the frames of opened recordings, evenly thinned where they would be too many."""
    places = [(recording, index) for recording in recordings for index in range(recording.n_frames)]
    n_pixels = sum(recording.shape_yx[0] * recording.shape_yx[1] for recording, _ in places)
    step = -(-n_pixels // MOST_REFERENCE_PIXELS)  # rounded up
    chosen = places[:: max(step, 1)]
    taken: dict[Path, list[int]] = {}  # by path: two folders may hold files of one name
    for recording, index in chosen:
        taken.setdefault(recording.path, []).append(index)
    return Reference(
        images=[wire_pixels(recording.frame(index)) for recording, index in chosen],
        provenance={"inputs": [{"name": path.name, "frames": taken[path]} for path in taken]},
        labels=[
            recording.name if recording.n_frames == 1 else f"{recording.name} [{index}]"
            for recording, index in chosen
        ],
        polarity=_polarity_of([recording.name for recording in recordings]),
    )


def _polarity_of(names: list[str]) -> str:
    contrasts = {contrast_of_channel(name) for name in names}
    if len(contrasts) != 1:
        return "auto"
    return {1: "bright", -1: "dark", None: "auto"}[contrasts.pop()]
