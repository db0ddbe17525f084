"""Scores of every site of a frame against a fitted autoencoder: the hot loop."""

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.calibration import MAD_TO_SIGMA
from latticewatch.detectors.protocols import ModelError, Scores
from latticewatch.detectors.vae.evidence import evidence_of, together
from latticewatch.detectors.vae.linear import LinearTwin
from latticewatch.detectors.vae.lobes import LOBE_PERIODS, Lobes, expected_at
from latticewatch.detectors.vae.model import STATISTICS, VaeModel
from latticewatch.detectors.vae.parameters import ENERGY_SIGMA
from latticewatch.detectors.vae.session import BATCH, Redrawer
from latticewatch.detectors.vae.stale import Freshness, freshness_of
from latticewatch.detectors.vae.windows import (
    cell_points,
    compared,
    judgeable_sites,
    window_places,
)
from latticewatch.detectors.view import View
from latticewatch.kernels.gather import paste_windows, sample_windows
from latticewatch.kernels.lobes import find_lobes
from latticewatch.kernels.local_energy import window_statistics
from latticewatch.kernels.smooth import gaussian_weights

# onnxruntime here against the one that wrote the answer; measured below 1e-6.
_PROBE_TOLERANCE = 1e-3
_NAMES = ("vae_residual", "vae_energy")


class VaeDetector:
    """The autoencoder at run time: immutable model, buffers that grow to the largest frame seen.

    Parameters
    ----------
    model
        Of the mode "default".
    where
        Its name, for messages.

    Attributes
    ----------
    freshness
        How far the last frame was from the reference; None before the first.
    cell : (C, C) bool
        Points of a residual window that are scored.
    n_not_finite
        Sites so far whose residual was not a number: not scored, and not normal.

    Raises
    ------
    ModelError
        The network does not fit what the model says of it.
    """

    def __init__(self, model: VaeModel, where: str = "model") -> None:
        self.model = model
        self.freshness: Freshness | None = None
        self.n_not_finite = 0
        windows = model.windows
        self._network = Redrawer(model.network, windows.size, windows.drawn_px, where)
        self.cell = cell_points(model.rule.basis_px_yx, windows.step_px, windows.drawn_px)
        self._twin = (
            None
            if model.pca is None
            else LinearTwin(model.pca, windows, model.rule.smooth_sigma_px)
        )
        self._blur = gaussian_weights(ENERGY_SIGMA * model.rule.period_px / windows.step_px)
        self._reserved = 0
        self._rows = np.empty(0, np.intp)
        self._reserve(1)

    @property
    def span_px(self) -> int:
        """Side of the square of pixels that a site needs, odd."""
        return self.model.windows.span_px

    def check_probe(self, where: str) -> None:
        """Redraw the stored probe; a model that no longer gives its own answer is refused."""
        rule, window = self.model.windows, self.model.probe_window[None]
        drawn = self._network.redraw(window)
        off = (window[:, rule.middle, rule.middle] - drawn)[0] - self.model.probe_residual
        worst = float(np.abs(off).max())
        if not worst <= _PROBE_TOLERANCE * max(1.0, float(np.abs(self.model.probe_residual).max())):
            raise ModelError(
                f"{where}: the residual of the stored probe is off by {worst:.2g} "
                f"(limit {_PROBE_TOLERANCE:g})"
            )

    def redraw(self, view: View) -> NDArray[np.bool_]:
        """Take the residual of every site of a view that has a whole window.

        Returns
        -------
        (N,) bool
            Which sites have one.
        """
        model = self.model
        inside = judgeable_sites(view, model.rule, model.windows)
        self._rows = np.flatnonzero(inside)
        n_rows = len(self._rows)
        self._reserve(n_rows)
        self._places[:n_rows] = window_places(view, self._rows)
        for first in range(0, n_rows, BATCH):
            self._redraw(view.image, slice(first, min(first + BATCH, n_rows)))
        window_statistics(
            self._residuals[:n_rows], self.cell, self._blur, 1, self._statistics[:n_rows]
        )
        np.sqrt(self._statistics[:n_rows, 1], out=self._statistics[:n_rows, 1])
        # A window round a place that its neighbours want may leave the frame after all.
        inside[self._rows] = self._is_whole[:n_rows]
        return inside

    def _redraw(self, image: NDArray[np.float32], rows: slice) -> None:
        """Take the residuals of some rows, at most as many as the network reads at once."""
        n, rule = rows.stop - rows.start, self.model.windows
        # Straight to where the network reads them.
        windows, whole = self._network.inputs(n), self._is_whole[rows]
        sample_windows(image, self._places[rows], rule.step_px, windows, whole)
        compared(windows, rule)
        middle = windows[:, rule.middle, rule.middle]
        np.subtract(middle, self._network.redraw_inputs(n), out=self._residuals[rows])

    def judge(self, view: View, inside: NDArray[np.bool_]) -> Scores:
        """Turn the residuals of the last call of `redraw` into p-values.

        Two statistics look at each cell: its largest residual and its largest local energy. Each
        must stand out from the frame's own sites, so a change of dose, gain or focus raises no
        alarms by itself; how far is counted on reference sites that were not learned from.
        """
        raw = self.statistics_of(view).T
        scored = inside & np.isfinite(raw).all(axis=0)
        self.n_not_finite += int(np.count_nonzero(inside & ~scored))
        raw[:, ~scored] = np.nan
        model = self.model
        evidence = evidence_of(_NAMES, raw, model.nulls, model.n_tests)
        if self._twin is not None:
            beside = self._twin.look(view, np.ascontiguousarray(view.places_yx))
            beside[:, ~scored] = np.nan
            evidence = together(evidence, self._twin.judge(beside))
        # A frame of few sites, or of sites all alike, has no scale of its own.
        scored &= np.isfinite(evidence.p_value)
        self.freshness = freshness_of(
            view,
            model.rule,
            (model.score_median, model.score_spread, model.usual_flagged),
            (raw[1, scored], evidence.p_value[scored]),
        )
        return Scores(
            scored, evidence.p_value, evidence.tail, evidence.parts, self.freshness.is_stale
        )

    def score(self, view: View) -> Scores:
        """Score every site of a view; sites whose window leaves the frame stay unscored."""
        inside = self.redraw(view)
        return self.judge(view, inside)

    def statistics_of(self, view: View) -> NDArray[np.float64]:
        """Largest residual and root of the local energy (N, 2) of the last frame; NaN: none."""
        statistics = np.full((len(view.places_yx), len(STATISTICS)), np.nan)
        statistics[self._rows] = self._statistics[: len(self._rows)]
        return statistics

    def residuals_of(
        self, sites: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Residuals (M, C, C) and places (M, 2) of windows of the last frame.

        Parameters
        ----------
        sites : (M,)
            Rows of sites of its view that have a residual.
        """
        at = np.searchsorted(self._rows, sites)
        return self._residuals[at], self._places[at]

    def residual_picture(self, view: View) -> NDArray[np.float32]:
        """Draw the residual of the last frame (H, W), in levels; NaN where no window was drawn."""
        picture = np.empty(view.image.shape, np.float32)
        weight = np.empty_like(picture)
        n_rows, rule = len(self._rows), self.model.windows
        places = np.where(self._is_whole[:n_rows, None], self._places[:n_rows], np.nan)
        paste_windows(self._residuals[:n_rows], places, rule.step_px, picture, weight)
        picture *= np.float32(rule.scale)
        return picture

    def lobes_of(self, sites: NDArray[np.intp]) -> Lobes:
        """Say what disturbs the cells of some sites (M,) of the last frame."""
        windows, (residuals, places) = self.model.windows, self.residuals_of(sites)
        n, size = len(residuals), windows.drawn_px
        # One above the other they are a picture, and the middle of each a place in it.
        half = size // 2
        middles = np.stack([np.arange(n) * size + half, np.full(n, half)], axis=1)
        middles = middles.astype(np.float64)
        found = np.empty((n, 6))
        reach = LOBE_PERIODS * self.model.rule.period_px / windows.step_px
        find_lobes(residuals.reshape(n * size, size), middles, self.cell, reach, found)
        offsets = [(found[:, k : k + 2] - middles) * windows.step_px for k in (1, 4)]
        outside = residuals[:, ~self.cell]
        noise = MAD_TO_SIGMA * np.median(np.abs(outside), axis=1).astype(np.float64)
        return Lobes(
            height=found[:, 0] * windows.scale,
            place_yx=places + offsets[0],
            opposite=found[:, 3] * windows.scale,
            opposite_yx=places + offsets[1],
            noise=noise * windows.scale,
            expected=expected_at(windows.usual, windows.step_px, offsets[0]),
            contrast=float(np.ptp(windows.usual)),
            width_px=self.model.rule.smooth_sigma_px,
        )

    def _reserve(self, n_sites: int) -> None:
        if n_sites <= self._reserved:
            return
        # Half as many again, so that frames with slightly more sites do not allocate.
        self._reserved = n_sites + n_sites // 2 + 64
        drawn = self.model.windows.drawn_px
        self._residuals = np.empty((self._reserved, drawn, drawn), np.float32)
        self._places = np.empty((self._reserved, 2))
        self._is_whole = np.zeros(self._reserved, np.bool_)
        self._statistics = np.empty((self._reserved, len(STATISTICS)))
