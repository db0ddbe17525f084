"""Models that look at windows without a lattice: their files, and what they say of a frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.model_files import read_numbers
from latticewatch.detectors.protocols import ModelError
from latticewatch.detectors.vae import published_rule, unlocked
from latticewatch.detectors.vae.model import DETECTOR
from latticewatch.detectors.vae.published import PublishedDetector
from latticewatch.detectors.vae.published_rule import PublishedRule
from latticewatch.detectors.vae.unlocked import UnlockedDetector, UnlockedRule

WindowRule = PublishedRule | UnlockedRule
WindowDetector = PublishedDetector | UnlockedDetector
_SMALLEST_P = 1e-300
WINDOW_MODES = (published_rule.MODE, unlocked.MODE)


@dataclass(frozen=True, slots=True)
class WindowModel:
    """A network that redraws whole windows, and the rule learned with it.

    Attributes
    ----------
    mode
        One of `WINDOW_MODES`.
    rule
        Of this mode.
    network
        ONNX file.
    usual_square
        Median over windows of the reference of the mean square of the residual: a crystal that the
        network does not know leaves more, of every window alike, which the rules do not see.
    digest
        Of the model file.
    """

    mode: str
    rule: WindowRule
    network: bytes
    usual_square: float
    digest: str

    @classmethod
    def from_artifact(cls, artifact: Artifact, where: str) -> Self:
        """Build a model from a file's content.

        Parameters
        ----------
        artifact
            As read.
        where
            Name of the file, for messages.

        Raises
        ------
        ModelError
            A number is missing, or the network is none of ours.
        """
        if artifact.detector != DETECTOR:
            raise ModelError(f"{where}: a {artifact.detector} model, expected {DETECTOR}")
        mode = str(artifact.header.get("mode"))
        stored = artifact.arrays.get("network_onnx")
        if stored is None or stored.dtype != np.uint8 or stored.ndim != 1:
            raise ModelError(f"{where}: array network_onnx is missing, or no bytes (|u1)")
        usual = read_numbers(artifact, where, ("usual_square",))["usual_square"]
        if not usual >= 0:
            raise ModelError(f"{where}: usual_square = {usual}, expected at least 0")
        rule = _rule(mode, artifact.header, where)
        model = cls(mode, rule, stored.tobytes(), usual, artifact.sha256)
        model.detector(where)
        return model

    def detector(self, where: str = "model") -> WindowDetector:
        """Make what scores windows; raises ModelError, which opens with `where`."""
        return detector_of(self.network, self.rule, self.digest, where)


def detector_of(
    network: bytes, rule: WindowRule, digest: str = "", where: str = "model"
) -> WindowDetector:
    """Make what scores windows by a rule; raises ModelError, which opens with `where`."""
    if isinstance(rule, PublishedRule):
        return PublishedDetector(network, rule, digest, where)
    return UnlockedDetector(network, rule, where)


def residuals_of(detector: WindowDetector, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is not redrawn of windows (N, S, S), as the rule of the detector has it."""
    if isinstance(detector, PublishedDetector):
        return detector.score_windows(windows).differences
    return detector.score_windows(windows).residuals


def _rule(mode: str, header: Mapping[str, Any], where: str) -> WindowRule:  # Any: JSON
    try:
        if mode == published_rule.MODE:
            return published_rule.rule_from(header)
        return unlocked.rule_from(header)
    except ValueError as error:
        raise ModelError(f"{where}: {error}") from error


@dataclass(frozen=True, slots=True)
class WindowScores:
    """What a model says of the windows of a frame, in their order.

    Attributes
    ----------
    p_value : (N,)
        Chance of such a window in bulk; NaN: not scored, which is not normal.
    score : (N,)
        As the mode has it.
    peak_yx : (N, 2)
        Pixel of the largest residual.
    peak : (N,)
        That residual, with its sign; windows go from 0 to 1.
    residuals : (N, S, S), corners_yx : (N, 2)
        Window less drawing, and where it was cut.
    """

    p_value: NDArray[np.float64]
    score: NDArray[np.float64]
    peak_yx: NDArray[np.int64]
    peak: NDArray[np.float64]
    residuals: NDArray[np.float32]
    corners_yx: NDArray[np.int64]


def median_square(residuals: NDArray[np.float32]) -> float:
    """Median over windows (N, S, S) of the mean square of a residual; NaN of none."""
    squares = np.square(residuals).mean(axis=(1, 2))
    squares = squares[np.isfinite(squares)]
    return float(np.median(squares)) if len(squares) else float("nan")


def score_windows(
    detector: WindowDetector, image: NDArray[np.float32], frame: int = 0
) -> WindowScores:
    """Judge the windows of a frame, cut on a grid.

    Parameters
    ----------
    detector
        Of a `WindowModel`.
    image : (H, W)
        As the fit had it; larger than a window each way.
    frame
        Its number: the dice of a model that samples follow from it.

    Notes
    -----
    The published rule knows a band and no chances: the p-value is that of a normal law of its mean
    and standard deviation, both sides.
    """
    if isinstance(detector, PublishedDetector):
        published = detector.score_frame(image, frame)
        corners, score, residuals = published.corners_yx, published.scores, published.differences
        low, high = detector.rule.band
        sd = (high - low) / (2.0 * detector.rule.band_width_sd)
        away = np.abs(score - detector.rule.band_mean) / sd
        p_value = np.clip(2.0 * special.ndtr(-away), _SMALLEST_P, 1.0)
    else:
        told = detector.score_frame(image)
        corners, score, residuals = told.corners_yx, told.scores, told.residuals
        p_value = np.clip(told.p_values, _SMALLEST_P, 1.0)
    n, side = len(residuals), residuals.shape[-1]
    flat = np.nan_to_num(residuals.reshape(n, -1))
    largest = np.abs(flat).argmax(axis=1)
    peak_yx = corners + np.stack(np.divmod(largest, side), axis=1)
    peak = flat[np.arange(n), largest].astype(np.float64)
    return WindowScores(p_value, score, peak_yx, peak, residuals, corners)
