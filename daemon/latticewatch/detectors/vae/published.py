"""The published rule: what a network fails to redraw of a window, in one number and one verdict.

Prifti, Buban, Thind and Klie, Microsc. Microanal. 28 (Suppl. 1), 2022. Four errors of the authors'
programs are not repeated: windows are compared with the drawing of their own set; the box round
the largest difference ends at the edge of the window and does not go on at the other side; a
verdict that says "defect" means one; windows are prepared alike in the fit and in scoring.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.vae.published_rule import PublishedRule
from latticewatch.detectors.vae.stack import prepare
from latticewatch.detectors.vae.tiles import cut_tiles, tile_corners
from latticewatch.detectors.vae.whole import WholeNetwork


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
    where
        Its name, for messages.
    """

    def __init__(
        self, network: bytes, rule: PublishedRule, digest: str = "", where: str = "model"
    ) -> None:
        self.rule, self._digest = rule, digest
        sampled = rule.latent == "sample"
        self._network = WholeNetwork(network, rule.window_px, sampled=sampled, where=where)

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
        n_latents = self._network.n_latents
        dice = dice_of(self._digest, frame, len(windows), n_latents) if n_latents else None
        redrawn = self._network.redraw(prepared, dice)
        differences = difference_map(prepared, redrawn, rule.cut)
        scores = average_near_maximum(differences, rule.half_width_px)
        # One pixel of NaN outside the box leaves the score finite, and is no score all the same.
        is_scored = np.asarray(np.isfinite(differences).all(axis=(1, 2)))
        scores[~is_scored] = np.nan
        is_defect = is_scored & ~rule.is_bulk(scores)
        return WindowVerdicts(corners, scores, is_defect, is_scored, differences)
