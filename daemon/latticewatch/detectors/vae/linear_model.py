"""The linear twin by itself: its model file, and a detector that needs no network."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from latticewatch.detectors.artifact import Artifact
from latticewatch.detectors.model_files import (
    read_arrays,
    read_numbers,
    refuse_broken,
    refuse_sizes,
    rule_of,
)
from latticewatch.detectors.protocols import ModelError, Scores
from latticewatch.detectors.vae.linear import LinearTwin
from latticewatch.detectors.vae.lobes import Lobes
from latticewatch.detectors.vae.model import DETECTOR
from latticewatch.detectors.vae.pca import DensePca
from latticewatch.detectors.vae.provenance import Provenance
from latticewatch.detectors.vae.site_model import (
    INTEGERS,
    SITE_AXES,
    SITE_NUMBERS,
    site_arrays,
    site_claims,
    site_header,
    windows_of,
)
from latticewatch.detectors.vae.stale import Freshness, freshness_of
from latticewatch.detectors.vae.twin import read_twin, twin_arrays, twin_header
from latticewatch.detectors.vae.windows import WindowRule
from latticewatch.detectors.view import SiteRule, View
from latticewatch.detectors.windows import judgeable

MODE = "pca"
_FRESH = ("score_median", "score_spread", "usual_flagged")


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Everything that the twin by itself needs; immutable.

    Attributes
    ----------
    rule, windows
        How sites are found, and what is usual there.
    pca
        The filter.
    score_median, score_spread
        Median logarithm of the root of the local energy of a reference frame, and how it differs
        from frame to frame.
    usual_flagged
        Share of the reference sites with p below 0.002, their defects included.
    provenance
        Where it comes from.
    """

    rule: SiteRule
    windows: WindowRule
    pca: DensePca
    score_median: float
    score_spread: float
    usual_flagged: float
    provenance: Provenance = field(default_factory=Provenance)

    def header(self) -> dict[str, Any]:  # Any: JSON
        """Numbers of the model as they stand in `model.json`."""
        return {
            **site_header(self.rule, self.windows),
            "mode": MODE,
            "score_median": self.score_median,
            "score_spread": self.score_spread,
            "usual_flagged": self.usual_flagged,
            "frames": list(self.provenance.frames),
            **twin_header(self.pca),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:  # Any: both float widths
        """Arrays of the model as they stand in `arrays.npz`."""
        return {**site_arrays(self.rule, self.windows), **twin_arrays(self.pca)}

    @classmethod
    def from_artifact(cls, artifact: Artifact, where: str) -> Self:
        """Build a model from a file's content.

        Raises
        ------
        ModelError
            A number or array is missing, or sizes disagree; the message opens with `where`.
        """
        if artifact.detector != DETECTOR:
            raise ModelError(f"{where}: a {artifact.detector} model, expected {DETECTOR}")
        numbers = read_numbers(artifact, where, (*SITE_NUMBERS, *_FRESH), INTEGERS)
        arrays = read_arrays(artifact, where, SITE_AXES)
        pca = read_twin(artifact, where)
        if pca is None:
            raise ModelError(f"{where}: pca = None, expected the filter of a model of mode {MODE}")
        frames = artifact.header.get("frames")
        known = tuple(str(one) for one in frames) if isinstance(frames, list) else ()
        model = cls(
            rule=rule_of(numbers, arrays),
            windows=windows_of(numbers, arrays),
            pca=pca,
            score_median=numbers["score_median"],
            score_spread=numbers["score_spread"],
            usual_flagged=numbers["usual_flagged"],
            provenance=Provenance(frames=known),
        )
        size = model.windows.size
        wanted = {"basis_px_yx": (2, 2), "usual": (size, size), "level_weights": (size, size)}
        refuse_sizes(model.arrays(), wanted, where)
        claims = {
            "score_spread > 0": model.score_spread > 0,
            "0 <= usual_flagged <= 1": 0 <= model.usual_flagged <= 1,
        }
        refuse_broken(site_claims(model.rule, model.windows) | claims, where)
        return model


class LinearDetector:
    """The twin at run time, as a detector: immutable model, one view at a time.

    Attributes
    ----------
    freshness
        How far the last frame was from the reference; None before the first.
    n_not_finite
        Always 0: every whole window has a residual.
    """

    def __init__(self, model: LinearModel) -> None:
        self.model = model
        self.freshness: Freshness | None = None
        self.n_not_finite = 0
        self._twin = LinearTwin(model.pca, model.windows, model.rule.smooth_sigma_px)
        self._statistics = np.empty((2, 0))

    @property
    def span_px(self) -> int:
        """Side of the square of pixels that a site needs, odd."""
        return 2 * self.model.pca.margin_px + 1

    def redraw(self, view: View) -> NDArray[np.bool_]:
        """Take the residual of a frame; which sites (N,) have one."""
        inside = judgeable(view, self.span_px, self.model.rule.smooth_sigma_px)
        self._statistics = self._twin.look(view, np.ascontiguousarray(view.places_yx))
        return inside & np.isfinite(self._statistics).all(axis=0)

    def judge(self, view: View, inside: NDArray[np.bool_]) -> Scores:
        """Turn the residual of the last call of `redraw` into p-values."""
        self._statistics[:, ~inside] = np.nan
        evidence = self._twin.judge(self._statistics)
        scored = inside & np.isfinite(evidence.p_value)
        model = self.model
        self.freshness = freshness_of(
            view,
            model.rule,
            (model.score_median, model.score_spread, model.usual_flagged),
            (self._statistics[1, scored], evidence.p_value[scored]),
        )
        return Scores(
            scored, evidence.p_value, evidence.tail, evidence.parts, self.freshness.is_stale
        )

    def score(self, view: View) -> Scores:
        """Score every site of a view; sites whose window leaves the frame stay unscored."""
        return self.judge(view, self.redraw(view))

    def lobes_of(self, sites: NDArray[np.intp]) -> Lobes:
        """Say what disturbs the cells of some sites (M,) of the last frame."""
        return self._twin.lobes_of(sites)

    def residual_picture(self, view: View) -> NDArray[np.float32]:  # noqa: ARG002 - of the last one
        """Residual of the last frame (H, W), in levels; NaN at its rim."""
        return self._twin.picture()
