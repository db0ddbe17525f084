"""Fits models that look at windows without a lattice, on stacks of windows or on frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.reference_rule import FitError
from latticewatch.detectors.vae.patch_fit import PublishedFitSettings, fit_windows
from latticewatch.detectors.vae.published_rule import MODE as AS_PUBLISHED
from latticewatch.detectors.vae.shape import Progress
from latticewatch.detectors.vae.unlocked_fit import UnlockedFitSettings, fit_unlocked
from latticewatch.detectors.vae.window_model import detector_of, median_square, residuals_of

# A stack of squares no larger than this is one of windows: a lattice is found in nine periods.
LARGEST_WINDOW_PX = 128
_FEWEST_WINDOWS = 50
# Of frames, as published: crops at random places.
CROP_PX = 64
_N_CROPS = 1000
_N_USUAL = 200  # windows that say how much a residual usually is


@dataclass(frozen=True, slots=True)
class WindowFitReport:
    """What a fit found out, for people.

    Attributes
    ----------
    mode
        Of the model.
    n_windows
        Learned from and held out.
    onnx_parity
        Largest difference of the exported network from torch.
    warnings
        One line each.
    """

    mode: str
    n_windows: int
    onnx_parity: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WindowFit:
    """A model as its file holds it."""

    header: dict[str, Any]  # Any: JSON
    arrays: dict[str, NDArray[Any]]  # Any: bytes and floats
    report: WindowFitReport


def is_stack(frames: Sequence[NDArray[np.float32]]) -> bool:
    """Tell a stack of windows from frames: many equal squares, too small for a lattice."""
    shapes = {frame.shape for frame in frames}
    if len(shapes) != 1 or len(frames) < _FEWEST_WINDOWS:
        return False
    height, width = shapes.pop()
    return bool(height == width <= LARGEST_WINDOW_PX)


def random_crops(frames: Sequence[NDArray[np.float32]], seed: int) -> NDArray[np.float32]:
    """Cut 1000 windows (N, 64, 64) at random places, from frames in proportion to their pixels.

    Raises
    ------
    FitError
        No frame is so large.
    """
    large = [frame for frame in frames if min(frame.shape) >= CROP_PX]
    if not large:
        raise FitError(f"no frame holds a window of {CROP_PX} x {CROP_PX} px: give larger ones")
    dice = np.random.default_rng(seed)
    n_pixels = np.array([frame.size for frame in large], np.float64)
    chosen = dice.choice(len(large), _N_CROPS, p=n_pixels / n_pixels.sum())
    crops = np.empty((_N_CROPS, CROP_PX, CROP_PX), np.float32)
    for crop, number in zip(crops, chosen, strict=True):
        y, x = (int(dice.integers(side - CROP_PX + 1)) for side in large[number].shape)
        crop[:] = large[number][y : y + CROP_PX, x : x + CROP_PX]
    return crops


@dataclass(frozen=True, slots=True)
class WindowFitSettings:
    """What is fitted.

    Attributes
    ----------
    mode
        "as_published", or "unlocked", the default for windows without a lattice.
    network
        As published: "small" or "paper".
    epochs, seed
        Of the training; None for as many as the mode needs.
    """

    mode: str = "unlocked"
    network: Literal["small", "paper"] = "small"
    epochs: int | None = None
    seed: int = 0


def fit_on_windows(
    frames: Sequence[NDArray[np.float32]],
    settings: WindowFitSettings,
    *,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> WindowFit:
    """Fit the published network and rule, or the default for windows without a lattice.

    Parameters
    ----------
    frames
        A stack of windows, see `is_stack`, or frames, from which windows are cut at random.
    settings
        What is fitted.
    progress, checkpoint
        As `patch_fit.fit_windows`.

    Raises
    ------
    FitError
        Too few windows, or a training that learned nothing.
    """
    seed, epochs = settings.seed, settings.epochs
    windows = np.stack(list(frames)) if is_stack(frames) else random_crops(frames, seed)
    fitted: Any  # the two kinds have the same fields
    if settings.mode == AS_PUBLISHED:
        published = PublishedFitSettings(network=settings.network, seed=seed, epochs=epochs)
        fitted = fit_windows(windows, published, progress=progress, checkpoint=checkpoint)
    else:
        usual = UnlockedFitSettings(seed=seed, epochs=epochs or UnlockedFitSettings().epochs)
        fitted = fit_unlocked(windows, usual, progress=progress, checkpoint=checkpoint)
    some = windows[:: max(1, len(windows) // _N_USUAL)]
    detector = detector_of(fitted.network, fitted.rule)
    header = dict(fitted.header) | {"usual_square": median_square(residuals_of(detector, some))}
    report = WindowFitReport(
        settings.mode, len(windows), fitted.parity, _notes(frames, windows, settings.mode)
    )
    return WindowFit(header, dict(fitted.arrays), report)


def _notes(
    frames: Sequence[NDArray[np.float32]], windows: NDArray[np.float32], mode: str
) -> tuple[str, ...]:
    """Say what p-values of such a model are worth."""
    notes = []
    if not is_stack(frames):
        notes.append(
            f"{len(windows)} windows were cut at random places and overlap, held-out ones with "
            "those that were learned from: p-values are in-sample, too small for other frames"
        )
    if mode == AS_PUBLISHED:
        notes.append(
            "the published band is too narrow for other frames than those of the fit: expect a "
            "third to a half of their bulk outside it"
        )
    return tuple(notes)
