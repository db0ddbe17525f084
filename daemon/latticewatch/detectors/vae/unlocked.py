"""The default for windows without a lattice: how far what is not redrawn stands out of its window.

A window of three periods shows too little of a lattice to lock to. Its residual is judged by its
own scale: the kurtosis does not rise with noise, nor on bulk that the network knows less well. Nor
does it on a fault that fills the window: this is for defects of points.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.stack import prepare
from latticewatch.detectors.vae.tiles import cut_tiles, tile_corners
from latticewatch.detectors.vae.whole import WholeNetwork
from latticewatch.detectors.vae.window_rules import read_entries

MODE = "unlocked"
# Of calibration scores, the share beyond which the law of the tail holds, and the highest ones that
# count as beyond the rest and no more. Of 200 windows with 5 % of defects among them, what is found
# fell from 100 to 59 % where 0.05 were left out, to 96 with 0.1.
_TAIL, _DISTRUSTED = 0.2, 0.1


@dataclass(frozen=True, slots=True)
class UnlockedRule:
    """Numbers of the rule.

    Attributes
    ----------
    window_px, step_px
        Side of a window, and distance between two of a frame.
    sigma_px, zero
        Of the preparation: `stack.prepare`.
    middle, spread
        Mean and standard deviation of the prepared windows: the network reads (v - middle) /
        spread.
    tail_start, tail_scale
        Beyond the first, logarithms of the score fall exponentially, by e in each step of the
        second.
    alarm_p
        A window with a smaller p-value is a defect. Half of one per cent: windows of a stack
        overlap as a rule, and so held-out ones are a little too usual.
    """

    window_px: int = 64
    step_px: int = 32
    sigma_px: float = 2.0
    zero: float = 0.0
    middle: float = 0.0
    spread: float = 1.0
    tail_start: float = 1.5
    tail_scale: float = 0.1
    alarm_p: float = 0.005

    def __post_init__(self) -> None:
        """Refuse numbers that no fit can have made, as ValueError."""
        # Written so that NaN fails.
        limits = (
            ("window_px", 8 <= self.window_px <= 512),
            ("step_px", 1 <= self.step_px <= self.window_px),
            ("sigma_px", 0.0 <= self.sigma_px <= 16.0),
            ("zero", abs(self.zero) < math.inf),
            ("middle", 0.0 <= self.middle <= 1.0),
            ("spread", 1e-6 <= self.spread <= 1.0),
            ("tail_start", abs(self.tail_start) < math.inf),
            ("tail_scale", 1e-6 <= self.tail_scale < math.inf),
            ("alarm_p", 0.0 < self.alarm_p < _TAIL),
        )
        for name, holds in limits:
            if not holds:
                raise ValueError(f"{name} = {getattr(self, name)!r} is no number of a model")

    def p_values(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the chance (N,) of such a score on bulk; 1 for usual ones, NaN for NaN."""
        beyond = np.log(scores) - self.tail_start
        p = np.where(beyond > 0, _TAIL * np.exp(-np.maximum(beyond, 0.0) / self.tail_scale), 1.0)
        return np.where(np.isnan(beyond), np.nan, p)


def tail_of(scores: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return start and scale of the tail of the logarithms of bulk scores (N,), 20 or more.

    The law of the exceedances of the highest fifth is exponential, fitted by maximum likelihood
    with the highest tenth known to lie beyond the rest, and no more: of these some may be defects.
    """
    logs = np.sort(np.log(scores[np.isfinite(scores)]))
    n = len(logs)
    if n < 20:
        raise ValueError(f"{n} scores are too few for a tail: need 20")
    first, n_high = n - max(int(_TAIL * n), 4), int(_DISTRUSTED * n)
    start = logs[first - 1]
    beyond = logs[first : n - n_high] - start
    scale = (beyond.sum() + n_high * beyond[-1]) / len(beyond)
    return float(start), float(max(scale, 1e-6))


def kurtosis(residuals: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean fourth power over squared mean square of windows (N, S, S); 3 if Gaussian.

    NaN where a pixel is NaN, or where nothing at all is left over.
    """
    squares = np.square(residuals, dtype=np.float64).reshape(len(residuals), -1)
    second = squares.mean(axis=1)
    second[second == 0] = np.nan
    scores: NDArray[np.float64] = np.square(squares).mean(axis=1) / second**2
    return scores


@dataclass(frozen=True, slots=True)
class UnlockedVerdicts:
    """What the rule says of windows, in their order.

    Attributes
    ----------
    corners_yx : (N, 2)
        Top left pixel of each in its frame; zeros for windows that come by themselves.
    scores : (N,)
        Kurtosis of the residual. NaN: not scored, as `published.WindowVerdicts`.
    p_values : (N,)
        Chance of it on bulk.
    is_defect, is_scored : (N,)
        False and False where there is no score.
    residuals : (N, S, S)
        Window less drawing; the window goes from 0 to 1.
    """

    corners_yx: NDArray[np.int64]
    scores: NDArray[np.float64]
    p_values: NDArray[np.float64]
    is_defect: NDArray[np.bool_]
    is_scored: NDArray[np.bool_]
    residuals: NDArray[np.float32]


class UnlockedDetector:
    """A network and the rule, applied to windows or to whole frames.

    Parameters
    ----------
    network
        ONNX graph of `export.to_onnx`.
    rule
        Learned with it.
    where
        Name of the model, for messages.
    """

    def __init__(self, network: bytes, rule: UnlockedRule, where: str = "model") -> None:
        self.rule = rule
        self._network = WholeNetwork(network, rule.window_px, where=where)

    def score_frame(self, image: NDArray[np.generic]) -> UnlockedVerdicts:
        """Judge each window of the grid over a frame (H, W)."""
        shape_yx = (int(image.shape[0]), int(image.shape[1]))
        corners = tile_corners(shape_yx, self.rule.window_px, self.rule.step_px)
        return self._judge(cut_tiles(image, corners, self.rule.window_px), corners)

    def score_windows(self, windows: NDArray[np.generic]) -> UnlockedVerdicts:
        """Judge windows (N, S, S) that were cut already."""
        return self._judge(windows, np.zeros((len(windows), 2), np.int64))

    def _judge(self, windows: NDArray[np.generic], corners: NDArray[np.int64]) -> UnlockedVerdicts:
        rule = self.rule
        residuals = self.residual_of(prepare(windows, rule.sigma_px, rule.zero))
        scores = kurtosis(residuals)
        is_scored = np.isfinite(scores)
        p_values = rule.p_values(scores)
        return UnlockedVerdicts(
            corners, scores, p_values, p_values < rule.alarm_p, is_scored, residuals
        )

    def residual_of(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the network does not redraw of prepared windows (N, S, S), on their scale."""
        residuals = (prepared - np.float32(self.rule.middle)) / np.float32(self.rule.spread)
        residuals -= self._network.redraw(residuals)
        residuals *= np.float32(self.rule.spread)
        return residuals


def header_of(rule: UnlockedRule) -> dict[str, object]:
    """Return the rule as a model file keeps it, with the name of the mode."""
    return {"mode": MODE, **asdict(rule)}


def rule_from(header: Mapping[str, Any]) -> UnlockedRule:  # Any: numbers and text of JSON
    """Read what `header_of` wrote, out of a header that may hold more.

    Raises
    ------
    ValueError
        Another mode, or an entry that is missing or that no fit can have made.
    """
    return UnlockedRule(**read_entries(UnlockedRule, MODE, header))
