"""The published rule: what a network fails to redraw of a window, in one number and one verdict.

Prifti, Buban, Thind and Klie, Microsc. Microanal. 28 (Suppl. 1), 2022. Four errors of the authors'
programs are not repeated: windows are compared with the drawing of their own set; the box round
the largest difference ends at the edge of the window and does not go on at the other side; a
verdict that says "defect" means one; windows are prepared alike in the fit and in scoring.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from latticewatch.detectors.vae.tiles import cut_tiles, tile_corners

Latent = Literal["mean", "sample"]

MODE = "as_published"
_TRUNCATE = 4.0  # standard deviations of the blur
_FLAT_BAND = 0.1  # half-width where the reference does not scatter at all
_BATCH = 256  # more windows at once no longer fit into the cache
_BLUR_BATCH = 64


@dataclass(frozen=True, slots=True)
class PublishedRule:
    """Numbers of the published rule; those that are not learned have the published values.

    Attributes
    ----------
    window_px, step_px
        Side of a window, and distance between two of a frame.
    sigma_px
        Blur of each window by itself (2 in the paper; later 1.0 for CdTe, 1.4 for SrTiO3).
    cut
        Smaller differences count as none. The prepared window goes from 0 to 1.
    half_width_px
        Of the box round the largest difference: 6 is a box of 13 x 13.
    band_width_sd
        Half-width of the band of bulk, in standard deviations.
    band_mean, band_sd
        Of the score over bulk windows.
    latent
        Decode the mean of the latent space, which can be repeated by anyone, or one sample of it,
        as published, with dice that model, frame and window determine.
    zero
        Level that counts as black, on the scale of `as_levels`.
    """

    window_px: int = 64
    step_px: int = 32
    sigma_px: float = 2.0
    cut: float = 0.2
    half_width_px: int = 6
    band_width_sd: float = 1.5
    band_mean: float = 0.0
    band_sd: float = 0.0
    latent: Latent = "mean"
    zero: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no fit can have made, as ValueError."""
        # Written so that NaN fails.
        limits = (
            ("window_px", 8 <= self.window_px <= 512),
            ("step_px", 1 <= self.step_px <= self.window_px),
            ("sigma_px", 0.0 <= self.sigma_px <= 16.0),
            ("cut", 0.0 <= self.cut < 1.0),
            ("half_width_px", 0 <= self.half_width_px < self.window_px),
            ("band_width_sd", 0.0 < self.band_width_sd < 100.0),
            ("band_mean", abs(self.band_mean) < math.inf),
            ("band_sd", 0.0 <= self.band_sd < math.inf),
            ("latent", self.latent in ("mean", "sample")),
            ("zero", abs(self.zero) < math.inf),
        )
        for name, holds in limits:
            if not holds:
                raise ValueError(f"{name} = {getattr(self, name)!r} is no number of a model")

    @property
    def band(self) -> tuple[float, float]:
        """Scores between these two, both excluded, are bulk."""
        half = self.band_width_sd * self.band_sd if self.band_sd > 0 else _FLAT_BAND
        return self.band_mean - half, self.band_mean + half

    def is_bulk(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Tell which scores (N,) lie within the band; NaN does not."""
        low, high = self.band
        inside: NDArray[np.bool_] = (scores > low) & (scores < high)
        return inside


def as_levels(windows: NDArray[np.generic]) -> NDArray[np.float32]:
    """Return pixels as parts of the full scale of their type; those of float types as they are.

    As each window is divided by its maximum later, only the place of zero matters to the result:
    numbers of float types need no known range.

    >>> as_levels(np.array([0, 51, 255], np.uint8)).tolist() == np.float32([0, 0.2, 1]).tolist()
    True
    """
    levels = windows.astype(np.float32)
    if windows.dtype.kind in "ui":
        n_bits = 8 * windows.dtype.itemsize - (windows.dtype.kind == "i")
        levels /= np.float32(2.0**n_bits - 1.0)
    return levels


def zero_of(windows: NDArray[np.generic]) -> float:
    """Return the level that counts as black: 0, or the lowest number of a set that goes below."""
    levels = as_levels(windows)
    finite = levels[np.isfinite(levels)]
    return min(0.0, float(finite.min())) if finite.size else 0.0


def prepare(windows: NDArray[np.generic], sigma_px: float, zero: float) -> NDArray[np.float32]:
    """Blur each window by itself and divide it by its maximum.

    Parameters
    ----------
    windows : (N, S, S)
        Any real type; levels as `as_levels` makes them.
    sigma_px
        Of the Gaussian: beyond the edge of a window its last pixels go on, and the weights end at
        four sigma.
    zero
        Subtracted first, on the scale of the levels. What is darker still becomes black.

    Returns
    -------
    (N, S, S)
        From 0 to 1, float32. A window that holds a pixel that is not finite, or nothing brighter
        than black, is all NaN.
    """
    prepared = np.empty(windows.shape, np.float32)
    # In parts: as one, the 4 MB of 256 windows are read from memory for each step.
    for start in range(0, len(windows), _BLUR_BATCH):
        part = slice(start, start + _BLUR_BATCH)
        levels = as_levels(windows[part]) - np.float32(zero)
        spoilt = ~np.isfinite(levels).all(axis=(1, 2))
        levels[spoilt] = 0.0
        blurred = ndimage.gaussian_filter(
            levels, (0.0, sigma_px, sigma_px), mode="nearest", truncate=_TRUNCATE
        )
        np.maximum(blurred, 0.0, out=blurred)
        brightest = blurred.max(axis=(1, 2), initial=0.0)
        brightest[spoilt | ~(brightest > 0)] = np.nan
        np.divide(blurred, brightest[:, None, None], out=prepared[part])
    return prepared


def difference_map(
    prepared: NDArray[np.float32], redrawn: NDArray[np.float32], cut: float
) -> NDArray[np.float32]:
    """Return window less drawing (N, S, S), with what is smaller than the cut set to 0."""
    difference = prepared - redrawn
    difference[np.abs(difference) < cut] = 0.0
    return difference


def average_near_maximum(
    differences: NDArray[np.float32], half_width_px: int
) -> NDArray[np.float64]:
    """Average the differences round the largest one, signed: the published score.

    Parameters
    ----------
    differences : (N, S, S)
        Of `difference_map`. The first of several equal largest ones counts.
    half_width_px
        Of the box, which ends at the edge of the window.

    Returns
    -------
    (N,)
        0 where no difference reached the cut, NaN for a window of NaN.
    """
    n, height, width = differences.shape
    if n == 0:
        return np.empty(0)
    largest = np.abs(differences).reshape(n, -1).argmax(axis=1)
    y, x = np.divmod(largest, width)
    offsets = np.arange(-half_width_px, half_width_px + 1)
    rows, columns = y[:, None] + offsets, x[:, None] + offsets
    inside = ((rows >= 0) & (rows < height))[:, :, None]
    inside = inside & ((columns >= 0) & (columns < width))[:, None, :]
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    box = differences[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    sums = np.where(inside, box, np.float32(0.0)).sum(axis=(1, 2), dtype=np.float64)
    scores: NDArray[np.float64] = sums / inside.sum(axis=(1, 2))
    return scores


def band_of(scores: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return mean and standard deviation of the scores of bulk windows; NaN does not count."""
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        raise ValueError("no bulk window could be scored")
    return float(finite.mean()), float(finite.std())


def dice_of(digest: str, frame: int, n_windows: int, n_latents: int) -> NDArray[np.float32]:
    """Return standard normal numbers (N, L) that model, frame and window determine.

    Parameters
    ----------
    digest
        Of the model.
    frame
        Its number, 0 or more.
    n_windows, n_latents
        N and L. A window's numbers do not depend on how many windows follow.
    """
    named = hashlib.sha256(f"{digest} {frame}".encode()).digest()
    dice = np.random.Generator(np.random.Philox(key=int.from_bytes(named[:16], "little")))
    return dice.standard_normal((n_windows, n_latents), np.float32)


@dataclass(frozen=True, slots=True)
class WindowVerdicts:
    """What the published rule says of windows, in their order.

    Attributes
    ----------
    corners_yx : (N, 2)
        Top left pixel of each in its frame; zeros for windows that come by themselves.
    scores : (N,)
        Average near maximum, signed: negative where something is missing. NaN: not scored.
    is_defect : (N,)
        Outside the band of bulk. False where there is no score.
    is_scored : (N,)
        False for a window with pixels that are not finite, without anything brighter than black,
        or whose drawing came out as NaN.
    differences : (N, S, S)
        Window less drawing after the cut.
    """

    corners_yx: NDArray[np.int64]
    scores: NDArray[np.float64]
    is_defect: NDArray[np.bool_]
    is_scored: NDArray[np.bool_]
    differences: NDArray[np.float32]


class PublishedDetector:
    """A network and the published rule, applied to windows or to whole frames.

    Parameters
    ----------
    network
        ONNX graph of `export.to_onnx`; with `rule.latent` "sample" one that takes noise.
    rule
        Learned with it.
    digest
        Names the model; the dice of samples follow from it.
    """

    def __init__(self, network: bytes, rule: PublishedRule, digest: str = "") -> None:
        self.rule, self._digest = rule, digest
        self._session = _open(network)
        inputs = {one.name: one.shape for one in self._session.get_inputs()}
        wanted = {"windows", "noise"} if rule.latent == "sample" else {"windows"}
        sides = [1, rule.window_px, rule.window_px]
        if set(inputs) != wanted or list(inputs["windows"][1:]) != sides:
            raise ValueError(f"the network reads {inputs}: expected {wanted}, windows of {sides}")
        if list(self._session.get_outputs()[0].shape[1:]) != sides:
            raise ValueError("the network does not redraw whole windows")
        self._n_latents = int(inputs["noise"][1]) if rule.latent == "sample" else 0

    def score_frame(self, image: NDArray[np.generic], frame: int = 0) -> WindowVerdicts:
        """Judge each window of the grid over a frame (H, W); `frame` is its number."""
        rule = self.rule
        shape_yx = (int(image.shape[0]), int(image.shape[1]))
        corners = tile_corners(shape_yx, rule.window_px, rule.step_px)
        return self._judge(cut_tiles(image, corners, rule.window_px), corners, frame)

    def score_windows(self, windows: NDArray[np.generic], frame: int = 0) -> WindowVerdicts:
        """Judge windows (N, S, S) that were cut already."""
        return self._judge(windows, np.zeros((len(windows), 2), np.int64), frame)

    def _judge(
        self, windows: NDArray[np.generic], corners: NDArray[np.int64], frame: int
    ) -> WindowVerdicts:
        rule = self.rule
        prepared = prepare(windows, rule.sigma_px, rule.zero)
        redrawn = self.redraw(prepared, frame)
        differences = difference_map(prepared, redrawn, rule.cut)
        scores = average_near_maximum(differences, rule.half_width_px)
        # One pixel of NaN outside the box leaves the score finite, and is no score all the same.
        is_scored = np.asarray(np.isfinite(differences).all(axis=(1, 2)))
        scores[~is_scored] = np.nan
        is_defect = is_scored & ~rule.is_bulk(scores)
        return WindowVerdicts(corners, scores, is_defect, is_scored, differences)

    def redraw(self, prepared: NDArray[np.float32], frame: int = 0) -> NDArray[np.float32]:
        """Redraw prepared windows (N, S, S); NaN gives NaN."""
        n = len(prepared)
        redrawn = np.empty_like(prepared)
        dice = dice_of(self._digest, frame, n, self._n_latents) if self._n_latents else None
        for start in range(0, n, _BATCH):
            part = slice(start, start + _BATCH)
            given = {"windows": prepared[part, None]}
            if dice is not None:
                given["noise"] = dice[part]
            redrawn[part] = self._session.run(None, given)[0][:, 0]
        # ReLU may turn NaN into 0.
        redrawn[np.isnan(prepared).any(axis=(1, 2))] = np.nan
        return redrawn


def header_of(rule: PublishedRule) -> dict[str, object]:
    """Return the rule as a model file keeps it, with the name of the mode."""
    return {"mode": MODE, **asdict(rule)}


def rule_from(header: Mapping[str, Any]) -> PublishedRule:  # Any: numbers and text of JSON
    """Read what `header_of` wrote.

    Raises
    ------
    ValueError
        Another mode, an unknown or missing entry, or one that no fit can have made.
    """
    entries = dict(header)
    if entries.pop("mode", None) != MODE:
        raise ValueError(f"mode is {header.get('mode')!r}: expected {MODE!r}")
    if set(entries) != set(asdict(PublishedRule())):
        raise ValueError(f"entries {sorted(entries)} are not those of the published rule")
    for name, default in asdict(PublishedRule()).items():
        right = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(entries[name], right) or isinstance(entries[name], bool):
            raise ValueError(f"{name} = {entries[name]!r} is no {type(default).__name__}")
    return PublishedRule(**entries)


def _open(network: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
